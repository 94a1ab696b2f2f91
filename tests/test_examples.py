"""Every example can be read, configured, run and tested; a new one that cannot be fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployd.actors import load_room_classes
from deployd.config import load

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FOLDERS = sorted(
    path for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
)


def missing(folder: Path) -> list[str]:
    """Say what an example lacks."""
    wanted = ["README.md", "realtime.json", f"test_{folder.name}.py"]
    lacking = [name for name in wanted if not (folder / name).is_file()]
    readme = folder / "README.md"
    named = re.findall(
        r"[\w/]+\.(?:py|json|html)\b", readme.read_text() if readme.is_file() else ""
    )
    lacking += [name for name in dict.fromkeys(named) if not (folder / name).is_file()]
    test = folder / f"test_{folder.name}.py"
    if test.is_file() and not re.search(r"^(async )?def test_", test.read_text(), re.MULTILINE):
        lacking.append("a test in its test file")
    return lacking


def test_there_are_examples() -> None:
    assert {folder.name for folder in FOLDERS} >= {"broker", "chat", "counter", "crash", "todo"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_example_is_complete(folder: Path) -> None:
    assert missing(folder) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_examples_configuration_loads_and_its_rooms_can_be_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    bindings = load(folder / "realtime.json", environ={}).config.rooms
    classes = load_room_classes(bindings)
    assert set(classes) == set(bindings)
    for pattern, room_class in classes.items():
        assert pattern.startswith(f"{folder.name}-")
        assert room_class.__module__ == f"{folder.name}_room"


def test_an_example_without_a_test_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Run `python clock_client.py`.")
    (tmp_path / "realtime.json").write_text("{}")
    test = tmp_path / f"test_{tmp_path.name}.py"
    assert missing(tmp_path) == [test.name, "clock_client.py"]
    test.write_text('"""Nothing yet."""\n')
    assert missing(tmp_path) == ["clock_client.py", "a test in its test file"]


def test_an_empty_example_is_noticed(tmp_path: Path) -> None:
    assert missing(tmp_path) == ["README.md", "realtime.json", f"test_{tmp_path.name}.py"]
