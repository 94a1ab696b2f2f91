"""What survives a crash, how an incarnation ends, and what an idle actor costs."""

from __future__ import annotations

import functools
import gc
import itertools
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from attrs import frozen

from deployd.actors import (
    Actor,
    ActorCell,
    DeadLetters,
    Exit,
    ExitKind,
    Mailbox,
    Overflow,
    Request,
    handles,
)


@frozen
class Note:
    text: str


@frozen
class Crash:
    pass


@frozen
class Block:
    pass


class Scribe(Actor):
    """Writes into a book that outlives its incarnations."""

    def __init__(self, book: list[str]) -> None:
        self.book = book

    @handles(Note)
    async def note(self, message: Note) -> None:
        self.book.append(message.text)

    @handles(Crash)
    async def crash(self, message: Crash) -> None:
        self.book.append("crash")
        raise ValueError("told to")

    @handles(Block)
    async def block(self, message: Block) -> None:
        self.book.append("block")
        await trio.sleep_forever()


class Teller(Scribe):
    """Tells of its whole life."""

    async def on_start(self) -> None:
        self.book.append(f"start {self.ref.incarnation}")

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        self.book.append(f"stop {exit.kind.value} {exit.reason}".strip())

    def on_lost(self, message: object, error: Exception) -> None:
        self.book.append(f"lost {type(message).__name__} to {error}")


def new_cell(actor_class: type[Scribe], book: list[str], **kwargs: Any) -> ActorCell[Any]:
    letters = kwargs.pop("letters", None) or DeadLetters()
    return ActorCell("pod/scribe", lambda: actor_class(book), dead_letters=letters, **kwargs)


