"""A broker that hears badly on purpose, and one that could and does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from deployd.transport.brokers import Fate, FaultyBroker
from deployd.transport.brokers.contract import Broker, Channel
from deployd.transport.brokers.contract.conformance import CHECKS, Check, check_apart
from deployd.transport.brokers.contract.harness import RecordingInbox
from deployd.transport.brokers.faulty import MOST_HELD, MOST_HELD_BYTES, OVERTAKEN
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus

ROOM = "room.chat"


def well(_: Channel) -> None:
    return None


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
async def test_one_that_does_nothing_keeps_every_promise(check: Check) -> None:
    bus = MemoryBus()
    await check(lambda: FaultyBroker(MemoryBroker(bus), well))


async def test_one_that_does_nothing_keeps_deployments_apart() -> None:
    bus = MemoryBus()
    await check_apart(
        lambda: FaultyBroker(MemoryBroker(bus), well),
        lambda: FaultyBroker(MemoryBroker(bus, "other."), well),
    )


class Told:
    """What is to become of the next messages, one after another, then nothing."""

    def __init__(self, *fates: Fate | None) -> None:
        self.fates = list(fates)

    def __call__(self, _: Channel) -> Fate | None:
        return self.fates.pop(0) if self.fates else None


@asynccontextmanager
async def hearing(*fates: Fate | None) -> AsyncIterator[tuple[Broker, RecordingInbox]]:
    broker, inbox = FaultyBroker(MemoryBroker(MemoryBus()), Told(*fates)), RecordingInbox()
    async with trio.open_nursery() as nursery:
        await broker.connect(inbox, nursery)
        await broker.subscribe([ROOM])
        yield broker, inbox
        await broker.close()


async def say(broker: Broker, *texts: bytes) -> None:
    await broker.publish([(ROOM, text) for text in texts])


def heard(inbox: RecordingInbox) -> Sequence[bytes]:
    return [payload for _, payload in inbox.heard]


async def test_a_dropped_message_never_comes() -> None:
    async with hearing(None, Fate(copies=0)) as (broker, inbox):
        await say(broker, b"1", b"2", b"3")
        assert heard(inbox) == [b"1", b"3"]


async def test_a_duplicated_message_comes_twice() -> None:
    async with hearing(Fate(copies=2)) as (broker, inbox):
        await say(broker, b"1", b"2")
        assert heard(inbox) == [b"1", b"1", b"2"]


async def test_a_delayed_message_comes_late_and_nothing_passes_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hearing(Fate(delay=2.0), None, Fate(delay=0.5)) as (broker, inbox):
        await say(broker, b"1", b"2", b"3")
        await trio.sleep(1.9)
        assert heard(inbox) == []
        await trio.sleep(0.2)
        assert heard(inbox) == [b"1", b"2", b"3"]
        await say(broker, b"4")
        assert heard(inbox) == [b"1", b"2", b"3", b"4"]


async def test_a_reordered_message_comes_after_the_next() -> None:
    async with hearing(Fate(behind=True)) as (broker, inbox):
        await say(broker, b"1", b"2", b"3")
        assert heard(inbox) == [b"2", b"1", b"3"]


async def test_a_reordered_message_that_nothing_follows_comes_by_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hearing(Fate(behind=True)) as (broker, inbox):
        await say(broker, b"1")
        await trio.sleep(OVERTAKEN - 0.1)
        assert heard(inbox) == []
        await trio.sleep(0.2)
        assert heard(inbox) == [b"1"]


async def test_a_reordered_message_is_overtaken_by_one_that_was_delayed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hearing(Fate(behind=True), Fate(delay=0.2)) as (broker, inbox):
        await say(broker, b"1", b"2")
        await trio.sleep(0.3)
        assert heard(inbox) == [b"2", b"1"]


async def test_no_more_is_held_than_there_is_place_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hearing(*[Fate(delay=5.0)] * (MOST_HELD + 2)) as (broker, inbox):
        texts = [b"%d" % n for n in range(MOST_HELD + 2)]
        await say(broker, *texts)
        assert heard(inbox) == texts[:2]
        await trio.sleep(6)
        assert heard(inbox) == texts


async def test_no_more_bytes_are_held_than_there_is_place_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    big = bytes(2**20)
    count = MOST_HELD_BYTES // len(big)
    async with hearing(*[Fate(delay=5.0)] * (count + 1)) as (broker, inbox):
        await say(broker, *[big] * (count + 1))
        assert len(heard(inbox)) == 1


async def test_what_is_held_is_forgotten_with_the_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hearing(Fate(delay=1.0)) as (broker, inbox):
        await say(broker, b"1")
        await broker.close()
        await trio.sleep(2)
        assert heard(inbox) == []
