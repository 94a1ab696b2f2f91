"""What rooms say and answer when their code raises, and when they end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
import trio
from attrs import evolve, frozen
from trio.testing import MockClock

from deployd.actors import (
    JSON,
    ActorDead,
    Degraded,
    Exit,
    Healed,
    Member,
    NotAMember,
    OutageCode,
    Poisoned,
    Receipt,
    Request,
    Room,
    RoomError,
    handles,
)
from deployd.config import Config
from deployd.supervisors import Pod
from deployd.transport import Problem, Scope
from support import Client, connected, pod_config, running_pod
from support.clients import until


def config(**limits: Any) -> Config:
    return pod_config(message_rate_limit=0, abuse_limit=1000, emit_timeout=2.0, **limits)


async def everything(client: Client, seconds: float = 1.0) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    with trio.move_on_after(seconds):
        while True:
            told.append(await client.receive())
    return told


def answers(told: list[dict[str, Any]], request_id: object) -> list[str]:
    mine = [m for m in told if m.get("id") == request_id]
    return [m["data"]["code"] if m["type"] == "error" else m["type"] for m in mine]


def events(told: list[dict[str, Any]]) -> list[str]:
    return [m["event"] for m in told if m["type"] == "emit"]


# All hooks × raising ---------------------------------------------------------------------------


class Ask(Request[int]):
    """Ask the room for a number."""


class Raises(Room[None]):
    """Says `half` and raises, in the hook that is armed; waits in between when `waits`."""

    armed: ClassVar[str] = ""
    waits: ClassVar[bool] = False

    async def _raise(self, where: str) -> None:
        if Raises.armed != where:
            return
        Raises.armed = ""
        self.broadcast("half", where)
        for member in self.members.values():
            self.send_to(member, "half", where)
        if self.waits:
            await trio.lowlevel.checkpoint()
        raise RuntimeError(where)

    async def authorize_join(self, member: Member) -> bool:
        await self._raise("authorize_join")
        return True

    async def on_join(self, member: Member) -> None:
        await self._raise("on_join")

    async def on_leave(self, member: Member, reason: str) -> None:
        await self._raise("on_leave")

    async def on_identity(self, member: Member) -> None:
        await self._raise("on_identity")

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        await self._raise("authorize_emit")
        return True

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "timer":
            self.after(0.1, self.tick)
        await self._raise("on_message")
        self.broadcast(event, data)

    async def tick(self) -> None:
        await self._raise("timer")

    async def on_server_emit(self, event: str, data: JSON) -> None:
        await self._raise("on_server_emit")
        self.broadcast(event, data)

    @handles(Ask)
    async def ask(self, message: Ask) -> int:
        await self._raise("handler")
        return 1

    async def on_degraded(self, outage: Degraded) -> None:
        await self._raise("on_degraded")

    async def on_healed(self, healed: Healed) -> None:
        await self._raise("on_healed")

    async def on_drain(self) -> None:
        await self._raise("on_drain")


Trigger = Callable[[Pod, Client], Awaitable[object]]


async def joins(pod: Pod, actor: Client) -> None:
    await actor.send("join", room="r", id="x")


async def leaves(pod: Pod, actor: Client) -> None:
    await actor.send("leave", room="r", id="x")


async def signs_in(pod: Pod, actor: Client) -> None:
    token = pod.tokens.sign("ada", username="ada", is_root=False, ttl=60)
    await actor.send("auth", token=token, id="x")


async def says(pod: Pod, actor: Client) -> None:
    await actor.send("emit", room="r", event="said", id="x")


async def sets_a_timer(pod: Pod, actor: Client) -> None:
    await actor.send("emit", room="r", event="timer", id="x")


async def is_told_by_the_pod(pod: Pod, actor: Client) -> Receipt:
    return await pod.hub.send_to_room("r", "news", 1, timeout=1)


async def is_asked(pod: Pod, actor: Client) -> object:
    try:
        return await pod.hub.room("r").ask(Ask(), timeout=1)
    except Poisoned as error:
        return error


async def is_cut_off(pod: Pod, actor: Client) -> None:
    pod.rooms.tell_all(Degraded(OutageCode.CUT_OFF, 0.0))


async def is_healed(pod: Pod, actor: Client) -> None:
    pod.rooms.tell_all(Healed(0.0, 1.0, 0, 0, 0))


async def is_drained(pod: Pod, actor: Client) -> None:
    with trio.fail_after(1):
        await pod.rooms.drain(0.5)


@frozen
class Case:
    hook: str
    trigger: Trigger
    member: bool = True
    answer: str | None = None
    late_answer: str | None = None


CASES = [
    Case("authorize_join", joins, member=False, answer="room_crashed"),
    Case("on_join", joins, member=False, answer="room_crashed", late_answer="join"),
    Case("on_leave", leaves, answer="leave"),
    Case("authorize_join", signs_in, answer="auth"),
    Case("on_identity", signs_in, answer="auth"),
    Case("authorize_emit", says, answer="room_crashed"),
    Case("on_message", says, answer="room_crashed"),
    Case("timer", sets_a_timer, answer="receipt"),
    Case("on_server_emit", is_told_by_the_pod),
    Case("handler", is_asked),
    Case("on_degraded", is_cut_off),
    Case("on_healed", is_healed),
    Case("on_drain", is_drained),
]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after it has waited"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.hook}-{case.trigger.__name__}")
async def test_a_hook_that_raises_has_said_nothing_since_it_waited_and_all_are_answered(
    case: Case, waits: bool, autojump_clock: MockClock
) -> None:
    async with (
        running_pod(config(), {"r": Raises}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ben.join("r")
        if case.member:
            await ada.join("r")
        Raises.armed, Raises.waits = case.hook, waits
        outcome = await case.trigger(pod, ada)
        told = await everything(ada)
        assert Raises.armed == ""
        heard = events(await everything(ben))
        assert ("half" in heard) == waits
        expected = case.late_answer if waits and case.late_answer else case.answer
        if expected is not None:
            assert answers(told, "x") == [expected]
        if isinstance(outcome, Receipt):
            assert outcome.scope is (Scope.LOCAL if waits else Scope.REJECTED)
        if case.hook == "handler":
            assert isinstance(outcome, Poisoned)
        crashed = [m for m in told if m["type"] == "error" and m.get("id") == "x"]
        for problem in crashed:
            assert ("dropped it" in problem["error"]) <= (not waits)
        # The room goes on, and what is said next has the next number: nobody looks for a gap.
        await ben.send("emit", room="r", event="after", id="y")
        told = await everything(ben)
        assert answers(told, "y") == ["receipt"]
        assert events(told) == ["after"]


class Starts(Room[int]):
    """Fails as it starts until it may."""

    fails: ClassVar[int] = 0

    async def on_start(self) -> None:
        if Starts.fails:
            Starts.fails -= 1
            raise RuntimeError("not yet")

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if data == "crash":
            raise RuntimeError("on purpose")
        self.broadcast(event, data)


async def test_a_room_that_fails_to_come_back_keeps_its_members_and_their_words(
    autojump_clock: MockClock,
) -> None:
    Starts.fails = 0
    async with (
        running_pod(config(), {"r": Starts}) as pod,
        connected(pod, ping_interval=None) as [ada],
    ):
        await ada.join("r")
        Starts.fails = 5
        await ada.send("emit", room="r", event="said", data="crash", id=1)
        await ada.send("emit", room="r", event="said", data="after", id=2)
        told = await everything(ada, 3)
        assert answers(told, 1) == ["room_crashed"]
        assert answers(told, 2) == ["receipt"]
        assert events(told) == ["said"]


# All endings × what waits ----------------------------------------------------------------------


class Ends(Room[None]):
    """Ends in each way there is, while things wait for it."""

    gate: ClassVar[trio.Event]
    entered: ClassVar[trio.Event]
    stopping: ClassVar[trio.Event]
    left: ClassVar[list[str]]

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "end":
            self.entered.set()
            await self.gate.wait()
            if data == "stop":
                self.stop("over")
            elif data != "is stopped":
                raise RuntimeError("always")
        elif event == "crash":
            raise RuntimeError("always")

    async def on_server_emit(self, event: str, data: JSON) -> None:
        raise RuntimeError("always")

    async def on_leave(self, member: Member, reason: str) -> None:
        self.left.append(member.client_id)

    @handles(Ask)
    async def ask(self, message: Ask) -> int:
        return 1

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        self.stopping.set()
        if not exit.abnormal:
            raise RuntimeError("on_stop fails too")


async def stops(pod: Pod) -> None:
    """It is told in the hook: see `Ends.on_message`."""


async def is_given_up(pod: Pod) -> None:
    for _ in range(200):
        pod.hub.emit_to_room("r", "x", 1)


async def is_stopped(pod: Pod) -> None:
    pod.parts.watched.room_tree.stop_child("r", "enough")


async def is_killed(pod: Pod) -> None:
    pod.parts.watched.room_tree.stop_child("r", "enough")
    await trio.sleep(6)  # longer than a room may take


ENDINGS = {"stop": stops, "give up": is_given_up, "is stopped": is_stopped, "kill": is_killed}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_whatever_ends_a_room_answers_all_that_waits_for_it_once(
    ending: str, autojump_clock: MockClock
) -> None:
    Ends.gate, Ends.entered, Ends.stopping, Ends.left = trio.Event(), trio.Event(), trio.Event(), []
    receipts: list[Receipt] = []
    asked: list[object] = []
    async with (
        running_pod(config(), {"r": Ends}) as pod,
        connected(pod, 3, ping_interval=None) as [ada, ben, cid],
        trio.open_nursery() as nursery,
    ):

        async def send() -> None:
            receipts.append(await pod.hub.send_to_room("r", "x", 1, timeout=60))

        async def ask() -> None:
            try:
                asked.append(await pod.hub.room("r").ask(Ask(), timeout=60))
            except ActorDead as error:
                asked.append(error)

        for client in (ada, ben, cid):
            await client.join("r")
        await ada.send("emit", room="r", event="end", data=ending, id="end")
        await Ends.entered.wait()
        await cid.ask("leave", room="r")
        for n in range(5):
            await ben.send("emit", room="r", event="crash", id=n)
        await until(lambda: waiting(pod) >= 6)
        nursery.start_soon(send)
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await ENDINGS[ending](pod)
        Ends.gate.set()
        told = [await everything(client, 9.5) for client in (ada, ben)]
        await trio.sleep(20)
        assert len(answers(told[0], "end")) == 1
        for n in range(5):
            [answer] = answers(told[1], n)
            assert answer in ("room_closed", "room_crashed", "room_busy")
        for messages in told:
            assert [m for m in messages if m["type"] == "error" and "id" not in m]
        [receipt] = receipts
        assert receipt.scope is Scope.REJECTED
        assert receipt.reason
        assert len(asked) == 1
        assert pod.rooms.find("r") is None
        if ending in ("stop", "is stopped"):
            assert Ends.left == [cid.client_id]


def waiting(pod: Pod) -> int:
    [room] = [c for c in pod.parts.watched.room_tree.children.values() if c.path == "pod/rooms/r"]
    return int(room.waiting)  # type: ignore[attr-defined]


class Lingers(Room[None]):
    """Takes its time to end."""

    heard: ClassVar[list[str]]
    stopping: ClassVar[trio.Event]

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.heard.append(event)

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        self.stopping.set()
        await trio.sleep(1)


async def test_who_knocks_at_a_room_that_ends_of_idleness_comes_into_the_next(
    autojump_clock: MockClock,
) -> None:
    Lingers.stopping, Lingers.heard = trio.Event(), []
    async with (
        running_pod(config(room_cleanup_interval=1), {"r": Lingers}) as pod,
        connected(pod, ping_interval=None) as [ada],
    ):
        pod.hub.emit_to_room("r", "first", 1)
        await Lingers.stopping.wait()
        await ada.send("join", room="r", id=1)
        receipt = await pod.hub.send_to_room("r", "second", 1, timeout=3)
        assert (receipt.scope, Lingers.heard) == (Scope.REJECTED, ["first"])
        told = await everything(ada)
        assert answers(told, 1) == ["join"]
        assert pod.rooms.find("r") is not None


class Plain(Room[None]):
    """A room whose class overrides nothing."""


async def test_a_room_that_ends_while_the_pod_waits_for_it_holds_the_drain_up_no_longer(
    autojump_clock: MockClock,
) -> None:
    Ends.gate, Ends.entered, Ends.stopping, Ends.left = trio.Event(), trio.Event(), trio.Event(), []
    async with (
        running_pod(config(), {"r": Ends}) as pod,
        connected(pod, ping_interval=None) as [ada],
        trio.open_nursery() as nursery,
    ):
        await ada.join("r")
        await ada.send("emit", room="r", event="end", data="stop")
        await Ends.entered.wait()
        started, drained = trio.current_time(), trio.Event()

        async def drain() -> None:
            await pod.rooms.drain(10)
            drained.set()

        nursery.start_soon(drain)
        await trio.testing.wait_all_tasks_blocked()
        Ends.gate.set()  # it ends and has not come to the drain
        await drained.wait()
        assert trio.current_time() - started < 5


# Whom one tells --------------------------------------------------------------------------------


class Whispers(Room[None]):
    """Tells somebody, in each way and of each kind there is."""

    ways: ClassVar[dict[str, Callable[[Room[None], Any], object]]] = {
        "send_to": lambda room, to: room.send_to(to, "secret", 1),
        "broadcast, to": lambda room, to: room.broadcast(
            "secret", 1, to=[*room.members.values(), to]
        ),
        "tell_problem": lambda room, to: room.tell_problem(to, Problem("secret", "")),
    }
    raised: ClassVar[list[Exception]]
    kept: ClassVar[dict[str, Member]] = {}

    async def on_leave(self, member: Member, reason: str) -> None:
        self.kept["who has left"] = member

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        assert isinstance(data, list)
        way, kind = data
        strangers = {"None": None, "a name": "ada", "a stranger": member.client}  # type: ignore[attr-defined]
        to = self.kept.get(str(kind)) or strangers.get(str(kind))
        try:
            self.ways[str(way)](self, to)
        except RoomError as error:
            self.raised.append(error)
            raise


@pytest.mark.parametrize("kind", ["None", "a name", "a stranger", "who has left"])
@pytest.mark.parametrize("way", ["send_to", "broadcast, to", "tell_problem"])
async def test_what_is_meant_for_one_who_is_no_member_is_told_to_nobody(
    way: str, kind: str, autojump_clock: MockClock
) -> None:
    Whispers.raised = []
    async with (
        running_pod(config(), {"r": Whispers}) as pod,
        connected(pod, 3, ping_interval=None) as [ada, ben, cid],
    ):
        for client in (ada, ben, cid):
            await client.join("r")
        await cid.ask("leave", room="r")
        await ada.send("emit", room="r", event="x", data=[way, kind], id=1)
        for client in (ada, ben, cid):
            told = await everything(client)
            assert events(told) == []
            assert answers(told, 1) == (["room_crashed"] if client is ada else [])
        [error] = Whispers.raised
        assert isinstance(error, NotAMember)
        assert "no member of the room 'r'" in str(error)


async def test_receipts_never_say_local_where_nobody_could_hear(autojump_clock: MockClock) -> None:
    async with running_pod(config(), {"b": Plain}) as pod:
        said = [
            pod.hub.emit_to_room("nobody", "x", 1),
            await pod.hub.send_to_room("nobody", "x", 1),
            pod.hub.emit_to_room("b", "x", 1),
            await pod.hub.send_to_room("b", "x", 1),
            pod.hub.emit_to_all("x", 1),
            await pod.hub.send_to_all("x", 1),
        ]
        assert {receipt.scope for receipt in said} == {Scope.REJECTED}
        assert all(receipt.reason for receipt in said)
        async with connected(pod, ping_interval=None) as [ada]:
            await ada.join("b")
            await ada.join("c")
            for room in ("b", "c"):
                assert pod.hub.emit_to_room(room, "x", 1).scope is Scope.LOCAL
            assert (await pod.hub.send_to_all("x", 1)).scope is Scope.LOCAL
            assert events(await everything(ada)) == ["x", "x", "x"]
            assert evolve(pod.hub.emit_to_room("d", "x", 1), id="").scope is Scope.REJECTED
