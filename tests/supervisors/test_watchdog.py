from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from deployd.actors import Actor, ActorCell, DeadLetters, handles
from deployd.config import bind_log_context
from deployd.supervisors import ChildSpec, Service, Stall, StallDetector, Supervisor, Watchdog

PATIENCE = 10.0
"""Seconds after which a blocked test gives up; reached only when the watchdog is broken."""


class Block:
    """Blocks the loop until the watchdog reports; the watchdog's time stands still otherwise."""

    def __init__(self) -> None:
        self.blocking = threading.Event()
        self.released = threading.Event()
        self.stalls: list[Stall] = []
        self.now = 0.0

    def clock(self) -> float:
        if self.blocking.is_set():
            self.now += 0.001
        return self.now

    def report(self, stall: Stall) -> None:
        self.stalls.append(stall)
        self.released.set()

    def block(self) -> None:
        self.released.clear()
        self.blocking.set()
        assert self.released.wait(PATIENCE), "the watchdog did not notice"
        self.blocking.clear()

    def watchdog(self, report: Callable[[Stall], None] | None = None) -> Watchdog:
        return Watchdog(
            interval=0.001, threshold=0.005, report=report or self.report, clock=self.clock
        )


class Stuck(Actor):
    def __init__(self, block: Block, handled: trio.Event) -> None:
        self.block = block
        self.handled = handled

    @handles(str)
    async def compute(self, message: str) -> None:
        self.block.block()
        self.handled.set()


class Hearing(Actor):
    """Hears one thing beside its mailbox, and does not yield then."""

    def __init__(self, block: Block, heard: trio.Event) -> None:
        self.block = block
        self.heard = heard

    async def listen(self) -> None:
        if self.heard.is_set():
            self.stop()
            return
        await trio.lowlevel.checkpoint()
        self.block.block()
        self.heard.set()

    def call_away(self) -> None:
        """Wait for nothing that would take longer."""


@asynccontextmanager
async def watching(watchdog: Watchdog) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: watchdog.run(task_status.started))
        yield
        nursery.cancel_scope.cancel()


def watchdog_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "deployd-watchdog"]


# The decision --------------------------------------------------------------------------------


def test_a_silence_is_reported_once_and_again_only_after_an_answer() -> None:
    detector = StallDetector(interval=0.25, threshold=1.0)
    ticks = [(0.25 * n, n == 12) for n in range(20)]
    reports = [(now, detector.tick(now, answered=answered)) for now, answered in ticks]
    assert [report for report in reports if report[1]] == [(1.0, 1.0), (4.0, 1.0)]


def test_a_loop_that_answers_is_never_reported() -> None:
    detector = StallDetector(interval=0.25, threshold=0.0)
    assert all(detector.tick(float(n), answered=True) is None for n in range(100))


def test_a_process_that_was_paused_as_a_whole_did_not_stall() -> None:
    detector = StallDetector(interval=0.25, threshold=1.0)
    assert detector.tick(0.0, answered=True) is None
    assert detector.tick(3600.0, answered=False) is None
    assert detector.tick(3600.25, answered=True) is None


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.booleans())))
def test_there_is_at_most_one_report_between_two_answers(ticks: list[tuple[float, bool]]) -> None:
    detector, now, reported = StallDetector(interval=0.25, threshold=1.0), 0.0, False
    for gap, answered in ticks:
        now += gap
        seconds = detector.tick(now, answered=answered)
        if answered:
            reported = False
        assert not (reported and seconds is not None)
        if seconds is not None:
            reported = True
            assert seconds >= 1.0


# The thread ----------------------------------------------------------------------------------


async def test_it_names_the_actor_and_handler_that_does_not_yield_with_its_live_stack() -> None:
    block, handled = Block(), trio.Event()
    watchdog = block.watchdog()
    cell: ActorCell[str] = ActorCell(
        "pod/rooms/stuck", lambda: Stuck(block, handled), dead_letters=DeadLetters()
    )
    root = Supervisor(
        "pod",
        [
            ChildSpec("watchdog", lambda path: Service(path, watchdog.run)),
            ChildSpec("stuck", lambda _: cell),
        ],
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: root.run(task_status.started))
        cell.ref.tell("go")
        await handled.wait()
        root.request_stop("over")
    (stall,) = block.stalls
    assert (stall.path, stall.handler) == ("pod/rooms/stuck", "Stuck.compute")
    assert stall.seconds == pytest.approx(0.005)
    assert "self.block.block()" in stall.stack
    assert watchdog.stalls == 1


