"""A pod whose loop was held up, and clients that are told of an outage."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
import trio
import trio.testing

from deployd.actors import Member
from deployd.actors.clients import Notices
from deployd.actors.cluster.awake_timeout import AwakeTimeouts
from deployd.actors.cluster.patience import Patience, RoundTrips
from deployd.transport import NATIVE
from support.fake_broker import FakeBus
from support.links import passes, sim_pods


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.95])
async def test_a_pod_that_stalled_does_not_blame_its_broker(
    autojump_clock: trio.testing.MockClock, offset: float
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await passes(lambda: a.well and b.well)
        await trio.sleep(5 + offset)
        autojump_clock.jump(5)
        await trio.sleep(10)
        assert a.outages == b.outages == []


async def test_a_pod_that_stalled_while_the_broker_was_asked_does_not_blame_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1, ["tea"]) as [pod]:
        await passes(lambda: pod.well)
        await trio.sleep(5.5)
        bus.freeze()
        pod.say("tea", 1)
        await trio.sleep(0.1)
        bus.thaw()  # it has answered by the time that the pod looks again
        autojump_clock.jump(5)
        await trio.sleep(10)
        assert pod.outages == []


async def test_whoever_asks_first_after_a_stall_finds_that_the_pod_was_not_awake(
    autojump_clock: trio.testing.MockClock,
) -> None:
    timeouts = AwakeTimeouts(Patience(1.3, 0.1, RoundTrips()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timeouts.run)
        await trio.sleep(1.0)
        began = timeouts.awake()
        autojump_clock.jump(5)
        assert timeouts.awake() - began <= 0.1
        assert 4.9 <= timeouts.slept <= 5
        await trio.sleep(1.0)
        assert 4.9 <= timeouts.slept <= 5  # and nobody finds it again
        nursery.cancel_scope.cancel()


class Sink:
    def __init__(self) -> None:
        self.written: list[tuple[float, str]] = []

    def write(self, frame: bytes) -> None:
        begin = frame.index(b"{")
        self.written.append((trio.current_time(), orjson.loads(frame[begin:])["event"]))


class Somebody:
    is_root = False
    protocol = NATIVE

    def __init__(self) -> None:
        self.sink = Sink()


def crowd(count: int) -> dict[str, Any]:
    return {f"client{n}": Somebody() for n in range(count)}


def notices(members: dict[str, Any], window: float) -> Notices:
    return Notices(cast("dict[str, Member]", members), lambda: "id", trio.current_time, window)


async def test_notices_are_spread_over_their_window_and_come_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    members = crowd(200)
    told = notices(members, 2.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run, lambda: None)
        told.tell("system:degraded", {})
        told.tell("system:healed", {})
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    for somebody in members.values():
        assert [event for _, event in somebody.sink.written] == ["system:degraded", "system:healed"]
    times = [somebody.sink.written[0][0] for somebody in members.values()]
    assert max(times) - min(times) == pytest.approx(2.0 * 19 / 20)
    assert max(times.count(time) for time in times) == 10
    assert times != sorted(times)


async def test_a_link_that_flaps_does_not_pile_notices_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    members = crowd(1)
    told = notices(members, 1.0)
    for n in range(100):
        told.tell("system:healed" if n % 2 else "system:degraded", {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run, lambda: None)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    [somebody] = members.values()
    assert len(somebody.sink.written) == 8
    assert somebody.sink.written[-1][1] == "system:healed"
