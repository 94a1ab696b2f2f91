from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from deployd.tools import reload
from deployd.tools.reload import imported_files, stamps, wait_for_change

PATIENCE = 10.0


def fine() -> None:
    """Settings that are as they should be."""


class Log:
    """Takes the place of the module's logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._told = trio.Event()

    async def first(self) -> str:
        with trio.fail_after(PATIENCE):
            await self._told.wait()
        return self.lines[0]

    def info(self, event: str, **about: object) -> None:
        self.lines.append(f"{event} {about}")
        self._told.set()

    error = warning = info


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(reload, "_log", log)
    return log


async def test_a_saved_file_ends_the_wait(folder: Path, log: Log) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\n")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await trio.testing.wait_all_tasks_blocked()
            path.write_text("a = 12\n")
    assert log.lines == [f"reloading {{'files': ['{path}']}}"]


async def test_a_file_that_would_not_start_is_told_and_waited_past(folder: Path, log: Log) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\n")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await trio.testing.wait_all_tasks_blocked()
            path.write_text("a = = 1\n")
            assert "not reloaded" in await log.first()
            path.write_text("a = 123\n")
    refused, accepted = log.lines
    assert "line 1: invalid syntax" in refused
    assert accepted.startswith("reloading")


async def test_the_watcher_says_nothing_of_what_the_pod_writes_beside_its_files(
    folder: Path, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\n")
    caplog.set_level(logging.INFO, "watchfiles")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await trio.testing.wait_all_tasks_blocked()
            (folder / "pod.log").write_text("a line\n")
            (folder / "seen").touch()
            await trio.sleep(0.5)  # the watching thread's own time
            told = [record.getMessage() for record in caplog.records]
            path.write_text("a = 12\n")
    assert told == []


async def test_a_neighbouring_file_is_nobodys_business(folder: Path, log: Log) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\n")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await trio.testing.wait_all_tasks_blocked()
            (folder / "notes.py").write_text("b = = 2\n")
            path.write_text("a = 12\n")
    assert len(log.lines) == 1


async def test_a_cancelled_wait_tells_the_watching_thread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    async def like_a_thread(*_: Path, stop_event: trio.Event, **__: object) -> AsyncIterator[None]:
        with trio.move_on_after(PATIENCE, shield=True):
            await stop_event.wait()
        told.append(stop_event.is_set())
        yield

    monkeypatch.setattr(reload, "awatch", like_a_thread)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_change, frozenset({folder / "rooms.py"}), fine)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert told == [True]


async def test_where_nothing_can_be_watched_the_pod_just_goes_on(folder: Path, log: Log) -> None:
    async with trio.open_nursery() as nursery:
        gone = frozenset({folder / "gone" / "rooms.py"})
        nursery.start_soon(wait_for_change, gone, fine)
        assert "cannot be watched" in await log.first()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_where_nothing_can_be_watched_the_files_are_looked_at(
    folder: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOOK_EVERY", 10)
    path = folder / "later" / "rooms.py"
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await log.first()
            path.parent.mkdir()
            path.write_text("a = 1\n")
    assert log.lines[-1].startswith("reloading")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/nowhere"),
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"a = '\xff'"),
        lambda path: path.write_bytes(b"\x00" * 10),
        lambda path: path.write_text("def half("),
        lambda path: os.truncate(path.touch() or path, 2**34),
    ],
    ids=["pipe", "dangling", "loop", "device", "folder", "bytes", "nulls", "half", "huge"],
)
async def test_whatever_takes_a_files_place_is_waited_past(
    make: Callable[[Path], object], folder: Path, log: Log
) -> None:
    path = folder / "rooms.py"
    path.write_text("a = 1\n")
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_change, frozenset({path}), fine)
            await trio.testing.wait_all_tasks_blocked()
            path.unlink()
            make(path)
            await trio.sleep(0.2)
            path.rmdir() if path.is_dir() else path.unlink()
            path.write_text("a = 123\n")
    assert log.lines[-1].startswith("reloading")
    assert len(log.lines) <= 2


def test_files_that_are_not_there_have_no_stamp(folder: Path) -> None:
    (folder / "a").write_text("four")
    found = stamps([folder / "a", folder / "b"])
    assert {path: size for path, (_, size) in found.items()} == {folder / "a": 4}


def test_this_very_module_is_among_the_imported_files() -> None:
    assert reload.__file__ in imported_files()
