"""States that an alert is for: what a pod says before, in and after each.

States that a test can't bring about soon are made of what a healthy pod says, with the figures of
that state.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import trio
from attrs import evolve, frozen
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from deployd.actors import JSON, Member, Room
from deployd.config import Config
from deployd.supervisors import Pod
from support import KEYS, connected, pod_config, running_pod
from support.certificates import issued
from support.clients import until
from support.collections import collections_config, write_collection
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods, well

__all__ = ["ENDS", "PLACE", "STATES", "Scrape", "State", "series"]

Scrape: TypeAlias = Mapping[str, float]
"""Values by series, as `name{label="value"}`."""

PLACE: Final = {"job": "deployd", "namespace": "n", "pod": "p"}
"""Labels that Prometheus adds."""
ENDS: Final = "deployd_certificate_expires_timestamp_seconds"
"""The metric whose values are seconds since 1970, and are compared with Prometheus' clock."""


@frozen
class State:
    """What fires in the second of three scrapes, and not in the first and the last."""

    alerts: frozenset[str]
    scrapes: tuple[Scrape, Scrape, Scrape]


Bring: TypeAlias = Callable[[Path], Awaitable[State]]
"""Brings a state about, with an empty folder."""


def series(name: str, /, **labels: str) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted({**labels, **PLACE}.items()))
    return f"{name}{{{inner}}}"


_OF_THE_MACHINE: Final = {
    "DeploydLoopLag": "deployd_loop_lag_seconds",
    "DeploydLoopStalls": "deployd_loop_stalls_total",
    "DeploydCrossPodLatency": "deployd_cross_pod_latency_seconds",
}
"""Figures that a busy machine makes worse: left out where a state is not about them."""


def _state(alerts: set[str], scrapes: Sequence[Scrape]) -> State:
    others = tuple(name for alert, name in _OF_THE_MACHINE.items() if alert not in alerts)
    first, second, third = (
        {name: value for name, value in scrape.items() if not name.startswith(others)}
        for scrape in scrapes
    )
    return State(frozenset(alerts), (first, second, third))


def _parsed(text: str) -> dict[str, float]:
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return {
        series("up"): 1.0,
        **{series(one.name, **one.labels): float(one.value) for one in samples},
    }


async def _scrape(pod: Pod) -> dict[str, float]:
    pod.parts.exporter._answers.clear()  # it keeps one for a second
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url, headers = f"http://127.0.0.1:{pod.port}/metrics", {"X-Master-Key": KEYS.master_key}
        return _parsed((await client.get(url, headers=headers)).text)


@asynccontextmanager
async def _joined(config: Config | None = None) -> AsyncIterator[tuple[Pod, FakeBus]]:
    bus = FakeBus()
    config = evolve(config or pod_config(), broker=FAKE)
    with capture_logs():
        async with running_pod(config, broker=bus.make, rooms={"*": _Boom}) as pod:
            await until(lambda: well(pod))
            yield pod, bus


class _Boom(Room[None]):
    async def on_message(self, sender: Member, event: str, data: JSON) -> None:
        if event == "boom":
            raise ValueError("boom")
        if event == "block":
            time.sleep(1.3)  # noqa: ASYNC251 - what nobody should do
        self.broadcast(event, data)


async def _broker_is_away_and_what_that_costs(_: Path) -> State:
    async with _joined() as (pod, bus), connected(pod) as [ann]:
        await ann.join("tea")
        scrapes: list[Scrape] = [await _scrape(pod)]
        bus.kill()
        await until(lambda: not well(pod))
        await ann.send("emit", room="tea", event="said", id=1)
        while (await ann.receive()).get("id") != 1:
            pass
        scrapes.append(await _scrape(pod))
        bus.start()
        await until(lambda: well(pod))
        scrapes.append(await _scrape(pod))
    return _state({"DeploydBreakerOpen", "DeploydEventsLost"}, scrapes)


async def _pods_are_not_heard(_: Path) -> State:
    bus = FakeBus()
    with capture_logs():
        async with two_pods(bus) as (a, _b):
            assert a.link is not None
            peers = a.link.state.peers
            await until(lambda: [peer.beats >= 2 for peer in peers.known.values()] == [True])
            scrapes: list[Scrape] = [await _scrape(a)]
            side = min(bus.brokers, key=id)
            side.side = 1
            await until(lambda: peers.partition is not None)
            scrapes.append(await _scrape(a))
            side.side = 0
            await until(lambda: peers.partition is None)
            scrapes.append(await _scrape(a))
    return _state({"DeploydPodsMissing"}, scrapes)


async def _actors_crash_again_and_again(_: Path) -> State:
    async with _joined() as (pod, _bus), connected(pod) as [ann]:
        await ann.join("tea")
        scrapes: list[Scrape] = [await _scrape(pod)]
        tree = pod.parts.watched.room_tree
        while tree.restarted <= 10:
            await ann.send("emit", room="tea", event="boom")
            with trio.move_on_after(0.02):
                await ann.receive()
            if not len(tree):  # given up
                await ann.join("tea")
        scrapes += 2 * [await _scrape(pod)]
    return _state({"DeploydRestartStorm"}, scrapes)


async def _loop_stands_still(_: Path) -> State:
    async with _joined() as (pod, _bus), connected(pod) as [ann]:
        await ann.join("tea")
        scrapes: list[Scrape] = [await _scrape(pod)]
        await ann.send("emit", room="tea", event="block")
        await until(lambda: pod.parts.basis.watchdog.stalls > 0)
        scrapes += 2 * [await _scrape(pod)]
    return _state({"DeploydLoopStalls"}, scrapes)