async def run(
    cell: ActorCell[Any], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    await cell.run(task_status.started)


async def crash_times(cell: ActorCell[Any], times: int) -> None:
    for _ in range(times):
        with pytest.raises(ValueError, match="told to"):
            await run(cell)


# -- crashes and restarts ----------------------------------------------------------------------


async def test_the_mailbox_survives_a_crash_and_the_message_is_tried_again_first() -> None:
    book: list[str] = []
    cell = new_cell(Teller, book)
    cell.ref.tell(Note("a"))
    cell.ref.tell(Crash())
    cell.ref.tell(Note("b"))
    await crash_times(cell, 2)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        cell.request_stop()
    crashed = ["crash", "stop crashed ValueError: told to"]
    assert book == [
        *("start 1", "a", *crashed),
        *("start 2", *crashed),
        *("start 3", "lost Crash to told to", "b", "stop shutdown"),
    ]
    assert cell.poison == (("Crash", "ValueError: told to"),)
    statistics = cell.statistics()
    assert (statistics.handled, statistics.poisoned, statistics.restarts) == (2, 1, 2)


async def test_an_actor_with_one_attempt_never_repeats_a_message() -> None:
    class Once(Teller):
        attempts = 1

    book: list[str] = []
    letters = DeadLetters()
    cell = new_cell(Once, book, letters=letters)
    cell.ref.tell(Crash())
    await crash_times(cell, 1)
    assert letters.statistics().by_reason == {"poison": 1}
    assert "lost Crash to told to" not in book
    cell.terminated(Exit.killed("given up"))
    assert book[-1] == "lost Crash to told to"


async def test_a_message_that_was_cut_off_in_its_last_attempt_is_not_repeated() -> None:
    class Once(Scribe):
        attempts = 1

    book: list[str] = []
    cell = new_cell(Once, book)
    cell.ref.tell(Block())
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(run, cell)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert book == ["block"]
    assert cell.poison[0][0] == "Block"


async def test_only_the_last_few_poisoned_messages_are_kept() -> None:
    cell = new_cell(type("Once", (Scribe,), {"attempts": 1}), [])
    for _ in range(10):
        cell.ref.tell(Crash())
    await crash_times(cell, 10)
    assert cell.statistics().poisoned == 10
    assert len(cell.poison) == 5


async def test_a_failing_on_lost_is_a_crash_that_is_not_repeated() -> None:
    class Sore(Scribe):
        attempts = 1

        def on_lost(self, message: object, error: Exception) -> None:
            raise ValueError("told to forget")

    book: list[str] = []
    cell = new_cell(Sore, book)
    cell.ref.tell(Crash())
    await crash_times(cell, 2)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        cell.request_stop()
    with structlog.testing.capture_logs() as lines:
        cell.ref.tell(Crash())
        await crash_times(cell, 1)
        cell.terminated(Exit.normal())
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["on_lost failed"]


async def test_a_crash_in_on_start_is_a_crash_and_on_stop_still_runs() -> None:
    started: list[str] = []

    class Stillborn(Scribe):
        async def on_start(self) -> None:
            raise ValueError("told to")

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            self.book.append(exit.kind.value)

    book: list[str] = []
    cell = new_cell(Stillborn, book)
    cell.ref.tell(Note("kept"))
    with pytest.raises(ValueError, match="told to"):
        await cell.run(lambda: started.append("started"))
    assert (book, started, len(cell.mailbox)) == (["crashed"], [], 1)


async def test_a_factory_that_fails_is_a_crash() -> None:
    def fail() -> Actor:
        raise ValueError("told to")

    cell = ActorCell[Any]("pod/none", fail, dead_letters=DeadLetters())
    await crash_times(cell, 2)
    assert cell.ref.incarnation == 2


@pytest.mark.parametrize("depth", [1, 2])
async def test_the_error_comes_out_of_an_actors_own_nurseries_unwrapped(depth: int) -> None:
    class Nested(Scribe):
        async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
            for _ in range(depth):
                loop = functools.partial(in_a_nursery, loop)
            await loop()

    async def in_a_nursery(loop: Callable[[], Awaitable[None]]) -> None:
        async with trio.open_nursery():
            await loop()

    cell = new_cell(Nested, [])
    cell.ref.tell(Crash())
    await crash_times(cell, 1)


async def test_a_group_of_several_errors_stays_one() -> None:
    class Torn(Scribe):
        async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
            raise ExceptionGroup("both", [ValueError("one"), KeyError("other")])

    with pytest.raises(ExceptionGroup, match="both"):
        await run(new_cell(Torn, []))


# -- ends --------------------------------------------------------------------------------------


async def test_a_stop_waits_for_the_current_message_and_leaves_the_rest() -> None:
    book: list[str] = []
    letters = DeadLetters()
    exits: list[Exit] = []
    cell = new_cell(Teller, book, letters=letters, on_terminated=exits.append)
    gate = trio.Event()

    class Slow(Teller):
        async def note(self, message: Note) -> None:
            await gate.wait()
            await super().note(message)

    cell = new_cell(Slow, book, letters=letters, on_terminated=exits.append)
    cell.ref.tell(Note("a"))
    cell.ref.tell(Note("b"))
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        cell.request_stop("drain")
        cell.request_stop("later")
        gate.set()
    assert book == ["start 1", "a", "stop shutdown drain"]
    assert letters.statistics().total == 0
    cell.terminated(Exit.normal())
    assert letters.statistics().by_reason == {"stopped": 1}
    assert exits == [Exit.normal("drain")]


async def test_a_stop_asked_for_before_the_task_runs_is_not_forgotten() -> None:
    book: list[str] = []
    cell = new_cell(Teller, book)
    cell.request_stop("early")
    await run(cell)
    assert book == ["start 1", "stop shutdown early"]


async def test_a_stopped_actor_can_be_run_again() -> None:
    book: list[str] = []
    cell = new_cell(Teller, book)
    cell.request_stop()
    await run(cell)
    cell.ref.tell(Note("again"))
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        cell.request_stop()
    assert "again" in book


async def test_a_cancelled_actor_still_cleans_up_within_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Thorough(Scribe):
        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            await trio.sleep(4)
            self.book.append(exit.kind.value)

    book: list[str] = []
    with trio.move_on_after(1):
        await run(new_cell(Thorough, book))
    assert book == ["killed"]
    assert trio.current_time() == pytest.approx(5)


async def test_an_on_stop_that_does_not_end_is_cut_off_and_said_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Endless(Scribe):
        stop_deadline = 2.0

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            await trio.sleep_forever()

    cell = new_cell(Endless, [])
    cell.request_stop()
    with structlog.testing.capture_logs() as lines:
        await run(cell)
    assert trio.current_time() == pytest.approx(2)
    assert [line["event"] for line in lines] == ["on_stop cut off"]


async def test_a_failing_on_stop_does_not_hide_the_crash() -> None:
    class Clumsy(Scribe):
        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            raise KeyError("on top of it")

    cell = new_cell(Clumsy, [])
    cell.ref.tell(Crash())
    with structlog.testing.capture_logs() as lines:
        await crash_times(cell, 1)
    assert [line["event"] for line in lines] == ["on_stop failed"]


async def test_on_stop_is_spared_when_the_start_was_cancelled() -> None:
    class Slow(Teller):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    book: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, new_cell(Slow, book))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert book == []


