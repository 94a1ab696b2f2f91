"""Each alert fires when a pod is in the state that it is for, and is over when the pod is well.

What a pod says before, in and after a state is given to Prometheus' own rule engine. States that a
test can't bring about soon are made of what a healthy pod says, with the figures of that state.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
import yaml
from attrs import evolve
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
from support.promtool import Scrape, firing

RULES: Final = Path(__file__).parents[2] / "deploy" / "kubernetes" / "monitoring" / "alerts.yaml"
PLACE: Final = {"job": "deployd", "namespace": "n", "pod": "p"}
"""Labels that Prometheus adds."""


def rules() -> list[Any]:
    [group] = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    return list(group["rules"])


def series(name: str, /, **labels: str) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted({**labels, **PLACE}.items()))
    return f"{name}{{{inner}}}"


async def scrape(pod: Pod) -> dict[str, float]:
    pod.parts.exporter._answers.clear()  # it keeps one for a second
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url, headers = f"http://127.0.0.1:{pod.port}/metrics", {"X-Master-Key": KEYS.master_key}
        text = (await client.get(url, headers=headers)).text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return {
        series("up"): 1.0,
        **{series(one.name, **one.labels): float(one.value) for one in samples},
    }


OF_THE_MACHINE: Final = {
    "DeploydLoopLag": "deployd_loop_lag_seconds",
    "DeploydLoopStalls": "deployd_loop_stalls_total",
    "DeploydCrossPodLatency": "deployd_cross_pod_latency_seconds",
}
"""Figures that a busy machine makes worse: left out where a test is not about them."""


def told(phases: list[Scrape], alerts: set[str], folder: Path) -> None:
    """Expect these alerts in the second phase, and none in the first and the third."""
    others = tuple(name for alert, name in OF_THE_MACHINE.items() if alert not in alerts)
    phases = [
        {name: value for name, value in phase.items() if not name.startswith(others)}
        for phase in phases
    ]
    assert firing(rules(), phases, [set(), alerts, set()], folder) == ""


@asynccontextmanager
async def joined(config: Config | None = None) -> AsyncIterator[tuple[Pod, FakeBus]]:
    bus = FakeBus()
    config = evolve(config or pod_config(), broker=FAKE)
    async with running_pod(config, broker=bus.make, rooms={"*": Boom}) as pod:
        await until(lambda: well(pod))
        yield pod, bus


class Boom(Room[None]):
    async def on_message(self, sender: Member, event: str, data: JSON) -> None:
        if event == "boom":
            raise ValueError("boom")
        if event == "block":
            time.sleep(1.3)  # noqa: ASYNC251 - what nobody should do
        self.broadcast(event, data)


async def test_of_a_broker_that_is_away_and_of_what_that_cost(tmp_path: Path) -> None:
    with capture_logs():
        async with joined() as (pod, bus), connected(pod) as [ann]:
            await ann.join("tea")
            phases: list[Scrape] = [await scrape(pod)]
            bus.kill()
            await until(lambda: not well(pod))
            await ann.send("emit", room="tea", event="said", id=1)
            while (await ann.receive()).get("id") != 1:
                pass
            phases.append(await scrape(pod))
            bus.start()
            await until(lambda: well(pod))
            phases.append(await scrape(pod))
    told(phases, {"DeploydBreakerOpen", "DeploydEventsLost"}, tmp_path)


async def test_of_pods_that_are_not_heard(tmp_path: Path) -> None:
    bus = FakeBus()
    with capture_logs():
        async with two_pods(bus) as (a, _):
            assert a.link is not None
            peers = a.link.state.peers
            await until(lambda: [peer.beats >= 2 for peer in peers.known.values()] == [True])
            phases: list[Scrape] = [await scrape(a)]
            side = min(bus.brokers, key=id)
            side.side = 1
            await until(lambda: peers.partition is not None)
            phases.append(await scrape(a))
            side.side = 0
            await until(lambda: peers.partition is None)
            phases.append(await scrape(a))
    told(phases, {"DeploydPodsMissing"}, tmp_path)


async def test_of_actors_that_crash_again_and_again(tmp_path: Path) -> None:
    with capture_logs():
        async with joined() as (pod, _), connected(pod) as [ann]:
            await ann.join("tea")
            phases: list[Scrape] = [await scrape(pod)]
            tree = pod.parts.watched.room_tree
            while tree.restarted <= 10:
                await ann.send("emit", room="tea", event="boom")
                with trio.move_on_after(0.02):
                    await ann.receive()
                if not len(tree):  # given up
                    await ann.join("tea")
            phases += 2 * [await scrape(pod)]
    told(phases, {"DeploydRestartStorm"}, tmp_path)


async def test_of_a_loop_that_stands_still(tmp_path: Path) -> None:
    with capture_logs():
        async with joined() as (pod, _), connected(pod) as [ann]:
            await ann.join("tea")
            phases: list[Scrape] = [await scrape(pod)]
            await ann.send("emit", room="tea", event="block")
            await until(lambda: pod.parts.basis.watchdog.stalls > 0)
            phases += 2 * [await scrape(pod)]
    told(phases, {"DeploydLoopStalls"}, tmp_path)


async def test_of_a_pod_that_is_nearly_full_and_not_ready_and_is_guessed_at(tmp_path: Path) -> None:
    config = pod_config()
    config = evolve(
        config,
        limits=evolve(config.limits, max_connections=4, address_share=1.0),
        auth=evolve(config.auth, login_attempts=1000),
    )
    with capture_logs():
        async with running_pod(config) as pod:
            phases: list[Scrape] = [await scrape(pod)]
            async with connected(pod, 4), httpx.AsyncClient(trust_env=False) as client:
                url = f"http://127.0.0.1:{pod.port}/_dashboard/api/pods"
                for _ in range(60):
                    await client.get(url, headers={"X-Master-Key": "wrong"})
                phases.append(await scrape(pod))
                after = await scrape(pod)
            pod.parts.health.stop()
            stopping = await scrape(pod)
    calm = {**after, series("websocket_connections_per_pod"): 0.0}
    told([*phases, calm], {"DeploydConnectionsNearMax", "DeploydSignInsRefused"}, tmp_path)
    told(
        [calm, {**calm, series("deployd_ready"): stopping[series("deployd_ready")]}, calm],
        {"DeploydNotReady"},
        tmp_path,
    )


async def test_of_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    """Prometheus' clock begins at 0 here, so the ends are told from then."""
    began, phases = time.time(), list[Scrape]()
    with capture_logs():
        for days in (90, 10, 90):
            ends = dt.datetime.fromtimestamp(began, dt.UTC) + dt.timedelta(days=days)
            config = evolve(pod_config(), tls=issued(tmp_path, ends=ends))
            async with running_pod(config) as pod:
                text = pod.parts.exporter.expose("")[0].decode()
                (wrong,) = [pod.parts.tree.views.realtime()["wrong"]]
            samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
            name = "deployd_certificate_expires_timestamp_seconds"
            [(labels, end)] = [(one.labels, one.value) for one in samples if one.name == name]
            assert abs(end - ends.timestamp()) < 2
            assert ("certificate-expiring" in str(wrong)) == (days == 10)
            phases.append({series("up"): 1.0, series(name, **labels): end - began})
    told(phases, {"DeploydCertificateExpiring"}, tmp_path)


