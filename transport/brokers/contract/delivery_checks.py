"""What the contract says of messages, as checks: see `conformance`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence

import trio

from ...errors import MessageTooLarge
from .broker import Channel, Message
from .channels import EVERYONE, pod_channel, room_channel
from .harness import QUIET, ContractBroken, Make, connected, expect, fresh, joined, spread, two

__all__ = [
    "check_batches",
    "check_concurrent",
    "check_full",
    "check_idempotent",
    "check_limit",
    "check_many_channels",
    "check_names",
    "check_nothing_to_do",
    "check_order",
    "check_own",
    "check_probes",
    "check_resubscribed",
    "check_subscribed",
    "check_taken",
    "check_unsubscribed",
    "check_whole",
]


async def check_taken(make: Make) -> None:
    """Expect delivery of what `publish` returned for, though the publisher closes at once."""
    channel = fresh()
    async with connected(make) as (subscriber, inbox):
        sent = [(channel, b"%d" % number) for number in range(500)]
        async with connected(make) as (publisher, _):
            await joined(publisher, subscriber, inbox, [channel])
            await publisher.publish(sent)
        await inbox.hears(sent)


async def check_nothing_to_do(make: Make) -> None:
    """Expect empty batches and lists to return, and publishing to nobody."""
    async with connected(make) as (broker, inbox):
        await broker.publish([])
        await broker.subscribe([])
        await broker.unsubscribe([])
        await broker.publish([(fresh(), b"nobody")])
        await inbox.hears([])


async def check_order(make: Make) -> None:
    """Expect awaited batches over many channels to keep their order on each."""
    channels = [fresh() for _ in range(20)]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, channels)
        sent = [(channels[number * 7 % 20], b"%d" % number) for number in range(2000)]
        for start in range(0, 2000, 80):
            await publisher.publish(sent[start : start + 80])
        await inbox.hears(sent)


async def check_subscribed(make: Make) -> None:
    """Expect what another object publishes right after `subscribe` returned, or soon after.

    Soon is for objects of different servers, whose broker takes its time to tell the others.
    """
    async with two(make) as (publisher, subscriber, inbox):
        sent: list[Message] = []
        for number in range(50):
            message = (fresh(), b"%d" % number)
            await joined(publisher, subscriber, inbox, [message[0]])
            await publisher.publish([message])
            sent.append(message)
        await inbox.hears(sent)


async def check_unsubscribed(make: Make) -> None:
    """Expect delivery to end soon after `unsubscribe`, on these channels only."""
    gone, kept = fresh(), fresh()
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, [gone, kept])
        await publisher.publish([(gone, b"1"), (kept, b"1")])
        await inbox.hears([(gone, b"1"), (kept, b"1")])
        await subscriber.unsubscribe([gone])
        await trio.sleep(QUIET)
        await publisher.publish([(gone, b"2"), (kept, b"2")])
        await inbox.hears([(kept, b"2")])
        await joined(publisher, subscriber, inbox, [gone])
        await publisher.publish([(gone, b"3"), (kept, b"3")])
        await inbox.hears([(gone, b"3"), (kept, b"3")])


async def check_resubscribed(make: Make) -> None:
    """Expect `resubscribe` to lose nothing of what is heard, and to begin what is not."""
    channels, late = [fresh() for _ in range(10)], fresh()
    sent = [(channels[number % 10], b"%d" % number) for number in range(1000)]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, channels)
        all_sent = False

        async def publish() -> None:
            nonlocal all_sent
            for start in range(0, 1000, 20):
                await publisher.publish(sent[start : start + 20])
            all_sent = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            while not all_sent:
                await subscriber.resubscribe(channels)
        await inbox.hears_again(sent)
        await subscriber.resubscribe([late, late])
        await spread(publisher, subscriber, inbox, [late])
        await publisher.publish([(late, b"1"), (channels[0], b"1")])
        await inbox.hears([(late, b"1"), (channels[0], b"1")])
        await subscriber.unsubscribe([late, channels[0]])
        await trio.sleep(QUIET)
        await publisher.publish([(late, b"2"), (channels[0], b"2"), (channels[1], b"2")])
        await inbox.hears([(channels[1], b"2")])


async def check_own(make: Make) -> None:
    """Expect an object to hear what it publishes, once, as others do."""
    channel = fresh()
    async with connected(make) as (broker, inbox), connected(make) as (other, other_inbox):
        await broker.subscribe([channel])
        await joined(broker, other, other_inbox, [channel])
        sent = [(channel, b"%d" % number) for number in range(100)]
        await broker.publish(sent)
        await inbox.hears(sent)
        await other_inbox.hears(sent)


async def check_idempotent(make: Make) -> None:
    """Subscribe twice and hear once; unsubscribe twice, and of nothing, without an error."""
    one, other = fresh(), fresh()
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, [one, one])
        await joined(publisher, subscriber, inbox, [other, one])
        await publisher.publish([(one, b"1"), (other, b"1")])
        await inbox.hears([(one, b"1"), (other, b"1")])
        await subscriber.unsubscribe([one, one, fresh()])
        await subscriber.unsubscribe([one])
        await trio.sleep(QUIET)
        await publisher.publish([(one, b"2"), (other, b"2")])
        await inbox.hears([(other, b"2")])


async def check_whole(make: Make) -> None:
    """Expect payloads byte for byte: none, every value, line ends, and long ones."""
    channel = fresh()
    payloads = [
        b"",
        bytes(range(256)),
        b"\r\n",
        b"PING\r\n",
        b"+OK\r\nMSG a 1 0\r\n",
        b"\0" * 70_000,
    ]
    payloads += [bytes([value]) for value in range(256)]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, [channel])
        sent = [(channel, payload) for payload in payloads]
        await publisher.publish(sent)
        await inbox.hears(sent)


async def check_limit(make: Make) -> None:
    """Expect `max_payload` bytes to pass, and one more to be refused with all of its batch."""
    channel = fresh()
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, [channel])
        largest = (channel, os.urandom(publisher.max_payload))
        await publisher.publish([largest])
        await inbox.hears([largest])
        try:
            await publisher.publish([(channel, b"small"), (channel, largest[1] + b"!")])
        except MessageTooLarge:
            await publisher.publish([(channel, b"next")])
            await inbox.hears([(channel, b"next")])
        else:
            raise ContractBroken("A message above `max_payload` raises `MessageTooLarge`.")


async def check_concurrent(make: Make) -> None:
    """Have many calls under way at the same time; each publisher's own order holds."""
    channels = [fresh() for _ in range(10)]
    sent = [(channel, b"%d" % number) for channel in channels for number in range(200)]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, channels)

        async def publish(channel: Channel) -> None:
            for start in range(0, 200, 10):
                await publisher.publish([(channel, b"%d" % (start + n)) for n in range(10)])

        async with trio.open_nursery() as nursery:
            for channel in channels:
                nursery.start_soon(publish, channel)
                nursery.start_soon(subscriber.subscribe, [fresh()])
        await inbox.hears(sent)


