"""The fault catalogue, by its numbers, against real brokers: what two pods and their clients see.

`scene` judges each conversation: words are heard at once on their own pod, nobody is disconnected,
each has one receipt, and what the broker took is heard on the other pod or lies in a declared gap.
Durations are the catalogue's, shortened; `tests/transport/brokers` has what only drivers can see.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import attrs
import pytest
import trio

from deployd.actors.cluster import BreakerState
from deployd.config import Broker
from deployd.supervisors import Pod, open_pod
from deployd.tools.chaos.proxy import (
    DOWNSTREAM,
    UPSTREAM,
    AcceptAndHang,
    Bandwidth,
    Blackhole,
    FaultProxy,
    HalfOpen,
    Latency,
    LimitData,
    Slicer,
    Stream,
    fault_proxy,
)
from support.clients import KEYS, connected, pod_config, until
from support.nats_server import MakeNatsServer, NatsServer
from support.outages import (
    FAST,
    STANDARD,
    Scene,
    broker_settings,
    in_thread,
    on,
    scene,
)
from support.rabbitmq_server import RabbitServer
from support.redis_server import MakeRedisServer, RedisServer

KINDS = ("nats", "redis", "rabbitmq")

BUSY: Final = 0.5
"""Seconds that a machine which does other things is given beside what is promised."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> Any:
    """The server that tests share: each leaves it running."""
    return request.getfixturevalue(f"{kind}_server")


async def test_1_a_killed_broker_is_noticed_at_once_and_healed(kind: str, server: Any) -> None:
    async with scene(kind, server) as it:
        await it.fault(server.kill)
        await it.detected()
        await in_thread(server.start)
        await it.healed()


