"""Whatever is called from a thread that is not the pod's is refused there, and nothing changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from deployd.actors import (
    Actor,
    ActorCell,
    DeadLetters,
    Later,
    Mailbox,
    Overflow,
    Request,
    Room,
    WrongThread,
    handles,
)
from deployd.supervisors import ChildSpec, Pod, Service
from deployd.transport import Problem
from support import connected, running_pod


class Ping(Request[str]):
    pass


class Lent(Request[Any]):
    pass


class Tea(Room[int]):
    def initial_state(self) -> int:
        return 0

    @handles(Ping)
    async def ping(self, message: Ping) -> str:
        return "pong"

    @handles(Lent)
    async def lent(self, message: Lent) -> Any:
        return self


async def nothing() -> None:
    """Do nothing."""


async def serve(started: Callable[[], None]) -> None:
    started()
    await trio.sleep_forever()


def run_async(function: Callable[..., Any], *args: Any) -> None:
    """Begin a call as a thread without trio would: with a loop of another library, say."""
    coroutine = function(*args)
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


async def in_thread(call: Callable[[], object]) -> BaseException | None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - that is what is looked at
            raised.append(error)

    thread = threading.Thread(target=run, name="a thread of mine")
    thread.start()
    await trio.to_thread.run_sync(thread.join)
    return raised[0] if raised else None


HUB: dict[str, Callable[[Pod], object]] = {
    "emit_to_all": lambda pod: pod.hub.emit_to_all("e", 1),
    "emit_to_room": lambda pod: pod.hub.emit_to_room("tea", "e", 1),
    "emit_to_room, closed": lambda pod: pod.hub.emit_to_room("tea-2", "e", 1),
    "emit_to_room, unbound": lambda pod: pod.hub.emit_to_room("elsewhere", "e", 1),
    "emit_collection_change": lambda pod: pod.hub.emit_collection_change("c", "created", {}),
    "send_to_all": lambda pod: run_async(pod.hub.send_to_all, "e", 1),
    "send_to_room": lambda pod: run_async(pod.hub.send_to_room, "tea", "e", 1),
    "send_collection_change": lambda pod: run_async(
        pod.hub.send_collection_change, "c", "created", {}, 1.0, {}
    ),
    "room": lambda pod: pod.hub.room("tea"),
    "room, closed": lambda pod: pod.hub.room("tea-2"),
    "from_thread": lambda pod: pod.hub.from_thread,
    "bind_room": lambda pod: pod.bind_room("x", Tea),
    "request_stop": lambda pod: pod.request_stop("from elsewhere"),
    "start_child": lambda pod: pod.parts.watched.room_tree.start_child(
        ChildSpec("x", lambda path: Service(path, serve))
    ),
    "stop_child": lambda pod: pod.parts.watched.room_tree.stop_child("tea", "from elsewhere"),
    "supervisor": lambda pod: pod.parts.root.request_stop("from elsewhere"),
}


@pytest.mark.parametrize("name", HUB)
async def test_what_a_pod_offers_is_refused_and_works_on(name: str) -> None:
    async with (
        running_pod(rooms={"tea*": Tea}) as pod,
        connected(pod) as [client],
    ):
        await client.join("tea")
        await trio.testing.wait_all_tasks_blocked(0.01)  # the room waits: to be woken
        error = await in_thread(lambda: HUB[name](pod))
        assert isinstance(error, WrongThread), error
        assert "hub.from_thread" in str(error)
        assert "a thread of mine" in str(error)
        assert len(pod.rooms) == 1
        pod.hub.emit_to_room("tea", "e", 2)
        assert (await client.expect("emit", data=2))["meta"]["seq"] == 1
        assert await pod.hub.room("tea").ask(Ping(), timeout=5) == "pong"
        assert pod.parts.health.unready() is None


async def test_what_is_made_for_threads_is_not_refused() -> None:
    async with running_pod(rooms={"tea*": Tea}) as pod, connected(pod) as [client]:
        await client.join("tea")
        threads_hub = pod.hub.from_thread
        assert await in_thread(lambda: threads_hub.emit_to_room("tea", "e", 1)) is None
        await client.expect("emit", data=1)


ROOM: dict[str, Callable[[Any], object]] = {
    "broadcast": lambda room: room.broadcast("e", 1),
    "broadcast, local": lambda room: room.broadcast("e", 1, local=True),
    "relay": lambda room: room.relay("e", 1),
    "send_to": lambda room: room.send_to(next(iter(room.members.values())), "e", 1),
    "multicast": lambda room: room.multicast(room.members.values(), "e", 1),
    "tell_problem": lambda room: room.tell_problem(
        next(iter(room.members.values())), Problem("odd", "It is odd.")
    ),
    "after": lambda room: room.after(1, nothing),
    "every": lambda room: room.every(1, nothing),
    "stop": lambda room: room.stop("from elsewhere"),
}


@pytest.mark.parametrize("name", ROOM)
async def test_what_a_room_offers_its_hooks_is_refused_and_says_nothing(name: str) -> None:
    async with running_pod(rooms={"tea*": Tea}) as pod, connected(pod) as [client]:
        await client.join("tea")
        room = await pod.hub.room("tea").ask(Lent(), timeout=5)
        error = await in_thread(lambda: ROOM[name](room))
        assert isinstance(error, WrongThread), error
        pod.hub.emit_to_room("tea", "e", 2)
        assert (await client.expect("emit", data=2))["meta"]["seq"] == 1


ACTOR: dict[str, Callable[[Any], object]] = {
    "tell": lambda actor: actor.ref.tell(Ping()),
    "send": lambda actor: run_async(actor.ref.send, Ping()),
    "ask": lambda actor: run_async(actor.ref.ask, Ping(), 1.0),
    "signal": lambda actor: actor.ref.signal(Ping()),
    "monitor": lambda actor: actor.ref.monitor(actor.ref),
    "demonitor": lambda actor: actor.ref.demonitor(actor.ref),
    "stop": lambda actor: actor.stop("from elsewhere"),
    "after": lambda actor: actor.after(1, nothing),
    "every": lambda actor: actor.every(1, nothing),
    "cancel": lambda actor: actor.cancel(actor.timer),
    "timer": lambda actor: actor.timer.cancel(),
    "answer": lambda actor: actor.later.answer("late"),
    "fail": lambda actor: actor.later.fail(ValueError("late")),
}


class Waiting(Actor):
    async def on_start(self) -> None:
        self.timer = self.after(3600, nothing)
        self.later: Later[str] = Later()

    @handles(Ping)
    async def ping(self, message: Ping) -> str:
        return "pong"

    @handles(Lent)
    async def lent(self, message: Lent) -> Any:
        return self


@pytest.mark.parametrize("name", ACTOR)
@pytest.mark.parametrize("overflow", [Overflow.BLOCK, Overflow.FAIL], ids=lambda one: one.value)
async def test_what_an_actor_offers_is_refused_and_works_on(name: str, overflow: Overflow) -> None:
    cell: ActorCell[Any] = ActorCell(
        "pod/waiting", Waiting, mailbox=Mailbox(overflow=overflow), dead_letters=DeadLetters()
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: cell.run(task_status.started))
        actor = await cell.ref.ask(Lent(), timeout=5)
        await trio.testing.wait_all_tasks_blocked()
        before = cell.statistics()
        error = await in_thread(lambda: ACTOR[name](actor))
        assert isinstance(error, WrongThread), error
        assert (cell.statistics().mailbox, cell.statistics().timers) == (before.mailbox, 1)
        assert await cell.ref.ask(Ping(), timeout=5) == "pong"
        cell.request_stop()