async def check_full(make: Make) -> None:
    """Expect nothing to be lost of what comes while the inbox is full, and all in order."""
    channel = fresh()
    sent = [(channel, b"%d" % number) for number in range(5000)]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, [channel])
        inbox.holding = True
        for start in range(0, 5000, 500):
            await publisher.publish(sent[start : start + 500])
        await trio.sleep(QUIET)
        inbox.let_go()
        await inbox.hears(sent)


async def check_many_channels(make: Make) -> None:
    """Subscribe, serve and unsubscribe a thousand channels, by one call each."""
    channels = [fresh() for _ in range(1000)]
    sent = [(channel, channel.encode()) for channel in channels]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, channels)
        await publisher.publish(sent)
        await inbox.hears(sent)
        await subscriber.unsubscribe(channels)
        await trio.sleep(QUIET)
        await publisher.publish(sent)
        await inbox.hears([])


async def check_names(make: Make) -> None:
    """Expect every channel of `channels` to work: long, escaped, near-alike, any case."""
    names = ["x" * 160, "é*>.#{}" * 7, "a.b", "a*b", "a", "A", ">", "*", " ", "snow\u2603"]
    channels = [room_channel(name) for name in names]
    channels += [pod_channel(name) for name in names] + [EVERYONE]
    async with two(make) as (publisher, subscriber, inbox):
        await joined(publisher, subscriber, inbox, channels)
        sent = [(channel, channel.encode()) for channel in channels]
        await publisher.publish(sent)
        await inbox.hears(sent)


async def check_probes(make: Make) -> None:
    """Expect an object to hear what it publishes to each of its probes, alone of all."""
    async with connected(make) as (broker, inbox), connected(make) as (other, other_inbox):
        mine, others = (pod_channel(uuid.uuid4().hex) for _ in range(2))
        probes = list(broker.probes(mine))
        expect(bool(probes), "There is a probe at least.")
        await broker.subscribe(probes)
        await other.subscribe(list(other.probes(others)))
        sent = [(probe, b"nonce") for probe in probes]
        await broker.publish(sent)
        await inbox.hears(sent)
        await other_inbox.hears([])


async def check_batches(make: Make, batches: Sequence[Sequence[tuple[str, bytes]]]) -> None:
    """Expect batches of (name of a room, payload) as they are; for tests that generate them."""
    salt = uuid.uuid4().hex
    sent = [[(room_channel(salt + name), payload) for name, payload in batch] for batch in batches]
    async with two(make) as (publisher, subscriber, inbox):
        channels = [channel for batch in sent for channel, _ in batch]
        await joined(publisher, subscriber, inbox, channels)
        for batch in sent:
            await publisher.publish(batch)
        await inbox.hears([message for batch in sent for message in batch])
