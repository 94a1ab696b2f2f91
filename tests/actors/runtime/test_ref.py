"""References: tell, send, ask, monitor, alive or dead."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from attrs import frozen

from deployd.actors import (
    Actor,
    ActorCell,
    ActorDead,
    AskTimeout,
    DeadLetters,
    Delivery,
    Down,
    Exit,
    ExitKind,
    Mailbox,
    MailboxFull,
    Overflow,
    Poisoned,
    Request,
    Unhandled,
    conflate,
    handles,
)


@frozen
class Add:
    amount: int


@frozen
class Get(Request[int]):
    pass


@frozen
class Divide(Request[float]):
    by: int


@frozen
class Wait(Request[None]):
    pass


@frozen
class Unknown(Request[None]):
    pass


class Counter(Actor):
    def __init__(self) -> None:
        self.value = 0
        self.gate = trio.Event()

    @handles(Add)
    async def add(self, message: Add) -> None:
        self.value += message.amount

    @handles(Get)
    async def get(self, message: Get) -> int:
        return self.value

    @handles(Divide)
    async def divide(self, message: Divide) -> float:
        return self.value / message.by

    @handles(Wait)
    async def wait(self, message: Wait) -> None:
        await self.gate.wait()


class Watcher(Actor):
    def __init__(self) -> None:
        self.seen: list[Down] = []

    @handles(Down)
    async def down(self, message: Down) -> None:
        self.seen.append(message)


def new_cell(
    actor: Actor | type[Actor] = Counter, path: str = "pod/counter", **kwargs: Any
) -> ActorCell[Any]:
    factory = actor if isinstance(actor, type) else lambda: actor
    return ActorCell(path, factory, dead_letters=kwargs.pop("letters", DeadLetters()), **kwargs)


async def run(
    cell: ActorCell[Any], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    await cell.run(task_status.started)


async def test_a_reference_knows_its_actors_path_incarnation_and_whether_it_lives(
    nursery: trio.Nursery,
) -> None:
    cell = new_cell()
    ref = cell.ref
    assert (ref.path, ref.name, ref.incarnation, ref.alive) == ("pod/counter", "counter", 0, True)
    await nursery.start(run, cell)
    assert repr(ref) == "<ActorRef pod/counter#1>"
    cell.request_stop()
    await trio.testing.wait_all_tasks_blocked()
    assert ref.alive
    cell.terminated(Exit.normal())
    assert not ref.alive


def test_references_are_equal_when_they_mean_the_same_actor() -> None:
    cell, other = new_cell(), new_cell()
    same = type(cell.ref)(cell)
    assert cell.ref == same
    assert hash(cell.ref) == hash(same)
    assert cell.ref != other.ref
    assert len({cell.ref, same, other.ref}) == 2


async def test_messages_told_before_the_start_wait_for_it(nursery: trio.Nursery) -> None:
    cell = new_cell()
    assert cell.ref.tell(Add(2)) is Delivery.ACCEPTED
    assert await cell.ref.send(Add(3)) is Delivery.ACCEPTED
    await nursery.start(run, cell)
    assert await cell.ref.ask(Get(), timeout=1) == 5


async def test_a_dead_actor_takes_nothing_and_the_message_is_a_dead_letter() -> None:
    letters = DeadLetters()
    cell = new_cell(letters=letters)
    cell.terminated(Exit.normal("bored"))
    assert cell.ref.tell(Add(1)) is Delivery.DEAD
    assert await cell.ref.send(Add(1)) is Delivery.DEAD
    with pytest.raises(ActorDead, match="bored"):
        await cell.ref.ask(Get(), timeout=1)
    assert letters.statistics().by_reason == {"dead": 2}


async def test_a_message_counts_with_the_bytes_it_says_it_has() -> None:
    class Heavy:
        nbytes = 1000

    cell = new_cell(mailbox=Mailbox(max_bytes=1063))
    assert cell.ref.tell(Heavy())
    assert not cell.ref.tell(Add(1))


async def test_send_waits_for_room(nursery: trio.Nursery) -> None:
    cell = new_cell(mailbox=Mailbox(max_messages=1, overflow=Overflow.BLOCK))
    cell.ref.tell(Add(1))
    nursery.start_soon(cell.ref.send, Add(2))
    await trio.testing.wait_all_tasks_blocked()
    await nursery.start(run, cell)
    assert await cell.ref.ask(Get(), timeout=1) == 3


# -- ask ---------------------------------------------------------------------------------------


async def test_an_answer_that_is_late_is_a_timeout_that_names_actor_and_request(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    cell = new_cell()
    await nursery.start(run, cell)
    with pytest.raises(AskTimeout, match=r"'pod/counter' did not answer Wait within 2\.5 s"):
        await cell.ref.ask(Wait(), timeout=2.5)
    assert trio.current_time() == pytest.approx(2.5)


async def test_waiting_for_room_counts_against_the_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    cell = new_cell(mailbox=Mailbox(max_messages=1, overflow=Overflow.BLOCK))
    cell.ref.tell(Add(1))
    with pytest.raises(AskTimeout):
        await cell.ref.ask(Get(), timeout=3)
    assert trio.current_time() == pytest.approx(3)
    assert cell.mailbox.statistics().accepted == 1


async def test_a_request_that_nobody_waits_for_any_more_is_not_begun(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    letters = DeadLetters()
    cell = new_cell(letters=letters)
    with pytest.raises(AskTimeout):
        await cell.ref.ask(Divide(0), timeout=1)
    await nursery.start(run, cell)
    assert await cell.ref.ask(Get(), timeout=1) == 0
    assert letters.statistics().by_reason == {"withdrawn": 1}


@pytest.mark.parametrize("begun", [True, False])
async def test_an_ask_fails_at_once_when_the_actor_dies(
    begun: bool, autojump_clock: trio.testing.MockClock
) -> None:
    cell = new_cell()
    async with trio.open_nursery() as nursery:
        await nursery.start(run, cell)
        if not begun:
            cell.ref.tell(Wait())

        async def ask() -> None:
            with pytest.raises(ActorDead, match="gone"):
                await cell.ref.ask(Wait(), timeout=1000)
            nursery.cancel_scope.cancel()

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        cell.terminated(Exit.killed("gone"))
    assert trio.current_time() == 0


async def test_an_ask_survives_a_restart_of_the_one_it_waits_for(nursery: trio.Nursery) -> None:
    class Moody(Actor):
        tries = 0

        @handles(Get)
        async def get(self, message: Get) -> int:
            Moody.tries += 1
            if Moody.tries == 1:
                raise ValueError("not now")
            return 42

    cell = new_cell(Moody)

    async def supervise() -> None:
        with pytest.raises(ValueError, match="not now"):
            await run(cell)
        await run(cell)

    nursery.start_soon(supervise)
    assert await cell.ref.ask(Get(), timeout=1) == 42
    assert cell.ref.incarnation == 2


async def test_a_request_that_crashes_its_actor_every_time_is_poison(
    nursery: trio.Nursery,
) -> None:
    cell = new_cell()

    async def supervise() -> None:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await run(cell)

    nursery.start_soon(supervise)
    with pytest.raises(Poisoned, match="Divide ended 'pod/counter'") as caught:
        await cell.ref.ask(Divide(0), timeout=1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_an_ask_without_a_handler_fails_at_once(nursery: trio.Nursery) -> None:
    letters = DeadLetters()
    cell = new_cell(letters=letters)
    await nursery.start(run, cell)
    with pytest.raises(Unhandled, match="no handler for Unknown"):
        await cell.ref.ask(Unknown(), timeout=1)
    assert letters.statistics().by_reason == {"unhandled": 1}
    assert await cell.ref.ask(Get(), timeout=1) == 0


@pytest.mark.parametrize(
    "overflow", [Overflow.FAIL, Overflow.DROP_NEWEST, Overflow.DISCONNECT, conflate(type)]
)
async def test_an_ask_that_finds_no_room_says_so(overflow: Any) -> None:
    cell = new_cell(mailbox=Mailbox(max_messages=1, overflow=overflow))
    cell.ref.tell(Add(1))
    with pytest.raises(MailboxFull, match="at most 1 messages"):
        await cell.ref.ask(Get(), timeout=1)


async def test_an_ask_displaced_by_newer_messages_says_so() -> None:
    cell = new_cell(mailbox=Mailbox(max_messages=1, overflow=Overflow.DROP_OLDEST))

    async def ask() -> None:
        with pytest.raises(MailboxFull):
            await cell.ref.ask(Get(), timeout=1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        cell.ref.tell(Add(1))


async def test_asks_are_never_conflated(nursery: trio.Nursery) -> None:
    cell = new_cell(mailbox=Mailbox(overflow=conflate(type)))
    answers: list[int] = []

    async def ask() -> None:
        answers.append(await cell.ref.ask(Get(), timeout=1))

    async with trio.open_nursery() as asking:
        for _ in range(3):
            asking.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await nursery.start(run, cell)
    assert answers == [0, 0, 0]


async def test_the_answer_to_a_request_that_was_only_told_is_nobodys(
    nursery: trio.Nursery,
) -> None:
    cell = new_cell()
    await nursery.start(run, cell)
    assert cell.ref.tell(Get())
    assert await cell.ref.ask(Get(), timeout=1) == 0


# -- monitors ----------------------------------------------------------------------------------


async def test_a_watcher_is_told_of_the_end_once_and_not_of_restarts(
    nursery: trio.Nursery,
) -> None:
    watcher, cell = Watcher(), new_cell()
    watching = new_cell(watcher, "pod/watcher")
    await nursery.start(run, watching)
    cell.ref.monitor(watching.ref)
    cell.ref.monitor(watching.ref)
    cell.ref.tell(Divide(0))
    with pytest.raises(ZeroDivisionError):
        await run(cell)
    await trio.testing.wait_all_tasks_blocked()
    assert watcher.seen == []
    cell.terminated(Exit.killed("given up"))
    cell.terminated(Exit.normal("too late"))
    assert cell.exit == Exit.killed("given up")
    await trio.testing.wait_all_tasks_blocked()
    assert watcher.seen == [Down(cell.ref, Exit(ExitKind.KILLED, "given up"))]


async def test_who_monitors_a_dead_actor_is_told_now(nursery: trio.Nursery) -> None:
    watcher, cell = Watcher(), new_cell()
    watching = new_cell(watcher, "pod/watcher")
    cell.terminated(Exit.normal("done"))
    cell.ref.monitor(watching.ref)
    await nursery.start(run, watching)
    await trio.testing.wait_all_tasks_blocked()
    assert watcher.seen == [Down(cell.ref, Exit.normal("done"))]


async def test_a_monitor_taken_back_tells_nothing(nursery: trio.Nursery) -> None:
    watcher, cell = Watcher(), new_cell()
    watching = new_cell(watcher, "pod/watcher")
    cell.ref.demonitor(watching.ref)
    cell.ref.monitor(watching.ref)
    cell.ref.demonitor(watching.ref)
    cell.terminated(Exit.normal())
    await nursery.start(run, watching)
    await trio.testing.wait_all_tasks_blocked()
    assert watcher.seen == []


async def test_a_down_arrives_though_the_mailbox_is_full(nursery: trio.Nursery) -> None:
    watcher, cell = Watcher(), new_cell()
    watching = new_cell(watcher, "pod/watcher", mailbox=Mailbox(max_messages=1))
    watching.ref.tell("anything")
    assert not watching.ref.tell("more")
    cell.ref.monitor(watching.ref)
    cell.terminated(Exit.normal())
    await nursery.start(run, watching)
    await trio.testing.wait_all_tasks_blocked()
    assert len(watcher.seen) == 1


def test_dead_watchers_are_not_collected() -> None:
    cell = new_cell()
    alive = new_cell(Watcher)
    cell.ref.monitor(alive.ref)
    for _ in range(500):
        dead = new_cell(Watcher)
        cell.ref.monitor(dead.ref)
        dead.terminated(Exit.normal())
    assert cell._watchers is not None
    assert len(cell._watchers) <= 16
    assert alive.ref in cell._watchers
