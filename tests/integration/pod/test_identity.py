"""Who one is: a room is asked again, and rules say who may speak."""

from __future__ import annotations

from typing import ClassVar

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from deployd.actors import JSON, Member, Room
from deployd.config import Access, Rule, Speaker, Who
from support import connected, running_pod
from support.membership import (
    PATIENCE,
    Story,
    answers,
    code_of,
    config,
    events,
    everything,
    rooms_of,
    sign_in,
    story,
    until_told,
)

# Who one is ------------------------------------------------------------------------------------


async def test_a_changed_identity_is_asked_again_and_the_hook_learns_of_it(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, ben]):
        await ada.join("tea")
        await sign_in(pod, ada, "ada")
        await sign_in(pod, ada, "ada")  # the same again: nobody needs to know
        await sign_in(pod, ada, "bob")
        await ben.join("tea")
        await ben.send("emit", room="tea", event="said", data=1)
        assert events(await everything(ada, 0.5)) == [1]
        seen = [what for what in Story.seen if what[0] == "identity"]
        assert seen == [("identity", "ada"), ("identity", "bob")]
        await sign_in(pod, ada, "mallory")
        told = await everything(ada, 0.5)
        assert [m["type"] for m in told] == ["leave", "error"]
        assert told[1]["data"]["code"] == "room_forbidden"


class Careful(Room[list[JSON]]):
    """Writes down whom it deals with, before and after it has waited."""

    seen: ClassVar[list[tuple[str | None, str | None]]]
    gate: ClassVar[trio.Event]

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        before = member.user_id
        await self.gate.wait()
        self.seen.append((before, member.user_id))


async def test_a_hook_deals_with_one_identity_to_its_end(autojump_clock: MockClock) -> None:
    Careful.seen, Careful.gate = [], trio.Event()
    async with (
        running_pod(config(), {"tea": Careful}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        await sign_in(pod, client, "ada")
        await client.join("tea")
        await client.send("emit", room="tea", event="said", id=1)
        await client.send("emit", room="tea", event="said", id=2)
        await sign_in(pod, client, "bob")
        await client.send("emit", room="tea", event="said", id=3)
        Careful.gate.set()
        await until_told(client, lambda m: m.get("id") == 3)
        assert Careful.seen == [("ada", "ada"), ("ada", "ada"), ("bob", "bob")]


async def test_who_was_somebody_hears_nothing_until_the_room_has_been_asked(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
            await client.join("tea")
        await other.send("emit", room="tea", event="hang")
        await Story.entered.wait()
        pod.hub.emit_to_room("tea", "said", "for ada")
        await sign_in(pod, ada, "bob")
        Story.released.set()
        told = await everything(ada, 0.5)
        assert [one["event"] for one in told] == ["system:degraded", "system:healed"]
        for gap in told:  # it is told that it was not told
            assert (gap["room"], gap["data"]["code"], gap["data"]["missed"]) == ("tea", "missed", 3)
        pod.hub.emit_to_room("tea", "said", "for bob")
        assert events(await everything(ada, 0.5)) == ["for bob"]


class Attributed(Room[None]):
    """Writes down who says what; the first thing said holds it up."""

    said: ClassVar[list[tuple[str | None, JSON]]]

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if data == "first":
            await Story.hang()
        self.said.append((member.user_id, data))


@pytest.mark.parametrize("becomes", ["bob", "ada"])
async def test_what_waits_for_a_full_room_is_never_said_as_somebody_else(
    becomes: str, autojump_clock: MockClock
) -> None:
    Attributed.said, Story.released, Story.entered = [], trio.Event(), trio.Event()
    async with (
        running_pod(config(), {"*": Attributed}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        await sign_in(pod, client, "ada")
        await client.join("diary")
        for n in ("first", 1, 2, 3, 4, 5, 6):  # the mailbox takes four
            await client.send("emit", room="diary", event="said", data=n, id=n)
        await Story.entered.wait()
        await sign_in(pod, client, becomes)
        await client.send("emit", room="diary", event="said", data="last", id="last")
        await trio.testing.wait_all_tasks_blocked()
        Story.released.set()
        told = await everything(client, 1)
        said = [what for who, what in Attributed.said if who == "ada"]
        if becomes == "ada":
            assert said == ["first", 1, 2, 3, 4, 5, 6, "last"]
        else:
            assert said == ["first", 1, 2, 3, 4]
            assert Attributed.said[5:] == [("bob", "last")]
            assert [answers(told, n) for n in (4, "last")] == [["receipt"], ["receipt"]]


async def test_whose_token_expires_is_told_in_time_that_a_room_that_hangs_did_not_say_it_stays(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        await sign_in(pod, ada, "ada", ttl=3.0)
        for client in (ada, other):
            await client.join("tea")
        await other.send("emit", room="tea", event="hang")
        await Story.entered.wait()
        told = await everything(ada, 3.0 + 2 * PATIENCE)  # and says nothing herself
        assert [code_of(m) or m["type"] for m in told] == ["expired_token", "leave", "room_busy"]
        assert rooms_of(pod, ada) == []


# Rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "room", "who", "code"),
    [
        (None, "coffee", "anonymous", "not_a_member"),
        (None, "coffee", "user", "not_a_member"),
        (Rule(join=Who.ROOT), "coffee", "user", "not_a_member"),
        (Rule(join=Who.ROOT, emit=Speaker.ANYONE), "coffee", "user", "forbidden"),
        (Rule(join=Who.NOBODY, emit=Speaker.ANYONE), "coffee", "user", "forbidden"),
        (Rule(join=Who.AUTHENTICATED, emit=Speaker.ANYONE), "coffee", "anonymous", "auth_required"),
        (Rule(join=Who.AUTHENTICATED, emit=Speaker.ANYONE), "coffee", "user", None),
        (Rule(emit=Speaker.ANYONE), "coffee", "anonymous", None),
        (Rule(emit=Speaker.AUTHENTICATED), "coffee", "anonymous", "auth_required"),
        (Rule(emit=Speaker.NOBODY), "coffee", "user", "forbidden"),
        (None, "tea", "user", "not_a_member"),
        (Rule(emit=Speaker.ANYONE), "tea", "user", None),
        (Rule(emit=Speaker.ANYONE), "tea", "mallory", "room_forbidden"),
    ],
)
async def test_who_has_not_joined_speaks_where_a_rule_lets_it_and_never_where_it_may_not_join(
    rule: Rule | None, room: str, who: str, code: str | None
) -> None:
    Story.seen = []
    access = Access(rules={} if rule is None else {room: rule})
    async with (
        running_pod(evolve(config(), access=access), {"tea": Story}) as pod,
        connected(pod) as [client],
    ):
        if who != "anonymous":
            await sign_in(pod, client, who)
        answer = await client.ask("emit", room=room, event="said", data=1, id=1)
        if code is None:
            assert answer["type"] == "receipt"
        else:
            assert answer["data"]["code"] == code
        if code == "not_a_member":
            assert "emit" in answer["error"]
            assert ("access.rules" in answer["error"]) == (rule is not None)