async def _pod_is_nearly_full_and_guessed_at(_: Path) -> State:
    config = pod_config()
    config = evolve(
        config,
        limits=evolve(config.limits, max_connections=4, address_share=1.0),
        auth=evolve(config.auth, login_attempts=1000),
    )
    with capture_logs():
        async with running_pod(config) as pod:
            scrapes: list[Scrape] = [await _scrape(pod)]
            async with connected(pod, 4), httpx.AsyncClient(trust_env=False) as client:
                url = f"http://127.0.0.1:{pod.port}/_dashboard/api/pods"
                for _try in range(60):
                    await client.get(url, headers={"X-Master-Key": "wrong"})
                scrapes.append(await _scrape(pod))
                after = await _scrape(pod)
    calm = {**after, series("websocket_connections_per_pod"): 0.0}
    return _state({"DeploydConnectionsNearMax", "DeploydSignInsRefused"}, [*scrapes, calm])


async def _pod_is_not_ready(_: Path) -> State:
    with capture_logs():
        async with running_pod(pod_config()) as pod:
            calm = await _scrape(pod)
            pod.parts.health.stop()
            stopping = await _scrape(pod)
    name = series("deployd_ready")
    return _state({"DeploydNotReady"}, [calm, {**calm, name: stopping[name]}, calm])


async def _certificate_ends_soon(folder: Path) -> State:
    now, scrapes = dt.datetime.now(dt.UTC), list[Scrape]()
    with capture_logs():
        for days in (90, 10, 90):
            ends = now + dt.timedelta(days=days)
            config = evolve(pod_config(), tls=issued(folder, ends=ends))
            async with running_pod(config) as pod:
                text = pod.parts.exporter.expose("")[0].decode()
                (wrong,) = [pod.parts.tree.views.realtime()["wrong"]]
            assert ("certificate-expiring" in str(wrong)) == (days == 10)
            said = {name: value for name, value in _parsed(text).items() if name.startswith(ENDS)}
            [end] = said.values()
            assert abs(end - ends.timestamp()) < 2
            scrapes.append({series("up"): 1.0, **said})
    return _state({"DeploydCertificateExpiring"}, scrapes)


def _bucketed(name: str, above: float) -> Callable[[Scrape], Scrape]:
    """Six hundred observations, all of them longer than some seconds."""

    def made(said: Scrape) -> Scrape:
        buckets = {key: value for key, value in said.items() if key.startswith(f"{name}_bucket")}
        assert buckets
        return {
            key: value + 600 * (float(key.partition('le="')[2].partition('"')[0]) > above)
            for key, value in buckets.items()
        }

    return made


_LATER: Final[Mapping[str, Callable[[Scrape], Scrape]]] = {
    "DeploydLinkDeaf": lambda _: {series("deployd_broker_deaf_seconds", link="x:Fake"): 31.0},
    "DeploydSlowClients": lambda _: {series("deployd_slow_clients_closed_total"): 100.0},
    "DeploydLoopLag": _bucketed("deployd_loop_lag_seconds", 0.25),
    "DeploydCrossPodLatency": _bucketed("deployd_cross_pod_latency_seconds", 0.3),
    "DeploydMailboxNearBound": lambda _: {
        series("deployd_mailbox_high_water_messages", kind="room"): 800.0,
        series("deployd_mailbox_messages", kind="room"): 1.0,
    },
    "DeploydFilesNearMax": lambda said: {
        series("process_open_fds"): 0.9 * said[series("process_max_fds")]
    },
    "DeploydRateLimitedHerd": lambda _: {
        series("deployd_rate_limited_total", limit="accepts"): 5_000.0
    },
    "DeploydRoomMemory": lambda _: {
        series("deployd_room_memory_max_bytes", pattern="*"): 300.0 * 2**20
    },
    "DeploydPodDown": lambda _: {series("up"): 0.0},
    "DeploydStoreDown": lambda _: {
        series("deployd_store_up"): 0.0,
        series("deployd_store_trouble", reason="full"): 1.0,
    },
}
"""States that take long, or hurt: what a pod says then that it does not say now."""


def _later(alert: str) -> Bring:
    async def brought(folder: Path) -> State:
        write_collection(folder, "todos", {"properties": {}})
        async with _joined(collections_config(folder)) as (pod, _), connected(pod) as [ann]:
            await ann.join("tea")
            await until(lambda: pod.parts.health.unready() is None)
            calm = await _scrape(pod)
        changed = _LATER[alert](calm)
        assert {name.partition("{")[0] for name in changed} <= {
            *(name.partition("{")[0] for name in calm),
            "deployd_rate_limited_total",  # whose labels come with what happens
        }
        grown = {
            name: value for name, value in changed.items() if "_total" in name or "_bucket" in name
        }
        return _state({alert}, [calm, {**calm, **changed}, {**calm, **grown}])

    return brought


STATES: Final[Mapping[str, Bring]] = {
    "a broker that is away, and what that costs": _broker_is_away_and_what_that_costs,
    "pods that are not heard": _pods_are_not_heard,
    "actors that crash again and again": _actors_crash_again_and_again,
    "a loop that stands still": _loop_stands_still,
    "a pod that is nearly full and guessed at": _pod_is_nearly_full_and_guessed_at,
    "a pod that is not ready": _pod_is_not_ready,
    "a certificate that ends soon": _certificate_ends_soon,
    **{alert: _later(alert) for alert in _LATER},
}
