"""Joins that wait for a room that hangs or is full."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from support import connected
from support.clients import until
from support.membership import (
    Story,
    answers,
    events,
    everything,
    full,
    hung,
    sign_in,
    story,
    until_told,
)

# Joins that hang -------------------------------------------------------------------------------


async def test_a_join_that_hangs_holds_up_nothing_else_that_its_client_says(
    autojump_clock: MockClock,
) -> None:
    async with story(1) as (pod, [ada]):
        await sign_in(pod, ada, "slow")
        for n in range(5):
            await ada.send("join", room=f"closed-{n}", id=n)
        await ada.send("join", room="coffee", id="coffee")
        await ada.send("emit", room="coffee", event="said", data=1, id="said")
        started = trio.current_time()
        told = await until_told(ada, lambda m: m.get("id") == "said")
        assert trio.current_time() == started
        assert answers(told, "said") == ["receipt"]
        told = await everything(ada)
        assert [answers(told, n) for n in range(5)] == [["room_busy"]] * 5


async def test_a_full_room_holds_up_nothing_that_its_client_says_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
            await client.join("closed-1")
        await full(pod, other)
        await ada.join("coffee")
        for n in range(20):
            await ada.send("emit", room="closed-1", event="said", data=n)
        started = trio.current_time()
        await ada.send("emit", room="coffee", event="said", data="elsewhere", id="said")
        await until_told(ada, lambda m: m.get("id") == "said")
        assert trio.current_time() == started


async def test_what_is_said_behind_a_join_is_heard_in_order_or_refused_with_it(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, mallory]):
        await sign_in(pod, ada, "slow")
        await sign_in(pod, mallory, "mallory")
        for client in (ada, mallory):
            await client.send("join", room="closed-1", id="join")
            for n in range(3):
                await client.send("emit", room="closed-1", event="said", data=n, id=n)
        await Story.entered.wait()
        Story.released.set()
        told = await everything(ada)
        assert events(told) == [0, 1, 2]
        assert [answers(told, n) for n in ("join", 0, 1, 2)] == [["join"], *[["receipt"]] * 3]
        told = await everything(mallory)
        assert answers(told, "join") == ["room_forbidden"]
        assert [answers(told, n) for n in range(3)] == [["not_a_member"]] * 3
        assert events(told) == []


async def test_joins_that_wait_are_bounded(autojump_clock: MockClock) -> None:
    async with story(1, max_rooms_per_client=3, join_rate_limit=0) as (pod, [ada]):
        await sign_in(pod, ada, "slow")
        for n in range(5):
            await ada.send("join", room=f"closed-{n}", id=n)
        for n in range(30):
            await ada.send("join", room="closed-0", id=f"again-{n}")
        told = await everything(ada)
        assert [answers(told, n) for n in range(5)] == [["room_busy"]] * 3 + [
            ["too_many_rooms"]
        ] * 2
        assert [answers(told, f"again-{n}") for n in range(30)] == [["room_busy"]] * 30


async def test_who_joins_and_leaves_a_room_that_hangs_leaves_little_behind(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
        await other.join("closed-1")
        await hung(pod, other)
        for n in range(50):
            await ada.send("join", room="closed-1", id=n)
            await ada.send("leave", room="closed-1", id=f"leave-{n}")
        told = await everything(ada, 0.5)
        assert [answers(told, n) for n in range(50)] == [["left"]] * 50
        assert [answers(told, f"leave-{n}") for n in range(50)] == [["leave"]] * 50
        [cell] = [
            c
            for c in pod.parts.watched.room_tree.children.values()
            if c.path == "pod/rooms/closed-1"
        ]
        assert cell.waiting <= 2  # type: ignore[attr-defined]
        Story.released.set()
        await trio.sleep(0.1)
        assert ("join", ada.client_id) not in Story.seen


async def test_clients_that_come_and_go_cannot_fill_a_room_that_hangs(
    autojump_clock: MockClock,
) -> None:
    async with story(1, room_mailbox_size=3) as (pod, [other]):
        await sign_in(pod, other, "other")
        await other.join("open-1")
        await other.send("emit", room="open-1", event="hang")
        await Story.entered.wait()
        for _ in range(10):
            async with connected(pod, ping_interval=None) as [client]:
                await client.send("join", room="open-1", id=1)
                await client.send("join", room="coffee", id=2)
                await until_told(client, lambda m: m.get("id") == 2)
            await until(lambda: len(pod.members) == 1)
        [cell] = [
            c for c in pod.parts.watched.room_tree.children.values() if c.path == "pod/rooms/open-1"
        ]
        assert cell.waiting <= 3  # type: ignore[attr-defined]
