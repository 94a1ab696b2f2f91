from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.transport import BrokerUnavailable, MessageTooLarge
from deployd.transport.brokers.contract import Channel, Inbox, Message
from deployd.transport.brokers.contract.conformance import (
    CHECKS,
    Check,
    ContractBroken,
    check_apart,
    check_batches,
    check_broker,
)
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from support.brokers import Makers


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
async def test_every_broker_keeps_every_promise(check: Check, broker_makers: Makers) -> None:
    await check(broker_makers[0])


async def test_deployments_that_share_a_server_never_hear_each_other(broker_makers: Makers) -> None:
    await check_apart(*broker_makers)


@given(
    st.lists(
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=200)), max_size=20), max_size=5
    )
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_published_arrives(
    broker_makers: Makers, batches: list[list[tuple[str, bytes]]]
) -> None:
    await check_batches(broker_makers[0], batches)


async def test_all_checks_run_as_one() -> None:
    bus = MemoryBus()
    await check_broker(lambda: MemoryBroker(bus), lambda: MemoryBroker(bus, "other."))


class Dropping(MemoryBroker):
    """Loses one message in a hundred."""

    count = 0

    def hear(self, channel: Channel, payload: bytes) -> None:
        Dropping.count += 1
        if Dropping.count % 100:
            super().hear(channel, payload)


class Duplicating(MemoryBroker):
    """Delivers twice."""

    def hear(self, channel: Channel, payload: bytes) -> None:
        super().hear(channel, payload)
        super().hear(channel, payload)


class Reordering(MemoryBroker):
    """Sends the batch backwards."""

    async def publish(self, batch: Sequence[Message]) -> None:
        await super().publish(list(reversed(batch)))


class Cutting(MemoryBroker):
    """Takes a payload for a string that ends at its first zero."""

    def hear(self, channel: Channel, payload: bytes) -> None:
        super().hear(channel, payload.split(b"\0")[0])


class Lingering(MemoryBroker):
    """Never lets go of a channel."""

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        await super().unsubscribe([])


class Early(MemoryBroker):
    """Says that it subscribed before it did."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.late: list[Channel] = []

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        await super().subscribe(self.late)
        self.late = list(channels)


class Distant(MemoryBroker):
    """Is with a server of its own, which tells the others of a subscription a moment later."""

    servers = 0

    def __init__(self, bus: MemoryBus, way: float = 0.1) -> None:
        super().__init__(bus)
        Distant.servers += 1
        self.node = f"server {Distant.servers}"
        self.way = way
        self.since: dict[Channel, float] = {}
        self.publishing = False

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        for channel in channels:
            if channel not in self._heard:
                self.since[channel] = trio.current_time()
        await super().subscribe(channels)

    async def publish(self, batch: Sequence[Message]) -> None:
        self.publishing = True
        await super().publish(batch)
        self.publishing = False

    def hear(self, channel: Channel, payload: bytes) -> None:
        if self.publishing or trio.current_time() - self.since[channel] >= self.way:
            super().hear(channel, payload)


class Split(Distant):
    """Is with a server that tells the others nothing."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus, way=60.0)


