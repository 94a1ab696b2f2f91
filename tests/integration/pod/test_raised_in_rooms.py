"""Nothing that a room's code raises ends more than the room: every hook × every exception.

One pod for each hook, and in it one room for each exception: all fail, and the pod, its other rooms
and its clients live on, and whoever asked for something is answered.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import structlog
import trio

from deployd.actors import (
    JSON,
    Actor,
    ActorError,
    Degraded,
    Exit,
    Gap,
    Healed,
    Member,
    OutageCode,
    Request,
    Room,
    handles,
)
from deployd.supervisors import Pod, node_to_json
from deployd.transport import Event
from support import Client, connected, pod_config, running_pod
from support.raised import RAISED, nothing_escapes

LIMITS = {"message_rate_limit": 0, "abuse_limit": 100_000, "emit_timeout": 1.0}
ANSWERED = 10.0
"""Seconds for an answer, or for what comes instead of one."""


class Bad(Request[str]):
    pass


class Well(Request[str]):
    pass


class Bound(Room[int]):
    """A room that raises in one place, unless it is asked whether it is well."""

    grace = 5.0
    place = ""
    raised: Callable[[], BaseException]

    def fail(self, place: str) -> None:
        if place == self.place:
            raise self.raised()

    def __init__(self) -> None:
        self.fail("__init__")

    def initial_state(self) -> int:
        self.fail("initial_state")
        return 0

    async def on_start(self) -> None:
        self.fail("on_start")
        if self.place == "after":
            self.after(0.05, self.tick)
        elif self.place == "every":
            self.every(0.05, self.tick)

    async def tick(self) -> None:
        self.fail("after")
        self.fail("every")

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        self.fail("on_stop")

    async def on_idle(self) -> None:
        await super().on_idle()
        self.fail("on_idle")

    def on_lost(self, message: object, error: Exception) -> None:
        super().on_lost(message, error)
        self.fail("on_lost")

    async def authorize_join(self, member: Member) -> bool:
        self.fail("authorize_join")
        return True

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        self.fail("authorize_emit")
        return True

    async def on_join(self, member: Member) -> None:
        self.fail("on_join")

    async def on_identity(self, member: Member) -> None:
        self.fail("on_identity")

    async def on_drop(self, member: Member) -> None:
        self.fail("on_drop")

    async def on_return(self, member: Member) -> None:
        self.fail("on_return")

    async def on_leave(self, member: Member, reason: str) -> None:
        self.fail("on_leave")

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.fail("on_message")
        if self.place == "on_lost":
            raise ValueError("first")
        self.broadcast(event, data)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.fail("on_server_emit")

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        self.fail("on_remote_emit")

    async def on_degraded(self, outage: Degraded) -> None:
        self.fail("on_degraded")

    async def on_healed(self, healed: Healed) -> None:
        self.fail("on_healed")

    async def on_gap(self, gap: Gap) -> None:
        self.fail("on_gap")

    async def on_drain(self) -> None:
        self.fail("on_drain")

    @handles(Bad)
    async def bad(self, message: Bad) -> str:
        self.fail("handler")
        return "done"

    @handles(Well)
    async def well(self, message: Well) -> str:
        return "well"


PLACES = [
    *("__init__", "initial_state", "on_start", "on_stop", "on_idle", "on_lost"),
    *("authorize_join", "authorize_emit", "on_join", "on_leave", "on_message"),
    *(
        "on_server_emit",
        "on_remote_emit",
        "on_degraded",
        "on_healed",
        "on_gap",
        "on_drain",
        "on_identity",
        "on_drop",
        "on_return",
    ),
    *("handler", "after", "every"),
]
NEVER_UP = ("__init__", "initial_state", "on_start")


def test_every_hook_of_a_room_is_in_the_table() -> None:
    functions = inspect.getmembers(Room, inspect.isfunction)
    named = {name for name, _ in functions if name.startswith(("on_", "authorize_", "initial"))}
    assert named <= set(PLACES)
    assert {name for name in vars(Actor) if name.startswith("on_")} <= set(PLACES)


class Talk:
    """A client's side of it: what it is answered, by the request's id."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: dict[str, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []

    async def listen(self) -> None:
        while True:
            message = orjson.loads(await self._client.socket.recv())
            self.heard.append(message)
            if message.get("id") is not None:
                self._answers.setdefault(message["id"], message)

    async def ask(self, type_: str, id_: str, **fields: Any) -> dict[str, Any]:
        await self._client.send(type_, id=id_, **fields)
        return await self.answer(id_)

    async def answer(self, id_: str) -> dict[str, Any]:
        with trio.move_on_after(ANSWERED):
            while id_ not in self._answers:  # noqa: ASYNC110
                await trio.sleep(0.01)
            return self._answers[id_]
        raise AssertionError(f"{id_} was never answered")


