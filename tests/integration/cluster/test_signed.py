"""Pods with a secret: they hear each other over every broker, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import orjson
import pytest
import trio
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.config import Broker as BrokerSettings
from deployd.supervisors import Pod, open_pod
from deployd.transport import EnvelopeFault, Event
from deployd.transport.brokers import Beat, beat, pack, probe
from deployd.transport.brokers.contract import (
    EVERYONE,
    Broker,
    Channel,
    Inbox,
    Message,
    pod_channel,
    room_channel,
)
from support.brokers import Makers
from support.clients import KEYS, Client, connected, pod_config, until
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods, well

OLD, NEW = (
    "the old secret of all these pods".ljust(32),
    "the new secret of all these pods".ljust(32),
)
SIGNED: Final = evolve(FAKE, secret=OLD)
LARGE: Final = 8_000_000


def counted(pod: Pod) -> dict[EnvelopeFault, int]:
    """Return what a pod has refused so far, by its fault."""
    assert pod.link is not None
    return {fault: count for fault, count in pod.link.state.counters.refused.items() if count}


def peers(pod: Pod) -> int:
    assert pod.link is not None
    return len(pod.link.state.peers)


async def quiet(client: Client) -> None:
    """Make sure that nothing has come for the client before the answer to this."""
    await client.send("leave", room="nowhere", id="quiet")
    await client.expect("leave", id="quiet")


class Tapped(Broker):
    """A broker of which somebody writes down all that goes over it."""

    def __init__(self, inner: Broker, heard: list[Message]) -> None:
        self._inner = inner
        self._heard = heard

    @property
    def max_payload(self) -> int:  # type: ignore[override]
        return self._inner.max_payload

    @property
    def endpoint(self) -> str:  # type: ignore[override]
        return self._inner.endpoint

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        await self._inner.connect(inbox, nursery)

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        await self._inner.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        await self._inner.unsubscribe(channels)

    async def publish(self, batch: Sequence[Message]) -> None:
        self._heard.extend(batch)
        await self._inner.publish(batch)

    async def close(self) -> None:
        await self._inner.close()

    def probes(self, channel: Channel) -> Sequence[Channel]:
        return self._inner.probes(channel)


class Ear:
    """Hears nothing: who only writes."""

    def deliver(self, channel: Channel, payload: bytes) -> None: ...

    def full(self, resume: Callable[[], object]) -> bool:
        return False

    def lost(self, error: Exception) -> None: ...

    def unheard(self, channels: Sequence[Channel]) -> None: ...


def forgeries(pod: Pod) -> list[Message]:
    """Return what somebody who reaches the broker may want to say to this pod."""
    said = [(1, "evil-1", "said", orjson.Fragment(b'"forged"'), 1.0, 0, 0)]
    return [
        (room_channel("tea"), pack("evil", 1, "tea", said)),
        (EVERYONE, pack("evil", 1, None, said)),
        (EVERYONE, beat(Beat("evil", 1, "hello"))),
        (EVERYONE, beat(Beat("evil", 1, "bye"))),
        (pod_channel(pod.pod_id), beat(Beat("evil", 1, "here"))),
        (pod_channel(pod.pod_id), probe(pod.pod_id, "nonce")),
        (room_channel("tea"), b"\0" * 300),
    ]


async def test_signed_pods_hear_each_other_and_nobody_else_over_every_broker(
    broker_makers: Makers,
) -> None:
    make, heard = broker_makers[0], list[Message]()
    config = evolve(pod_config(), broker=evolve(SIGNED, timeout=4.0, canary_interval=0.5))
    async with AsyncExitStack() as stack:
        pods = [
            await stack.enter_async_context(
                open_pod(config, keys=KEYS, broker=lambda: Tapped(make(), heard))
            )
            for _ in range(2)
        ]
        a, b = pods
        await until(lambda: all(well(pod) and peers(pod) == 1 for pod in pods))
        heard.clear()  # what is said from now on both hear
        [ann] = await stack.enter_async_context(connected(a))
        [bob] = await stack.enter_async_context(connected(b))
        await ann.join("tea")
        await bob.join("tea")
        assert (await a.hub.send_to_room("tea", "said", 1)).scope.value == "cluster"
        await bob.expect("emit", event="said", data=1)
        assert (await b.hub.send_to_all("news", 2)).scope.value == "cluster"
        await ann.expect("emit", data=1)
        await ann.expect("emit", event="news", data=2)
        await bob.expect("emit", event="news", data=2)
        assert counted(a) == counted(b) == {}
        evil = await stack.enter_async_context(writing(make))
        # All but probes: what proved the room to one pod the other may not have been there to hear.
        recorded = [
            (channel, payload)
            for channel, payload in heard
            if channel in (room_channel("tea"), EVERYONE) and b'"p":' not in payload
        ]
        forged = forgeries(b)
        await evil.publish([*forged, *recorded])
        await until(lambda: counted(b).get(EnvelopeFault.UNSIGNED, 0) == len(forged))
        await until(lambda: counted(b).get(EnvelopeFault.REPLAYED, 0) == len(recorded))
        moved = [(EVERYONE, payload) for channel, payload in recorded if channel != EVERYONE]
        await evil.publish(moved)
        await until(lambda: counted(b).get(EnvelopeFault.FORGED, 0) == len(moved))
        await a.hub.send_to_room("tea", "said", 3)
        await ann.expect("emit", data=3)
        await bob.expect("emit", data=3)
        await quiet(bob)
        for pod in pods:
            assert pod.link is not None
            assert (peers(pod), pod.link.figures.health()["outages"], well(pod)) == (1, 0, True)


@asynccontextmanager
async def writing(make: Callable[[], Broker]) -> AsyncIterator[Broker]:
    """Connect somebody who can write on the broker."""
    broker = make()
    async with trio.open_nursery() as nursery:
        await broker.connect(Ear(), nursery)
        yield broker
        await broker.close()
        nursery.cancel_scope.cancel()


def signing(secret: str, previous: str = "") -> BrokerSettings:
    return evolve(FAKE, secret=secret, previous_secret=previous)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (signing(OLD), signing(OLD, NEW)),
        (signing(OLD, NEW), signing(NEW, OLD)),
        (signing(NEW, OLD), signing(NEW)),
        (signing(NEW), signing(NEW)),
    ],
)
async def test_while_a_secret_is_changed_step_by_step_all_pods_hear_each_other(
    one: BrokerSettings, other: BrokerSettings
) -> None:
    async with pair(one, other) as (a, b):
        await until(lambda: peers(a) == peers(b) == 1)
        await hears(a, b, counted_as={})
        await hears(b, a, counted_as={})


@pytest.mark.parametrize(
    ("one", "other", "fault"),
    [
        (FAKE, signing(OLD), EnvelopeFault.UNSIGNED),
        (signing(NEW), signing(OLD), EnvelopeFault.FORGED),
        (signing(NEW), signing(OLD, OLD[::-1]), EnvelopeFault.FORGED),
    ],
)
async def test_a_pod_with_another_secret_or_none_is_not_heard(
    one: BrokerSettings, other: BrokerSettings, fault: EnvelopeFault
) -> None:
    async with pair(one, other) as (a, b), connected(b) as [bob]:
        await bob.join("tea")
        await a.hub.send_to_room("tea", "said", 1)
        await until(lambda: counted(b).get(fault, 0) >= 1)
        assert set(counted(b)) == {fault}
        assert peers(b) == 0
        await quiet(bob)
        assert well(b)


async def test_a_pod_without_a_secret_hears_those_that_have_one() -> None:
    async with pair(signing(OLD), FAKE) as (a, b):
        await hears(a, b, counted_as={})


@asynccontextmanager
async def pair(one: BrokerSettings, other: BrokerSettings) -> AsyncIterator[tuple[Pod, Pod]]:
    """Run two pods on one bus, each with settings of its own; they may not find each other."""
    bus = FakeBus()
    first, second = (evolve(pod_config(), broker=broker) for broker in (one, other))
    async with (
        open_pod(first, keys=KEYS, broker=bus.make) as a,
        open_pod(second, keys=KEYS, broker=bus.make) as b,
    ):
        for pod in (a, b):
            await until(partial(well, pod))
        yield a, b


async def hears(speaker: Pod, hearer: Pod, counted_as: dict[EnvelopeFault, int]) -> None:
    async with connected(hearer) as [bob]:
        await bob.join("tea")
        await speaker.hub.send_to_room("tea", "said", 1)
        await bob.expect("emit", event="said", data=1)
    assert counted(hearer) == counted_as


async def test_what_was_buffered_is_signed_when_it_is_sent() -> None:
    bus = FakeBus()
    async with two_pods(bus, broker=evolve(SIGNED, replay_window=0.5)) as (a, b):
        async with connected(b) as [bob]:
            await bob.join("kept-1")
            bus.kill()
            await until(lambda: not well(a) and not well(b))
            assert (await a.hub.send_to_room("kept-1", "said", 1)).scope.value == "queued"
            await trio.sleep(0.7)  # longer than a signature is good for
            bus.start()
            while (message := await bob.receive())["event"] != "said":
                pass
            assert message["meta"]["replayed"]
        assert counted(b) == {}


@pytest.mark.parametrize("signed", [False, True])
async def test_one_large_event_on_the_broker_closes_nobody_and_is_declared(signed: bool) -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, broker=SIGNED if signed else FAKE) as (a, b),
        connected(b, 5) as clients,
    ):
        for client in clients:
            await client.join("tea")
        for channel, room in ((EVERYONE, None), (room_channel("tea"), "tea")):
            data = orjson.Fragment(b'"' + b"x" * LARGE + b'"')
            payload = pack("evil", 1, room, [(1, f"evil-{room}", "big", data, 1.0, 0, 0)])
            for listener in bus.listeners(channel):
                listener.hear(channel, payload)
        for client in clients:
            if not signed:
                for _ in range(2):
                    for name in ("system:degraded", "system:healed"):
                        gap = await client.expect("emit", event=name)
                        assert (gap["data"]["code"], gap["data"]["missed"]) == ("missed", 1)
            await quiet(client)
        await a.hub.send_to_room("tea", "said", 1)
        for client in clients:
            await client.expect("emit", data=1)
        fault = EnvelopeFault.UNSIGNED if signed else EnvelopeFault.TOO_LARGE
        assert counted(b) == {fault: 2}


async def test_an_event_too_large_for_clients_of_other_pods_is_refused_where_it_is_said() -> None:
    config = pod_config(max_buffer_bytes=200_000)  # the broker takes more
    async with two_pods(FakeBus(), config=config) as (a, b), connected(b) as [bob]:
        await bob.join("tea")
        for size, scope in ((199_000, "cluster"), (200_001, "rejected"), (LARGE, "rejected")):
            receipt = await a.hub.send_to_room("tea", "big", "x" * size)
            assert receipt.scope.value == scope
            assert ("send less" in receipt.reason) == (scope == "rejected")
        assert a.link is not None
        data = orjson.dumps("x" * 200_001)  # what cannot be refused, as it has happened already
        assert a.link.uplink.publish(Event("tea", "big", data, "id-1", 0, 0.0)) == "local"
        assert len((await bob.receive())["data"]) == 199_000
        await quiet(bob)
        assert counted(b) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=60)), max_size=30))
@settings(max_examples=5, deadline=None)
def test_noise_on_the_broker_costs_signed_pods_nothing_but_its_count(
    noise: list[tuple[int, bytes]],
) -> None:
    async def main() -> None:
        bus = FakeBus()
        async with two_pods(bus, broker=SIGNED) as (a, b), connected(b) as [bob]:
            await bob.join("tea")
            channels = [room_channel("tea"), EVERYONE, pod_channel(b.pod_id)]
            for number, payload in noise:
                for listener in bus.listeners(channels[number % 3]):
                    listener.hear(channels[number % 3], payload)
            await a.hub.send_to_room("tea", "said", 1)
            await bob.expect("emit", data=1)
            assert well(b)
            assert set(counted(b)) <= {EnvelopeFault.UNSIGNED}

    trio.run(main)