async def test_an_overflow_under_disconnect_stops_the_actor_and_says_why() -> None:
    book: list[str] = []
    letters = DeadLetters()
    lost: list[object] = []
    mailbox: Mailbox[Any] = Mailbox(
        max_messages=1,
        overflow=Overflow.DISCONNECT,
        on_drop=lambda message, _: lost.append(message),
    )
    cell = new_cell(Teller, book, mailbox=mailbox, letters=letters)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        cell.ref.tell(Note("a"))
        assert not cell.ref.tell(Note("b"))
    assert book == ["start 1", "stop normal mailbox overflow"]
    assert lost == [Note("b")]
    assert letters.statistics().by_reason == {"mailbox full": 1}
    cell.terminated(Exit.normal())
    assert cell.exit == Exit(ExitKind.NORMAL, "mailbox overflow")


async def test_one_overflow_stops_one_incarnation() -> None:
    mailbox: Mailbox[Any] = Mailbox(max_bytes=100, overflow=Overflow.DISCONNECT)
    cell = new_cell(Teller, [], mailbox=mailbox)

    class Large:
        nbytes = 60

    class TooLarge:
        nbytes = 101

    cell.ref.tell(Large())
    assert not cell.ref.tell(Large())
    await run(cell)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        assert not cell.ref.tell(TooLarge())
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        cell.request_stop()


async def test_an_exit_with_a_reason_of_its_own_keeps_it() -> None:
    cell = new_cell(Teller, [])
    cell.request_stop("asked")
    await run(cell)
    cell.terminated(Exit.shutdown("pod ends"))
    assert cell.exit == Exit.shutdown("pod ends")


@pytest.mark.parametrize(
    ("ended", "abnormal"),
    [
        (Exit.normal(), False),
        (Exit.shutdown(), False),
        (Exit.killed(), True),
        (Exit.crashed(ValueError("x")), True),
    ],
)
def test_crashed_and_killed_are_abnormal(ended: Exit, abnormal: bool) -> None:
    assert ended.abnormal is abnormal


# -- fairness and cost -------------------------------------------------------------------------


