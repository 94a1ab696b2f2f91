from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.config import ConfigError
from deployd.tools.changes import Changes, Stamp, as_read, files_to_watch, refusal

A, B = Path("/p/a.py"), Path("/p/b.py")
OLD: Stamp = (1, 10)
NEW: Stamp = (2, 10)


def fine() -> None:
    """Settings that are as they should be."""


def test_nothing_saved_is_nothing_to_do() -> None:
    assert Changes({A: OLD}).look({A: OLD}) == ()


@pytest.mark.parametrize("stamp", [(2, 10), (1, 11), (0, 10)])
def test_another_time_or_size_is_a_change(stamp: Stamp) -> None:
    assert Changes({A: OLD, B: OLD}).look({A: stamp, B: OLD}) == (A,)


def test_a_file_that_is_gone_is_being_replaced() -> None:
    changes = Changes({A: OLD})
    assert changes.look({}) == ()
    assert changes.look({A: NEW}) == (A,)


def test_a_file_that_appears_is_a_change() -> None:
    assert Changes({}).look({A: NEW}) == (A,)


def test_the_same_sight_is_told_once() -> None:
    changes = Changes({A: OLD})
    assert changes.look({A: NEW}) == (A,)
    assert changes.look({A: NEW}) == ()


def test_a_second_file_brings_the_first_along_that_was_refused() -> None:
    changes = Changes({A: OLD, B: OLD})
    changes.look({A: NEW, B: OLD})
    assert changes.look({A: NEW, B: NEW}) == (A, B)


def test_a_file_put_back_is_no_change_any_more() -> None:
    changes = Changes({A: OLD, B: OLD})
    changes.look({A: NEW, B: OLD})
    assert changes.look({A: OLD, B: OLD}) == ()


sights = st.dictionaries(
    st.sampled_from([A, B, Path("/p/c")]), st.tuples(st.just(1), st.integers(0, 2))
)


@given(running=sights, looks=st.lists(sights, max_size=6))
def test_what_differs_is_always_told_against_what_runs(
    running: dict[Path, Stamp], looks: list[dict[Path, Stamp]]
) -> None:
    changes, before = Changes(running), running
    for now in looks:
        differing = {path for path in now if now[path] != running.get(path)}
        assert set(changes.look(now)) == (differing if now != before else set())
        before = now


def test_the_projects_imported_files_and_the_settings_are_watched(folder: Path) -> None:
    modules = [
        str(folder / "rooms.py"),
        "/usr/lib/python3/json/__init__.py",
        str(folder / ".venv/lib/attr/__init__.py"),
        str(folder / "fast.so"),
    ]
    settings = folder / "config/realtime.json"
    watched = files_to_watch(settings, modules, folder, folder / ".venv")
    assert watched == {folder / "rooms.py", settings}


def test_a_pod_without_a_file_of_settings_watches_only_modules(folder: Path) -> None:
    modules = [str(folder / "rooms.py")]
    assert files_to_watch(None, modules, folder, Path("/usr")) == {folder / "rooms.py"}


def test_a_link_into_the_project_is_watched_where_it_leads(folder: Path) -> None:
    (folder / "rooms.py").touch()
    (folder / "link.py").symlink_to(folder / "rooms.py")
    assert files_to_watch(None, [str(folder / "link.py")], folder, Path("/usr")) == {
        folder / "rooms.py"
    }


def test_what_was_saved_while_the_process_started_counts_as_not_read() -> None:
    now = {A: (10, 1), B: (20, 1), Path("/p/c.py"): (99, 1)}
    assert as_read(now, began=15, at=30) == {A: (10, 1), Path("/p/c.py"): (99, 1)}


def test_modules_whose_files_are_none_are_left_out(folder: Path) -> None:
    (folder / "loop.py").symlink_to("loop.py")
    odd = [str(folder / "loop.py"), "null\x00.py", "x" * 5000 + ".py", "<frozen>", ""]
    watched = files_to_watch(None, [*odd, str(folder / "rooms.py")], folder, Path("/usr"))
    assert folder / "rooms.py" in watched


def test_a_file_that_compiles_is_not_refused(folder: Path) -> None:
    (folder / "rooms.py").write_text("raise ValueError('only when run')\n")
    assert refusal(folder / "rooms.py", fine) is None
    assert list(folder.iterdir()) == [folder / "rooms.py"]


def test_a_slip_of_the_pen_is_named_with_its_line(folder: Path) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\ndef (:\n")
    assert refusal(path, fine) == f"{path}, line 2: invalid syntax"


@pytest.mark.parametrize(
    "content",
    [
        b"a = '\x00'",
        b"# coding: nonsense\n",
        b"a = '\xff'",
        b"-" * 20_000 + b"1",
        b"(" * 5_000,
        b"a" + b".a" * 200_000,
    ],
    ids=["null byte", "coding", "no UTF-8", "minuses", "brackets", "attributes"],
)
def test_no_content_of_a_file_ends_the_pod(folder: Path, content: bytes) -> None:
    path = folder / "rooms.py"
    path.write_bytes(content)
    told = refusal(path, fine)
    assert told is not None
    assert str(path) in told


def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    assert "No such file" in (refusal(folder / "gone.py", fine) or "")


def test_settings_are_refused_in_their_own_words(folder: Path) -> None:
    def check() -> None:
        raise ConfigError

    assert refusal(folder / "realtime.json", check) == ""
    assert refusal(folder / "realtime.json", fine) is None