def bucketed(name: str, above: float) -> Callable[[Scrape], Scrape]:
    """Six hundred observations, all of them longer than some seconds."""

    def made(said: Scrape) -> Scrape:
        buckets = {key: value for key, value in said.items() if key.startswith(f"{name}_bucket")}
        assert buckets
        return {
            key: value + 600 * (float(key.partition('le="')[2].partition('"')[0]) > above)
            for key, value in buckets.items()
        }

    return made


LATER: Final[Mapping[str, Callable[[Scrape], Scrape]]] = {
    "DeploydLinkDeaf": lambda _: {series("deployd_broker_deaf_seconds", link="x:Fake"): 31.0},
    "DeploydSlowClients": lambda _: {series("deployd_slow_clients_closed_total"): 100.0},
    "DeploydLoopLag": bucketed("deployd_loop_lag_seconds", 0.25),
    "DeploydCrossPodLatency": bucketed("deployd_cross_pod_latency_seconds", 0.3),
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


@pytest.mark.parametrize("alert", LATER)
async def test_of_what_takes_long_to_come_about(alert: str, tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {"properties": {}})
    with capture_logs():
        async with joined(collections_config(tmp_path)) as (pod, _), connected(pod) as [ann]:
            await ann.join("tea")
            await until(lambda: pod.parts.health.unready() is None)
            calm = await scrape(pod)
    changed = LATER[alert](calm)
    assert {name.partition("{")[0] for name in changed} <= {
        *(name.partition("{")[0] for name in calm),
        "deployd_rate_limited_total",  # whose labels come with what happens
    }
    grown = {
        name: value for name, value in changed.items() if "_total" in name or "_bucket" in name
    }
    told([calm, {**calm, **changed}, {**calm, **grown}], {alert}, tmp_path)


def test_no_alert_is_left_out() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{one["alert"]}"' in text for one in rules())