async def provoke(pod: Pod, talk: Talk, room: str) -> None:
    """Do to a room whatever calls its hooks."""
    await talk.ask("join", f"{room} join", room=room)
    await talk.ask("emit", f"{room} emit", room=room, event="said", data=1)
    ref = pod.hub.room(room)
    with trio.move_on_after(ANSWERED) as patience:
        with contextlib.suppress(ActorError):
            await ref.ask(Bad(), timeout=1.0)
        await pod.hub.send_to_room(room, "told", 1, timeout=1.0)
    assert not patience.cancelled_caught
    remote = Event(room, "said", b"1", f"other-{room}", 1, 0.0)
    pod.rooms.deliver(room, [remote], 100)
    pod.rooms.gap(room, Gap(room, 1, 0.0))
    orjson.dumps(node_to_json(pod.tree()))
    token = pod.tokens.sign(room, username=room, is_root=False, ttl=60.0)
    await talk.ask("auth", f"{room} auth", token=token)
    await vanish_and_return(pod, talk, room)
    await talk.ask("leave", f"{room} leave", room=room)


async def vanish_and_return(pod: Pod, talk: Talk, room: str) -> None:
    """Have the room believe that its member's connection was lost, and let it come back."""
    roster = pod.rooms.roster(room)
    seats = [] if roster is None else roster.seats()
    for seat in seats:
        word = seat.place
        if seat.drop(trio.current_time()) is not None:
            await talk.ask("join", f"{room} back", room=room, resume=word)


async def is_well(pod: Pod, talk: Talk, turn: str) -> None:
    """Hold that a room beside those that fail does all that it should."""
    assert (await talk.ask("join", f"{turn} join", room="good"))["type"] == "join"
    assert (await talk.ask("emit", f"{turn} emit", room="good", event="e"))["type"] == "receipt"
    assert await pod.hub.room("good").ask(Well(), timeout=ANSWERED) == "well"
    assert pod.connections() == 1 + len(RAISED)


@pytest.mark.parametrize("place", PLACES)
async def test_what_a_room_raises_ends_that_room_alone(place: str) -> None:
    names = {f"bad-{n}": name for n, name in enumerate(RAISED)}
    rooms: dict[str, type[Room[Any]]] = {
        room: type("Bad", (Bound,), {"place": place, "raised": staticmethod(RAISED[name])})
        for room, name in names.items()
    }
    rooms["good"] = Bound
    with structlog.testing.capture_logs(), nothing_escapes():
        async with (
            running_pod(pod_config(**LIMITS), rooms) as pod,
            connected(pod, 1 + len(names)) as [client, *others],
            trio.open_nursery() as nursery,
        ):
            talk, *talks = [Talk(one) for one in (client, *others)]
            for one in (talk, *talks):
                nursery.start_soon(one.listen)
            await is_well(pod, talk, "before")
            async with trio.open_nursery() as each:
                for room, one in zip(names, talks, strict=True):
                    each.start_soon(provoke, pod, one, room)
            pod.rooms.tell_all(Degraded(OutageCode.CUT_OFF, 0.0))
            pod.rooms.tell_all(Healed(0.0, 1.0, 0, 0, 0))
            await is_well(pod, talk, "after")
            if place not in NEVER_UP:
                for room in names:
                    assert await pod.hub.room(room).ask(Well(), timeout=ANSWERED) == "well", room
            for room in names:
                pod.parts.watched.room_tree.stop_child(room, "tried")
            await is_well(pod, talk, "at the end")
            assert pod.tree().status.value == "running"
            assert pod.parts.root.restarted == 0
            nursery.cancel_scope.cancel()
