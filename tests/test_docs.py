"""What the documentation names, there is: tests, files, and other pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "bench" / "README.md"]
FOLDERS = "config|transport|actors|documents|supervisors|tools|web|tests|bench|examples|docs|deploy"
TESTS = {
    name
    for folder in ("tests", "examples")
    for path in (ROOT / folder).rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)|^(Test\w+) =", path.read_text(), re.M)
    for name in name
    if name
}
RUNTIME = (ROOT / "docs" / "runtime.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+|Test\w+)`", page.read_text()))
    assert named - TESTS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(rf"`((?:{FOLDERS})/[\w/.-]+)`", text))
    written_by_users = {"config/realtime.json"}
    assert {name for name in named - written_by_users if not (ROOT / name).exists()} == set()
    links = set(re.findall(r"\]\((?!https?:)([^)#\s]+)", text))
    assert {link for link in links if not (page.parent / link).exists()} == set()


def test_every_statement_on_the_runtime_names_the_test_that_holds_it() -> None:
    """Each point of a list does, or says that it promises nothing or what follows elsewhere."""
    points = re.findall(r"^- (.*(?:\n  .*)*)", RUNTIME, re.M)
    assert len(points) > 40
    unheld = [point for point in points if "`test_" not in point]
    assert len(unheld) <= 3, unheld
    assert len(set(re.findall(r"`(test_\w+)`", RUNTIME))) > 60


def test_its_figures_are_those_of_the_code() -> None:
    source = {name: (ROOT / name).read_text() for name in FIGURES}
    for name, figures in FIGURES.items():
        constants = {
            target.id: node.value
            for node in ast.walk(ast.parse(source[name]))
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for constant, (value, words) in figures.items():
            assert ast.unparse(constants[constant]) == value, (name, constant)
            assert words in RUNTIME, words


FIGURES = {
    "actors/runtime/cell.py": {"TURNS_PER_CHECKPOINT": ("64", "64 messages and timers")},
    "actors/runtime/actor.py": {
        "attempts": ("2", "`attempts` times in all (2)"),
        "stop_deadline": ("5.0", "`stop_deadline` (5 s)"),
    },
    "actors/runtime/mailbox.py": {"DEFAULT_MAX_BYTES": ("1024 * 1024", "by bytes (1 MiB)")},
    "actors/runtime/messages.py": {"DEFAULT_SIZE": ("64", "`nbytes`, or 64")},
    "actors/rooms/room.py": {"attempts": ("1", "Rooms: once")},
    "supervisors/restart.py": {
        "restarts": ("3", "More than 3 restarts"),
        "period": ("5.0", "restarts in 5 s"),
    },
    "supervisors/backoff.py": {
        "cap": ("5.0", "up to 5 s"),
        "reset_after": ("30.0", "30 s of quiet"),
    },
}