class Late(Distant):
    """Takes its time though it is with the same server."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.node = "memory"


class Deaf(MemoryBroker):
    """Does not hear itself."""

    publishing = False

    async def publish(self, batch: Sequence[Message]) -> None:
        self.publishing = True
        await super().publish(batch)
        self.publishing = False

    def hear(self, channel: Channel, payload: bytes) -> None:
        if not self.publishing:
            super().hear(channel, payload)


class CaseBlind(MemoryBroker):
    """Takes `a` for `A`."""

    async def publish(self, batch: Sequence[Message]) -> None:
        await super().publish([(channel.lower(), payload) for channel, payload in batch])

    async def subscribe(self, channels: Sequence[Channel]) -> None:
        await super().subscribe([channel.lower() for channel in channels])


class Refusing(MemoryBroker):
    """Takes one byte less than it says."""

    async def publish(self, batch: Sequence[Message]) -> None:
        for channel, payload in batch:
            if len(payload) >= self.max_payload:
                raise MessageTooLarge(channel, len(payload), self.max_payload)
        await super().publish(batch)


class Swallowing(MemoryBroker):
    """Sends what fits of a batch before it refuses the rest."""

    async def publish(self, batch: Sequence[Message]) -> None:
        for message in batch:
            await super().publish([message])


class Unlimited(MemoryBroker):
    """Forgets its limit."""

    async def publish(self, batch: Sequence[Message]) -> None:
        limit, self.max_payload = self.max_payload, 2**40
        try:
            await super().publish(batch)
        finally:
            self.max_payload = limit


class Eager(MemoryBroker):
    """Works before it is connected."""

    async def publish(self, batch: Sequence[Message]) -> None:
        try:
            await super().publish(batch)
        except BrokerUnavailable:
            return


class Slow(MemoryBroker):
    """Takes its time to close."""

    async def close(self) -> None:
        await super().close()
        await trio.sleep(1.2)


class Leaking(MemoryBroker):
    """Leaves a descriptor open."""

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        await super().connect(inbox, nursery)
        left.append(trio.socket.socket())


left: list[trio.socket.SocketType] = []


class Strict(MemoryBroker):
    """Minds unsubscribing from what it does not hear."""

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:
        for channel in channels:
            if channel not in self._heard:
                raise BrokerUnavailable("Not heard.")
        await super().unsubscribe(channels)


class Fickle(MemoryBroker):
    """Reports a loss that was none."""

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        await super().connect(inbox, nursery)
        inbox.lost(BrokerUnavailable("A whim."))


class Rushed(MemoryBroker):
    """Returns before the broker took the batch."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.later: list[Message] = []

    async def publish(self, batch: Sequence[Message]) -> None:
        now, self.later = self.later, list(batch)
        await super().publish(now)


class Letting(MemoryBroker):
    """Lets go before it subscribes again."""

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        await self.unsubscribe(channels)
        await trio.sleep(0.001)
        await self.subscribe(channels)


class Piling(MemoryBroker):
    """Hears what it has subscribed again once more each time."""

    def __init__(self, bus: MemoryBus) -> None:
        super().__init__(bus)
        self.times = 1

    async def resubscribe(self, channels: Sequence[Channel]) -> None:
        await self.subscribe(channels)
        self.times += 1

    def hear(self, channel: Channel, payload: bytes) -> None:
        for _ in range(self.times):
            super().hear(channel, payload)


class Probing(MemoryBroker):
    """Proves itself by a channel that nobody serves."""

    def probes(self, channel: Channel) -> Sequence[Channel]:
        return ()


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Dropping, "order"),
        (Duplicating, "own messages"),
        (Reordering, "order"),
        (Cutting, "whole"),
        (Lingering, "unsubscribed"),
        (Letting, "resubscribed"),
        (Piling, "resubscribed"),
        (Early, "subscribed"),
        (Late, "subscribed"),
        (Late, "resubscribed"),
        (Split, "subscribed"),
        (Split, "order"),
        (Deaf, "own messages"),
        (CaseBlind, "names"),
        (Refusing, "limit"),
        (Swallowing, "limit"),
        (Unlimited, "limit"),
        (Eager, "not connected"),
        (Slow, "cancelled"),
        (Leaking, "nothing left"),
        (Strict, "idempotent"),
        (Fickle, "taken"),
        (Rushed, "taken"),
        (Probing, "probes"),
    ],
)
async def test_the_checks_notice_what_is_broken(
    kind: type[MemoryBroker], check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployd.transport.brokers.contract.harness.TIMEOUT", 0.2)
    monkeypatch.setattr("deployd.transport.brokers.contract.conformance.TIMEOUT", 0.2)
    monkeypatch.setattr("deployd.transport.brokers.contract.harness.SPREAD", 0.3)
    bus = MemoryBus()
    with pytest.RaisesGroup(
        pytest.RaisesExc((ContractBroken, BrokerUnavailable, MessageTooLarge)),
        allow_unwrapped=True,
        flatten_subgroups=True,
    ):
        await CHECKS[check](lambda: kind(bus))
    while left:
        left.pop().close()


async def test_servers_that_tell_each_other_of_a_subscription_in_their_own_time_keep_the_promises(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus, other = MemoryBus(), MemoryBus()
    await check_broker(lambda: Distant(bus), lambda: Distant(other))


async def test_a_broker_that_ignores_its_prefix_is_noticed() -> None:
    bus = MemoryBus()
    with pytest.RaisesGroup(ContractBroken, allow_unwrapped=True, flatten_subgroups=True):
        await check_apart(lambda: MemoryBroker(bus), lambda: MemoryBroker(bus))
