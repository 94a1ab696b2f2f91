from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
import structlog

from deployd.actors import Hint
from deployd.supervisors.pod.hints import HintFile
from deployd.transport import Event


def hint(number: int) -> Hint:
    event = Event("tea", "said", b"1", f"a-{number}", number, 5.0, "a")
    return Hint("a", 1, "tea", [event])


@contextmanager
def life(folder: Path, name: str = "ann") -> Iterator[HintFile]:
    """Have the file as a pod that runs has it."""
    it = HintFile(folder, name)
    assert it.claim()
    yield it
    it.release()
    assert not it.keep([])  # it has ended


def test_what_one_life_keeps_the_next_of_that_name_has_until_it_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with life(folder) as first:
        assert first.keep([hint(1)])
        with life(folder, "bob") as bob:
            assert bob.hints == ()
    with life(folder) as second:
        assert second.hints == [hint(1)]
        assert second.keep([hint(2)])  # it ended before it could say anything
    with life(folder) as third:
        assert [event.sequence for each in third.hints for event in each.events] == [1, 2]
        third.said()
        assert third.hints == ()
    with life(folder) as last:
        assert last.hints == ()
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["queued-ann.lock", "queued-bob.lock"]


def test_no_two_pods_read_or_write_one_file_and_the_second_says_whose_it_is(tmp_path: Path) -> None:
    with life(tmp_path) as first:
        assert first.keep([hint(1)])
        second = HintFile(tmp_path, "ann")
        with structlog.testing.capture_logs() as lines:
            assert not second.claim()
            assert second.hints == ()
            assert not second.keep([hint(2)])
            second.said()
            second.release()  # of what it does not have
    [line] = lines
    assert line["file"] == str(tmp_path / "queued-ann.jsonl")
    assert "server.name" in line["remedy"]
    with life(tmp_path) as third:
        assert third.hints == [hint(1)]
    assert HintFile(tmp_path, "ann").hints == ()  # of who has claimed nothing


@pytest.mark.parametrize("when", ["it is back on the broker", "it ends"])
def test_what_an_old_pod_leaves_is_not_lost_where_the_new_one_has_begun(
    tmp_path: Path, when: str
) -> None:
    with life(tmp_path) as old:
        new = HintFile(tmp_path, "ann")
        assert not new.claim()
        assert len(new.hints) == 0
        assert old.keep([hint(1)])
    if when == "it ends":
        assert new.keep([hint(2)])
        new.release()
        with life(tmp_path) as next_one:
            assert [event.sequence for h in next_one.hints for event in h.events] == [1, 2]
    else:
        assert list(new.hints) == [hint(1)]
        assert not HintFile(tmp_path, "ann").claim()
        new.said()
        new.release()
        with life(tmp_path) as next_one:
            assert next_one.hints == ()


def test_a_pod_that_claims_nothing_touches_no_folder(tmp_path: Path) -> None:
    it = HintFile(tmp_path / "data", "ann")
    assert it.hints == ()
    assert not it.keep([hint(1)])
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_pod_that_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from deployd.supervisors.pod.hints import HintFile;"
        "assert HintFile(pathlib.Path(sys.argv[1]), 'ann').claim(); print('mine', flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with Popen(command, stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        assert not HintFile(tmp_path, "ann").claim()
        other.kill()
    with life(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, and no folder")
    with structlog.testing.capture_logs() as lines:
        it = HintFile(tmp_path / "data", "ann")
        assert not it.claim()
        assert not it.keep([hint(1)])
        assert it.hints == ()
        it.said()
    assert any("cannot be kept" in line["event"] for line in lines)
