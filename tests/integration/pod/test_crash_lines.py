"""The line of a crash names what the room was at work on: enough to find who said it, no more."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from deployd.actors import Member, Room
from deployd.transport import JSON
from support import connected, running_pod
from support.clients import until
from support.logs import logged


class Fragile(Room[None]):
    async def on_join(self, member: Member) -> None:
        if self.name == "closed":
            raise RuntimeError("on join")
        if self.name == "timed":
            self.after(0, self.later)
        if self.name == "crowded":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.later)

    async def later(self) -> None:
        raise RuntimeError("later")

    async def on_start(self) -> None:
        if self.name == "unstarted":
            raise RuntimeError("on start")

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("on message")

    async def on_server_emit(self, event: str, data: JSON) -> None:
        raise RuntimeError("on server emit")


async def crash_of(room: str, act: str) -> tuple[dict[str, Any], str]:
    """Have a room crash, and return its line and the id of the client that is there."""
    with logged() as log:
        async with running_pod(rooms={"*": Fragile}) as pod, connected(pod) as (client,):
            await client.send("auth", token=pod.tokens.sign("mallory", ttl=60))
            await client.expect("auth")
            await client.send("join", room=room)
            if act not in ("join", "open"):
                await client.expect("join")
            if act == "emit":
                await client.send("emit", room=room, event="poison", data="a secret", id="id-4711")
            if act == "server":
                pod.hub.emit_to_room(room, "poison", "a secret")
            await until(lambda: bool(log.lines(event="child crashed")))
        assert "a secret" not in log.text
        (line, *_) = log.lines(event="child crashed")
        return line, client.client_id


async def test_what_a_client_said_is_named_by_who_said_it_and_by_its_ids() -> None:
    line, client = await crash_of("chat", "emit")
    assert (line["room"], line["room_class"], line["client"]) == ("chat", "Fragile", client)
    assert (line["event_name"], line["user"], line["message_id"]) == (
        "poison",
        "mallory",
        "id-4711",
    )
    assert line["event_id"].startswith(line["pod"])
    assert line["at"].endswith("in Fragile.on_message")
    fields = list(line)
    assert fields.index("at") < fields.index("room") < fields.index("exception")


@pytest.mark.parametrize(
    ("room", "act", "hook"),
    [
        ("closed", "join", "on_join"),
        ("crowded", "join", "later"),
        ("timed", "open", "later"),
        ("unstarted", "open", "on_start"),
        ("chat", "server", "on_server_emit"),
    ],
)
async def test_what_else_crashes_a_room_is_named_too(room: str, act: str, hook: str) -> None:
    line, client = await crash_of(room, act)
    assert (line["room"], line["room_class"]) == (room, "Fragile")
    assert line["at"].endswith(f"in Fragile.{hook}")
    if act == "join":
        assert line["client"] == client
    if act == "server":
        assert line["event_name"] == "poison"
