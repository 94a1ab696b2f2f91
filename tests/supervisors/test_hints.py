from __future__ import annotations

from pathlib import Path

import structlog

from deployd.actors import Hint
from deployd.supervisors.pod.hints import HintFile
from deployd.transport import Event


def hint(number: int) -> Hint:
    event = Event("tea", "said", b"1", f"a-{number}", number, 5.0, "a")
    return Hint("a", 1, "tea", [event])


def test_what_one_life_keeps_the_next_of_that_name_has_until_it_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert HintFile(folder, "ann").keep([hint(1)])
    assert HintFile(folder, "bob").hints == ()
    second = HintFile(folder, "ann")
    assert second.hints == [hint(1)]
    assert second.keep([hint(2)])  # it ended before it could say anything
    third = HintFile(folder, "ann")
    assert [event.sequence for each in third.hints for event in each.events] == [1, 2]
    third.said()
    assert third.hints == ()
    assert HintFile(folder, "ann").hints == ()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, and no folder")
    with structlog.testing.capture_logs() as lines:
        it = HintFile(tmp_path / "data", "ann")
        assert not it.keep([hint(1)])
        assert it.hints == ()
        it.said()
    assert any("cannot be kept" in line["event"] for line in lines)
