"""What the documentation names, there is: tests, files, and other pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployd.actors import Actor, Mailbox, Room
from deployd.actors.runtime.cell import TURNS_PER_CHECKPOINT
from deployd.actors.runtime.messages import size_of
from deployd.supervisors import Backoff, Intensity

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
    """Each point of a list does, but for one that promises nothing."""
    points = re.findall(r"^- (.*(?:\n  .*)*)", RUNTIME, re.M)
    assert len(points) > 40
    unheld = [point for point in points if "`test_" not in point]
    assert len(unheld) <= 1, unheld
    assert len(set(re.findall(r"`(test_\w+)`", RUNTIME))) > 60


FIGURES = {
    f"gives way after {TURNS_PER_CHECKPOINT} messages and timers",
    f"({Mailbox[object]().max_messages:,} unless it says otherwise)",
    f"by bytes ({Mailbox[object]().max_bytes // 2**20} MiB)",
    f"its `nbytes`, or {size_of(object())}.",
    f"up to `attempts` times in all ({Actor.attempts})",
    f"within `stop_deadline` ({Actor.stop_deadline:g} s)",
    f"the waits double up to {Backoff().cap:g} s",
    f"and {Backoff().reset_after:g} s of quiet",
    f"More than {Intensity().restarts} restarts in {Intensity().period:g} s",
}


@pytest.mark.parametrize("figure", sorted(FIGURES))
def test_a_figure_of_the_runtime_is_that_of_the_code(figure: str) -> None:
    assert figure in " ".join(RUNTIME.split())


def test_rooms_begin_a_message_once_and_other_actors_more_often() -> None:
    assert "Rooms: once" in RUNTIME
    assert Room.attempts == 1 < Actor.attempts