async def test_two_busy_actors_take_turns() -> None:
    order: list[str] = []

    class Busy(Scribe):
        async def note(self, message: Note) -> None:
            order.append(message.text)

    cells = [new_cell(Busy, []), new_cell(Busy, [])]
    for cell, text in zip(cells, "ab", strict=True):
        for _ in range(1000):
            cell.ref.tell(Note(text))
    async with trio.open_nursery() as nursery:
        for cell in cells:
            nursery.start_soon(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    turns = [len(list(turn)) for _, turn in itertools.groupby(order)]
    assert sum(turns) == 2000
    # trio may swap the two in a round, so that one has two turns on end.
    assert max(turns) <= 2 * 64


async def test_on_idle_comes_once_each_time_the_mailbox_was_emptied() -> None:
    class Idler(Scribe):
        async def on_idle(self) -> None:
            self.book.append("idle")

    book: list[str] = []
    cell = new_cell(Idler, book)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        for text in "ab":
            cell.ref.tell(Note(text))
            cell.ref.tell(Note(text))
            await trio.testing.wait_all_tasks_blocked()
            cell.wake()
            await trio.testing.wait_all_tasks_blocked()
        cell.request_stop()
    assert book == ["a", "a", "idle", "b", "b", "idle"]


async def test_an_idle_actor_costs_no_task_event_scope_or_container() -> None:
    cells = [new_cell(Scribe, []) for _ in range(100)]
    kinds = (trio.Event, trio.CancelScope, trio.Nursery, trio.lowlevel.Task)

    def census() -> dict[str, int]:
        gc.collect()
        return {
            kind.__name__: sum(type(thing) is kind for thing in gc.get_objects()) for kind in kinds
        }

    async with trio.open_nursery() as nursery:
        before = census()
        for cell in cells:
            cell.ref.tell(Note("once"))
            nursery.start_soon(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        after = census()
        nursery.cancel_scope.cancel()
    assert after == before | {"Task": before["Task"] + 100}
    cell = cells[0]
    assert not hasattr(cell, "__dict__")
    assert not hasattr(cell.mailbox, "__dict__")
    assert (cell._watchers, cell._poison, cell.mailbox._slots, cell.mailbox._waiters) == (None,) * 4
    assert cell.mailbox._queue is cells[1].mailbox._queue, "an idle mailbox holds no deque"
    own = [cell, cell.ref, cell.mailbox, cell.mailbox.on_drop]
    assert sum(sys.getsizeof(thing) for thing in own) < 700  # bytes


# -- introspection -----------------------------------------------------------------------------


async def test_an_actor_says_what_it_is_doing(autojump_clock: trio.testing.MockClock) -> None:
    cell = new_cell(Scribe, [])
    fresh = cell.statistics()
    assert (fresh.kind, fresh.incarnation, fresh.restarts, fresh.alive) == ("", 0, 0, True)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        await trio.testing.wait_all_tasks_blocked()
        idle = cell.statistics()
        assert (idle.handler, idle.handler_seconds, idle.timers) == (None, 0.0, 0)
        cell.ref.tell(Block())
        cell.ref.tell(Note("waits"))
        await trio.sleep(3)
        busy = cell.statistics()
        assert (busy.path, busy.kind, busy.handler) == ("pod/scribe", "Scribe", "Scribe.block")
        assert busy.handler_seconds == pytest.approx(3)
        assert busy.mailbox.waiting == 1
        nursery.cancel_scope.cancel()
    assert cell.statistics().handler is None


async def test_a_timer_and_a_partial_are_named_after_their_function() -> None:
    names: list[str | None] = []

    class Timed(Scribe):
        async def on_start(self) -> None:
            names.append(cell.statistics().handler)
            self.after(0, functools.partial(self.look, "unused"))

        async def look(self, _: str) -> None:
            statistics = cell.statistics()
            names.append(statistics.handler)
            self.stop()

    cell = new_cell(Timed, [])
    await run(cell)
    names = [name.rpartition(".")[2] for name in names if name]
    assert names == ["on_start", "look"]


class Probe(Request[str]):
    pass


async def test_the_cell_is_on_the_stack_while_its_code_runs(nursery: trio.Nursery) -> None:
    def cells_on_stack(frame: FrameType | None) -> list[object]:
        found = []
        while frame is not None:
            if frame.f_code is ActorCell.dispatch.__code__:
                found.append(frame.f_locals["self"])
            frame = frame.f_back
        return found

    seen: list[list[object]] = []

    class Watched(Scribe):
        def look(self) -> None:
            seen.append(cells_on_stack(sys._getframe()))

        async def on_start(self) -> None:
            self.look()
            self.after(0, self.on_idle)

        async def on_idle(self) -> None:
            self.look()

        @handles(Probe)
        async def probe(self, message: Probe) -> str:
            self.look()
            return "seen"

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            self.look()

    cell = new_cell(Watched, [])
    await nursery.start(run, cell)
    assert await cell.ref.ask(Probe(), timeout=1) == "seen"
    await trio.testing.wait_all_tasks_blocked()
    cell.request_stop()
    await trio.testing.wait_all_tasks_blocked()
    assert seen == [[cell]] * 5
