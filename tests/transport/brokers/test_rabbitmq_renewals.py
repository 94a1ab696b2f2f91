"""A queue that other servers do not know is replaced, and nothing is lost by that."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from deployd.transport.brokers.rabbitmq import renewals
from deployd.transport.brokers.rabbitmq.renewals import (
    APART,
    LATELY,
    LONGEST_APART,
    MOST_COUNTED,
    TRIES,
    Renewals,
)
from support.inboxes import HANGS
from support.rabbitmq_links import ROOM, joined, operate
from support.rabbitmq_server import RabbitServer


def times(it: Renewals, channel: str, *at: float) -> list[bool]:
    return [it.in_vain([channel], now) for now in at]


def test_what_is_bound_again_and_again_is_bound_in_vain() -> None:
    assert times(Renewals(), "a", 0, 1, 2) == [False, True, False]


def test_what_was_bound_again_long_ago_counts_no_more() -> None:
    late = LATELY + 1
    assert times(Renewals(), "a", 0, late, 2 * late) == [False] * 3


def test_others_are_counted_by_themselves() -> None:
    it = Renewals()
    assert times(it, "a", 0) + times(it, "b", 1) == [False] * 2
    assert it.in_vain(["b", "c"], 2)


def test_queues_follow_each_other_in_ever_longer_times() -> None:
    it, moved = Renewals(), list[float]()
    for now in range(0, 2000, 2):
        if it.in_vain(["a"], now):
            moved.append(now)
    apart = [later - before for before, later in pairwise(moved)]
    assert apart[:3] == [APART, 2 * APART, 4 * APART]
    assert max(apart) == LONGEST_APART
    assert times(it, "a", 9000, 9001, 9010, 9011) == [False, True, False, True]


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_COUNTED > 2
    monkeypatch.setattr(renewals, "MOST_COUNTED", 2)
    it = Renewals()
    for channel in "abc":
        assert not it.in_vain([channel], 0)
    assert not it.in_vain(["a"], 1)
    assert it.in_vain(["c"], 1)


async def queues(server: RabbitServer) -> set[str]:
    rows = await operate(server, "list_queues", "--no-table-headers", "name")
    return {name for name in rows.split() if name.startswith("moves.")}


async def test_another_queue_takes_the_place_of_one_that_is_bound_in_vain_and_nothing_is_lost(
    rabbitmq_server: RabbitServer,
) -> None:
    settings = rabbitmq_server.settings(exchange="moves")
    async with joined(settings) as (broker, heard), joined(settings) as (other, _):
        await broker.subscribe([ROOM, "pod.a"])
        before, said, over = await queues(rabbitmq_server), 0, False

        async def talk() -> None:
            nonlocal said
            while not over:
                await other.publish([(ROOM, b"%d" % (said + n)) for n in range(10)])
                said += 10

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            for _ in range(TRIES):
                await heard.until_heard(len(heard.messages) + 20)
                await broker.resubscribe([ROOM])
            await heard.until_heard(len(heard.messages) + 20)
            over = True
        await other.publish([("pod.a", b"last")])
        with trio.fail_after(HANGS):
            await heard.until(lambda: ("pod.a", b"last") in heard.messages)
        words = [int(word) for channel, word in heard.messages if channel == ROOM]
        assert list(dict.fromkeys(words)) == list(range(said))
        assert not heard.losses
        after = await queues(rabbitmq_server)
        assert len(after) == len(before)
        assert len(before - after) == 2  # the pod's own, and that of what is dropped from it
        await broker.unsubscribe([ROOM])
        await other.publish([(ROOM, b"unheard"), ("pod.a", b"after")])
        await heard.until(lambda: ("pod.a", b"after") in heard.messages)
        assert (ROOM, b"unheard") not in heard.messages
