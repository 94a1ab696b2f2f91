"""A room that keeps a diary of who comes and goes, and the states that it can be in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from attrs import evolve

from deployd.actors import JSON, Member, Room
from deployd.config import Access, Auth, Config, Rule, Speaker, Who
from deployd.supervisors import Pod
from deployd.transport import RequestId

from . import Client, connected, find_node, pod_config, running_pod

__all__ = [
    "PATIENCE",
    "STATES",
    "Story",
    "answers",
    "code_of",
    "config",
    "crashed",
    "ended",
    "events",
    "everything",
    "full",
    "hung",
    "rooms_of",
    "sign_in",
    "story",
    "until_told",
    "well",
]


PATIENCE = 2.0
"""Seconds of `limits.emitTimeout` here."""


class Story(Room[None]):
    """Hangs, crashes and ends when it is told to, and writes down who comes and goes."""

    seen: ClassVar[list[tuple[str, str]]]
    released: ClassVar[trio.Event]
    entered: ClassVar[trio.Event]

    async def authorize_join(self, member: Member) -> bool:
        if member.user_id == "slow":
            await self.hang()
        return member.user_id != "mallory"

    async def on_join(self, member: Member) -> None:
        self.seen.append(("join", member.client_id))

    async def on_leave(self, member: Member, reason: str) -> None:
        self.seen.append(("leave", member.client_id))

    async def on_identity(self, member: Member) -> None:
        self.seen.append(("identity", str(member.user_id)))

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "hang":
            await self.hang()
            self.broadcast("said in the hook", data)
            await trio.lowlevel.checkpoint()
        elif event == "crash":
            raise RuntimeError("on purpose")
        elif event == "end":
            self.stop("over")
        self.broadcast(event, data)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        if event == "hang":
            await self.hang()
        self.broadcast(event, data)

    @classmethod
    async def hang(cls) -> None:
        cls.entered.set()
        await cls.released.wait()


def config(**limits: Any) -> Config:
    rules = {"closed-*": Rule(join=Who.AUTHENTICATED), "open-*": Rule(emit=Speaker.ANYONE)}
    limits = {"message_rate_limit": 0, "room_mailbox_size": 4, "abuse_limit": 1000} | limits
    return evolve(
        pod_config(emit_timeout=PATIENCE, **limits),
        access=Access(rules=rules),
        auth=Auth(on_expiry="downgrade", leeway=0.0),
    )


@asynccontextmanager
async def story(count: int, **limits: Any) -> AsyncIterator[tuple[Pod, list[Client]]]:
    Story.seen, Story.released, Story.entered = [], trio.Event(), trio.Event()
    rooms: dict[str, type[Room[Any]]] = {"closed-*": Story, "open-*": Story, "tea": Story}
    async with (
        running_pod(config(**limits), rooms) as pod,
        connected(pod, count, ping_interval=None) as clients,
    ):
        yield pod, clients


async def sign_in(pod: Pod, client: Client, user: str, ttl: float = 3600.0) -> None:
    token = pod.tokens.sign(user, username=user, is_root=False, ttl=ttl)
    await client.send("auth", token=token, id="auth")
    await until_told(client, lambda m: m.get("id") == "auth")


async def until_told(
    client: Client, wanted: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Read up to the message that is wanted, and return all that came."""
    told: list[dict[str, Any]] = []
    while not told or not wanted(told[-1]):
        told.append(await client.receive())
    return told


async def everything(client: Client, seconds: float = 3 * PATIENCE) -> list[dict[str, Any]]:
    """Return all that a client is told within so many seconds."""
    told: list[dict[str, Any]] = []
    with trio.move_on_after(seconds):
        while True:
            told.append(await client.receive())
    return told


def code_of(message: dict[str, Any]) -> str | None:
    return message["data"]["code"] if message["type"] == "error" else None


def answers(told: list[dict[str, Any]], request_id: RequestId) -> list[str]:
    """Name the answers to a request: a type, or the code of an error."""
    mine = [m for m in told if m.get("id") == request_id]
    return [code_of(m) or m["type"] for m in mine]


def events(told: list[dict[str, Any]]) -> list[Any]:
    return [m["data"] for m in told if m["type"] == "emit"]


# Control messages × what the room is doing -----------------------------------------------------


async def well(pod: Pod, other: Client) -> None:
    """Nothing is the matter with the room."""


async def hung(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="hang")
    await Story.entered.wait()


async def full(pod: Pod, other: Client) -> None:
    await hung(pod, other)
    for n in range(8):
        pod.hub.emit_to_room("closed-1", "said", f"before-{n}")
    node = find_node(pod.tree(), "pod/rooms/closed-1")
    assert node.statistics is not None
    assert node.statistics.mailbox.waiting == 4


async def crashed(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="crash", id="crash")
    await until_told(other, lambda m: m.get("id") == "crash")


async def ended(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="end", id="end")
    await until_told(other, lambda m: code_of(m) == "room_closed")


STATES = [well, hung, full, crashed, ended]


def rooms_of(pod: Pod, client: Client) -> list[str]:
    member = pod.members.get(client.client_id)
    return [] if member is None else list(member.rooms)
