"""The fault catalogue's rows 1 to 14, each against real brokers, with two pods under traffic.

Whatever happens: local traffic goes on, nobody is disconnected, the fault is noticed, the pods
heal, and whatever did not come was declared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from attrs import evolve

from deployd.config import Broker
from support.fault_proxy import FaultProxy, fault_proxy
from support.witness import Scene, scene

KINDS: Final = ("nats", "redis", "rabbitmq")
QUICK: Final = Broker(canary_interval=0.2, timeout=0.5, max_backoff=0.2)
USUAL: Final = Broker(max_backoff=0.5)
"""The defaults of what notices a fault."""
DETECTED: Final = 3.0
HEALED: Final = 5.0
BUSY: Final = 1.0
"""Seconds more for a machine that has others to serve."""


def settings(kind: str, server: Any, port: int, broker: Broker) -> Broker:
    return evolve(broker, type=kind, **{kind: server.settings(port=port)})


@asynccontextmanager
async def behind_proxy(
    kind: str, request: pytest.FixtureRequest, broker: Broker = QUICK
) -> AsyncIterator[tuple[Scene, FaultProxy]]:
    server = request.getfixturevalue(f"{kind}_server")
    async with (
        fault_proxy(server.port) as proxy,
        scene(settings(kind, server, proxy.port, broker)) as playing,
    ):
        yield playing, proxy


@asynccontextmanager
async def at_server(
    kind: str, request: pytest.FixtureRequest, broker: Broker = QUICK
) -> AsyncIterator[tuple[Scene, Any]]:
    server = request.getfixturevalue(f"make_{kind}_server")()
    async with scene(settings(kind, server, server.port, broker)) as playing:
        yield playing, server


async def all_is_well(playing: Scene, outages: int = 1) -> None:
    """The pods are joined again, and everything that did not come was declared."""
    assert await playing.told("system:healed", outages) < HEALED + BUSY
    await playing.heard_more()
    verdict = await playing.settle()
    assert verdict.clean, verdict


@pytest.mark.parametrize("kind", ["nats", "redis"])
@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_rows_1_and_2_a_broker_that_ends_and_returns(
    kind: str, end: str, request: pytest.FixtureRequest
) -> None:
    async with at_server(kind, request) as (playing, server):
        await trio.to_thread.run_sync(getattr(server, end))
        assert await playing.told("system:degraded") < 0.5 + BUSY
        await trio.to_thread.run_sync(server.start)
        await all_is_well(playing)


async def test_row_3_a_broker_that_freezes(request: pytest.FixtureRequest) -> None:
    async with at_server("redis", request, USUAL) as (playing, server):
        server.freeze()
        try:
            assert await playing.told("system:degraded") < DETECTED + BUSY
        finally:
            server.thaw()
        await all_is_well(playing)


async def test_row_4_a_short_pause_is_no_outage(request: pytest.FixtureRequest) -> None:
    async with at_server("redis", request, USUAL) as (playing, server):
        server.freeze()
        try:
            await trio.sleep(0.5)
        finally:
            server.thaw()
        await playing.heard_more()
        verdict = await playing.settle()
        assert verdict.clean, verdict
        assert not playing.far.told("system:degraded")


@pytest.mark.parametrize("kind", KINDS)
async def test_row_5_a_blackhole(kind: str, request: pytest.FixtureRequest) -> None:
    async with behind_proxy(kind, request, USUAL) as (playing, proxy):
        proxy.blackhole()
        assert await playing.told("system:degraded") < DETECTED + BUSY
        proxy.heal()
        await all_is_well(playing)


@pytest.mark.parametrize("kind", KINDS)
async def test_row_6_loss_in_one_direction(kind: str, request: pytest.FixtureRequest) -> None:
    async with behind_proxy(kind, request) as (playing, proxy):
        proxy.swallow_in = True
        assert await playing.told("system:degraded") < DETECTED
        proxy.heal()
        await all_is_well(playing)


async def test_row_7_half_open_connections_to_a_broker_that_was_restarted(
    request: pytest.FixtureRequest,
) -> None:
    server = request.getfixturevalue("make_nats_server")()
    async with (
        fault_proxy(server.port) as proxy,
        scene(settings("nats", server, proxy.port, QUICK)) as playing,
    ):
        proxy.blackhole()
        proxy.withhold_fin = True
        await trio.to_thread.run_sync(server.kill)
        await trio.to_thread.run_sync(server.start)
        await playing.told("system:degraded")
        proxy.heal()
        await all_is_well(playing)


@pytest.mark.parametrize("kind", KINDS)
async def test_row_8_a_reset(kind: str, request: pytest.FixtureRequest) -> None:
    async with behind_proxy(kind, request) as (playing, proxy):
        proxy.reset()
        assert await playing.told("system:degraded") < 0.1 + BUSY
        await all_is_well(playing)


async def test_row_9_latency_is_no_outage(request: pytest.FixtureRequest) -> None:
    async with behind_proxy("nats", request, USUAL) as (playing, proxy):
        proxy.latency, proxy.jitter = 0.3, 0.15
        await playing.heard_more(100)
        proxy.heal()
        verdict = await playing.settle()
        assert verdict.clean, verdict
        assert not playing.far.told("system:degraded")


async def test_row_10_a_narrow_way_fills_the_outbox_and_no_more(
    request: pytest.FixtureRequest,
) -> None:
    broker = evolve(QUICK, outbox_messages=50)
    async with behind_proxy("nats", request, broker) as (playing, proxy):
        proxy.bandwidth = 16 * 1024
        assert playing.a.uplink is not None
        for _ in range(100):
            await trio.sleep(0.01)
            assert playing.a.uplink.outbox.statistics().waiting <= 50
        proxy.heal()
        await playing.heard_more()
        verdict = await playing.settle()
        assert not verdict.false_cluster
        assert not verdict.undeclared
        assert not verdict.duplicate


@pytest.mark.parametrize("kind", KINDS)
async def test_row_11_connections_that_are_cut_in_the_middle(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with behind_proxy(kind, request) as (playing, proxy):
        proxy.cut_after = 1001
        await playing.told("system:degraded")
        proxy.heal()
        await all_is_well(playing)


@pytest.mark.parametrize("kind", KINDS)
async def test_row_12_tiny_slices(kind: str, request: pytest.FixtureRequest) -> None:
    broker = evolve(USUAL, timeout=5.0)
    async with behind_proxy(kind, request, broker) as (playing, proxy):
        proxy.slice_bytes = 1
        await playing.heard_more(30)
        proxy.heal()
        verdict = await playing.settle()
        assert verdict.clean, verdict
        assert not playing.far.told("system:degraded")


async def test_row_13_a_close_that_nobody_is_told_of(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("make_redis_server")()
    async with (
        fault_proxy(server.port) as proxy,
        scene(settings("redis", server, proxy.port, QUICK)) as playing,
    ):
        proxy.withhold_fin = True
        await trio.to_thread.run_sync(server.kill)
        assert await playing.told("system:degraded") < DETECTED
        await trio.to_thread.run_sync(server.start)
        proxy.heal()
        await all_is_well(playing)


@pytest.mark.parametrize("kind", KINDS)
async def test_row_14_a_broker_that_accepts_and_says_nothing(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with behind_proxy(kind, request) as (playing, proxy):
        proxy.mute = True
        before = proxy.accepted
        proxy.reset()
        await playing.told("system:degraded")
        with trio.fail_after(10):
            while proxy.accepted < before + 4:  # noqa: ASYNC110 - a proxy tells nobody
                await trio.sleep(0.02)
        proxy.heal()
        await all_is_well(playing)