async def test_it_names_an_actor_that_does_not_yield_when_it_has_heard_something() -> None:
    block, heard = Block(), trio.Event()
    cell: ActorCell[str] = ActorCell(
        "pod/connections/1", lambda: Hearing(block, heard), dead_letters=DeadLetters()
    )
    async with watching(block.watchdog()):
        await cell.run(lambda: None)
    (stall,) = block.stalls
    assert (stall.path, stall.handler) == ("pod/connections/1", "Hearing.listen")


async def test_a_stall_outside_any_actor_is_reported_without_a_name() -> None:
    block = Block()
    async with watching(block.watchdog()):
        block.block()
    (stall,) = block.stalls
    assert (stall.path, stall.handler) == (None, None)
    assert "block.block()" in stall.stack


async def test_what_the_thread_logs_says_the_pod() -> None:
    block = Block()
    bound: list[dict[str, object]] = []

    def report(stall: Stall) -> None:
        bound.append(structlog.contextvars.get_contextvars())
        block.report(stall)

    bind_log_context(pod="p1")
    async with watching(block.watchdog(report)):
        block.block()
    assert bound == [{"pod": "p1"}]


async def test_a_report_that_fails_does_not_end_the_watch() -> None:
    block = Block()

    def report(stall: Stall) -> None:
        block.report(stall)
        if len(block.stalls) == 1:
            raise ValueError("bug in the report")

    with capture_logs() as logs:
        async with watching(block.watchdog(report)):
            block.block()
            await answered()
            block.block()
    assert len(block.stalls) == 2
    assert [log["event"] for log in logs] == ["reporting a stall failed"]


async def answered() -> None:
    """Wait until trio's loop has taken in what other threads posted before."""
    turned = trio.Event()
    token = trio.lowlevel.current_trio_token()
    await trio.to_thread.run_sync(lambda: token.run_sync_soon(turned.set))
    await turned.wait()


async def test_a_loop_that_turns_between_ticks_is_never_reported() -> None:
    token, enough, ticks = trio.lowlevel.current_trio_token(), trio.Event(), 0
    stalls: list[Stall] = []

    def clock() -> float:
        nonlocal ticks
        turned = threading.Event()
        token.run_sync_soon(turned.set, idempotent=True)
        turned.wait(PATIENCE)
        ticks += 1
        if ticks == 50:
            token.run_sync_soon(enough.set)
        return ticks * 0.001

    async with watching(
        Watchdog(interval=0.001, threshold=0.001, report=stalls.append, clock=clock)
    ):
        await enough.wait()
    assert stalls == []


async def test_its_thread_ends_with_it_and_a_new_run_has_a_new_one() -> None:
    watchdog = Watchdog(interval=0.001)
    for _ in range(2):
        async with watching(watchdog):
            (thread,) = watchdog_threads()
            assert thread.daemon
        assert watchdog_threads() == []


async def test_by_default_it_logs_an_error_that_names_the_actor() -> None:
    block, handled = Block(), trio.Event()
    cell: ActorCell[str] = ActorCell(
        "pod/stuck", lambda: Stuck(block, handled), dead_letters=DeadLetters()
    )
    lines: list[EventDict] = []

    def release(logger: object, method: str, line: EventDict) -> EventDict:
        lines.append(line)
        block.released.set()
        raise structlog.DropEvent

    with capture_logs():  # which restores the processors afterwards
        structlog.get_config()["processors"].insert(0, release)
        watchdog = Watchdog(interval=0.001, threshold=0.005, clock=block.clock)
        async with watching(watchdog), trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: cell.run(task_status.started))
            cell.ref.tell("go")
            await handled.wait()
            cell.request_stop("over")
    (line,) = lines
    assert (line["actor"], line["handler"]) == ("pod/stuck", "Stuck.compute")
    assert "trio.to_thread" in line["remedy"]