async def test_2_a_nats_server_that_says_it_will_stop_is_left(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("lame_duck_duration: 30s\nlame_duck_grace_period: 1s")
    async with scene("nats", server) as it:
        await it.fault(lambda: os.kill(server.pid, signal.SIGUSR2))
        await it.detected()
        await in_thread(server.kill)
        await in_thread(server.start)
        await it.healed()


@pytest.mark.parametrize("kind", ["nats", "redis"])
async def test_2_a_server_that_ends_in_peace_is_noticed_at_once(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(f"make_{kind}_server")()
    async with scene(kind, server) as it:
        await it.fault(server.terminate)
        await it.detected()
        await in_thread(server.start)
        await it.healed()


async def test_3_a_frozen_broker_is_noticed_by_the_canary(kind: str, server: Any) -> None:
    async with scene(kind, server) as it:
        await it.fault(server.freeze)
        try:
            await it.detected(silent=True)
        finally:
            server.thaw()
        await it.healed()


async def test_3_a_frozen_broker_is_noticed_in_time_with_the_settings_that_nobody_changed(
    rabbitmq_server: RabbitServer,
) -> None:
    async with scene("rabbitmq", rabbitmq_server, STANDARD) as it:
        await it.fault(rabbitmq_server.freeze)
        try:
            await it.detected(silent=True)
            assert trio.current_time() - it.began < 1.5 + BUSY
        finally:
            rabbitmq_server.thaw()
        await it.healed()


async def test_4_a_short_pause_is_no_outage(kind: str, server: Any) -> None:
    async with scene(kind, server, STANDARD) as it:
        await it.fault(server.freeze)
        try:
            await trio.sleep(1.0)  # the fault
        finally:
            server.thaw()
        await it.hears_more()
        assert it.trips() == [0, 0]


@pytest.mark.parametrize("kind", ["rabbitmq"], indirect=True)
async def test_5_a_blackhole_is_noticed_on_the_pod_that_is_in_it(kind: str, server: Any) -> None:
    async with scene(kind, server) as it:
        await it.fault(on(it.far, Blackhole()))
        await it.detected(silent=True, pods=[1])
        it.far.toxics.clear()
        await it.healed()
        assert it.trips()[0] == 0


async def test_5_a_blackhole_is_noticed_in_time_with_the_settings_that_nobody_changed(
    redis_server: RedisServer,
) -> None:
    async with scene("redis", redis_server, STANDARD) as it:
        await it.fault(*(on(proxy, Blackhole()) for proxy in it.proxies))
        await it.detected(silent=True)
        for proxy in it.proxies:
            proxy.toxics.clear()
        await it.healed()


@pytest.mark.parametrize(
    ("kind", "way"),
    [("nats", DOWNSTREAM), ("redis", DOWNSTREAM), ("rabbitmq", UPSTREAM)],
    indirect=["kind"],
)
async def test_6_a_way_that_loses_everything_in_one_direction_is_noticed(
    kind: str, server: Any, way: Stream
) -> None:
    async with scene(kind, server) as it:
        await it.fault(*(on(proxy, Blackhole(both=False), way) for proxy in it.proxies))
        await it.detected(silent=True)
        for proxy in it.proxies:
            proxy.toxics.clear()
        await it.healed()


async def test_6_a_deaf_pod_is_noticed_in_time_with_the_settings_that_nobody_changed(
    nats_server: NatsServer,
) -> None:
    async with scene("nats", nats_server, STANDARD) as it:
        await it.fault(on(it.far, Blackhole(both=False)))
        await it.detected(silent=True, pods=[1])
        it.far.toxics.clear()
        await it.healed()


async def test_7_a_connection_to_a_broker_that_was_started_anew_is_no_zombie(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    async with scene("redis", server) as it:
        for proxy in it.proxies:
            proxy.toxics.put(HalfOpen())
        await it.fault(*(on(proxy, Blackhole()) for proxy in it.proxies))
        await in_thread(server.kill)
        await in_thread(server.start)
        await it.detected(silent=True)
        for proxy in it.proxies:
            proxy.toxics.clear()
        await it.healed()


async def test_8_a_reset_is_noticed_at_once(kind: str, server: Any) -> None:
    async with scene(kind, server) as it:
        await it.fault(*(proxy.reset_connections for proxy in it.proxies))
        await it.detected()
        await it.healed()


async def test_8_a_reset_in_the_middle_of_recovering_from_one_is_healed_too(
    kind: str, server: Any
) -> None:
    async with scene(kind, server) as it:
        tries = it.far.accepted
        await it.fault(it.far.reset_connections)
        await it.detected(pods=[1])
        for again in range(1, 4):
            await until(partial(accepted, it.far, tries + again))
            it.far.reset_connections()
        await it.healed()


def accepted(proxy: FaultProxy, connections: int) -> bool:
    return proxy.accepted >= connections


@pytest.mark.parametrize("kind", ["nats", "rabbitmq"], indirect=True)
async def test_9_a_slow_way_is_no_outage(kind: str, server: Any) -> None:
    async with scene(kind, server) as it:
        await it.hears_more()
        for proxy in it.proxies:
            proxy.toxics.put_both(Latency(latency=100, jitter=60))
        await trio.sleep(0.5)  # the fault
        await it.hears_more()
        assert it.trips() == [0, 0]


async def test_9_a_way_of_half_a_second_is_no_outage_with_the_settings_that_nobody_changed(
    nats_server: NatsServer,
) -> None:
    async with scene("nats", nats_server, STANDARD) as it:
        # What is so slow from one moment to the next may be taken for a broker that hangs.
        for latency, jitter in ((100, 60), (300, 150), (500, 300)):
            for proxy in it.proxies:
                proxy.toxics.put_both(Latency(latency=latency, jitter=jitter))
            await trio.sleep(1.5)  # the fault
            await it.hears_more()
        assert it.trips() == [0, 0]
        assert it.talk.told == []


@pytest.mark.parametrize("kind", ["nats"], indirect=True)
async def test_10_a_narrow_way_fills_no_memory_and_every_emit_gets_its_receipt(
    kind: str, server: Any
) -> None:
    base = attrs.evolve(FAST, outbox_bytes=64 * 1024, timeout=1.8)
    async with scene(kind, server, base) as it, connected(it.pods[0]) as [eve]:
        await eve.join("files")
        await it.hears_more()
        it.proxies[0].toxics.put_both(Bandwidth(rate=16))
        link, most, receipts = it.pods[0].link, 0, 0
        assert link is not None
        for number in range(60):
            await eve.send("emit", room="files", event="part", data="x" * 2000, id=number)
        while receipts < 60:
            receipts += (await eve.receive())["type"] == "receipt"
            most = max(most, link.outbox.statistics().bytes)
        it.proxies[0].toxics.clear()
        await it.healed()
        assert most <= 64 * 1024


@pytest.mark.parametrize(
    ("kind", "after"),
    [("nats", 1), ("redis", 40), ("rabbitmq", 333)],
    indirect=["kind"],
)
async def test_11_a_message_that_is_cut_in_the_middle_is_no_message(
    kind: str, server: Any, after: int
) -> None:
    async with scene(kind, server) as it:
        await it.fault(on(it.far, LimitData(bytes=after)))
        await it.detected(pods=[1])
        it.far.toxics.clear()
        await it.healed()


async def test_12_bytes_that_come_one_by_one_are_understood(kind: str, server: Any) -> None:
    # A byte costs proxy and pod a turn of the loop each: ten words a second, not a hundred, leave
    # a busy machine time for the bytes of all.
    async with scene(kind, server, attrs.evolve(FAST, timeout=1.8), period=0.1) as it:
        await it.hears_more()
        it.far.toxics.put_both(Slicer(average_size=1))
        it.far.reset_connections()  # what greets a new connection comes so, too
        await until(lambda: it.trips()[1] == 1)
        await it.healed()
        await it.hears_more()
        assert it.trips() == [0, 1]
        it.far.toxics.clear()  # a machine that is busy must not be behind when all is compared


async def test_13_a_broker_whose_end_is_not_told_is_found_out(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server()
    async with scene("nats", server) as it:
        for proxy in it.proxies:
            proxy.toxics.put(HalfOpen())
        await it.fault(server.kill)
        await it.detected(silent=True)
        for proxy in it.proxies:
            proxy.toxics.clear()
        await in_thread(server.start)
        await it.healed()


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"], indirect=True)
async def test_14_a_broker_that_accepts_and_says_nothing_is_tried_with_pauses(
    kind: str, server: Any
) -> None:
    async with scene(kind, server) as it:
        proxy = it.far
        proxy.toxics.put(AcceptAndHang())
        await it.fault(proxy.reset_connections)
        await it.detected(pods=[1])
        link, before = it.pods[1].link, proxy.accepted
        assert link is not None
        await until(lambda: "did not answer within" in link.state.breaker.reason)
        await until(lambda: proxy.accepted > before + 1)
        assert trio.current_time() - it.began > FAST.timeout
        proxy.toxics.clear()
        await it.healed()


async def test_15_a_flapping_broker_is_tried_less_and_less_often(nats_server: NatsServer) -> None:
    async with scene("nats", nats_server) as it:
        link = it.pods[1].link
        assert link is not None
        least = []
        for flap in range(1, 3):
            await until(lambda: link.state.breaker.closed)
            it.far.reset_connections()
            await until(partial(tripped, it, flap))
            least.append(link.state.breaker.open_for)
        assert least == [0.5, 1.0]
        await it.healed()


def tripped(it: Scene, times: int) -> bool:
    return it.trips()[1] == times


async def test_16_a_name_that_nobody_knows_does_not_hold_up_a_pod(kind: str) -> None:
    host = {"host": "no.invalid"}
    nowhere = attrs.evolve(getattr(Broker(), kind), **host)
    async with alone(attrs.evolve(FAST, type=kind, **{kind: nowhere})) as pod:
        assert pod.link is not None
        link = pod.link
        await until(lambda: "no.invalid" in link.state.breaker.reason)
        assert link.state.breaker.state is not BreakerState.AUTH


async def test_17_a_password_that_is_none_is_a_state_of_its_own(
    rabbitmq_server: RabbitServer,
) -> None:
    async with fault_proxy(rabbitmq_server.port) as proxy:
        broker = broker_settings("rabbitmq", rabbitmq_server, port=proxy.port, password="another")
        async with alone(broker) as pod:
            await stays_out(pod, proxy, "broker.rabbitmq")


async def test_17_a_password_that_is_changed_at_nats_is_a_state_of_its_own(
    make_nats_server: MakeNatsServer,
) -> None:
    users = "authorization {{ user: ann, password: {} }}"
    server = make_nats_server(users.format("one"))
    async with scene("nats", server, username="ann", password="one") as it:
        server.configure(users.format("two"))
        await it.fault(lambda: os.kill(server.pid, signal.SIGHUP))
        await it.detected()
        await stays_out(it.pods[0], it.proxies[0], "broker.nats")


async def test_17_a_password_that_is_changed_at_redis_is_a_state_of_its_own(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server("--requirepass", "one", login=["-a", "one"])
    async with scene("redis", server, password="one") as it:
        await in_thread(lambda: server.ask("CONFIG", "SET", "requirepass", "two"))
        await it.fault(*(proxy.reset_connections for proxy in it.proxies))
        await it.detected()
        await stays_out(it.pods[0], it.proxies[0], "broker.redis")


@asynccontextmanager
async def alone(broker: Broker) -> AsyncIterator[Pod]:
    """Run a pod that cannot reach its broker, and expect its own clients to be served at once.

    What waits for the broker waits for longer than clients here have patience.
    """
    broker = attrs.evolve(broker, timeout=60.0)
    async with (
        open_pod(attrs.evolve(pod_config(), broker=broker), keys=KEYS) as pod,
        connected(pod) as [ann],
    ):
        yield pod
        await ann.send("join", room="tea")
        await ann.send("emit", room="tea", event="said", data=1, id=1)
        while (message := await ann.receive())["type"] != "receipt":
            assert message["type"] in ("emit", "join")
        assert message["data"]["scope"] == "local"


async def stays_out(pod: Pod, proxy: FaultProxy, remedy: str) -> None:
    """Expect a pod to know that it is refused, to name the setting, and not to hammer."""
    assert pod.link is not None
    link = pod.link
    await until(lambda: link.state.breaker.state is BreakerState.AUTH)
    assert remedy in link.state.breaker.reason
    assert "another" not in link.state.breaker.reason
    tries = proxy.accepted
    await trio.sleep(0.7)  # the next is 30 s away
    assert proxy.accepted == tries
    assert link.state.breaker.state is BreakerState.AUTH
