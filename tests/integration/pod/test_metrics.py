"""What Prometheus gets from a running pod."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deployd.actors import JSON, Member, Room
from deployd.config import Chaos, Config, Metrics, Rule
from deployd.supervisors import Pod
from deployd.transport import RATES
from support import KEYS, connected, pod_config, running_pod
from support.collections import collections_config, write_collection
from support.fake_broker import FakeBroker, FakeBus

DOCUMENTED = Path(__file__).parents[3] / "docs" / "metrics.md"
ROOT = {"X-Master-Key": KEYS.master_key}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Read the table: type and labels by name."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCUMENTED.read_text(), re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


@asynccontextmanager
async def asking(pod: Pod, port: int | None = None) -> AsyncIterator[httpx.AsyncClient]:
    base = f"http://127.0.0.1:{port or pod.port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20) as client:
        yield client


def parsed(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


async def scrape(pod: Pod) -> list[Sample]:
    async with asking(pod) as client:
        response = await client.get("/metrics", headers=ROOT)
    assert response.status_code == 200
    families = parsed(response.text)
    return [sample for family in families for sample in family.samples]


def look_anew(pod: Pod) -> None:
    """Let the exporter look at the pod at the next question, however soon it comes."""
    pod.parts.exporter._answers.clear()


async def values(pod: Pod, name: str) -> dict[str, float]:
    """Return the values of a metric by the last of its labels, "" where there is none."""
    look_anew(pod)
    found = [sample for sample in await scrape(pod) if sample.name == name]
    return {[*sample.labels.values(), ""][0]: sample.value for sample in found}


async def value(pod: Pod, name: str, label: str = "") -> float:
    return (await values(pod, name))[label]


class Fails(Room[None]):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("on purpose")


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await trio.sleep(0.01)


def joined_config() -> Config:
    config = pod_config()
    return evolve(config, broker=evolve(config.broker, type="nats", enabled=True))


async def test_everything_that_is_documented_is_exported_and_nothing_else(tmp_path: Path) -> None:
    bus = FakeBus()
    write_collection(tmp_path, "todos", {"properties": {}})
    config = evolve(collections_config(tmp_path), broker=joined_config().broker)
    async with running_pod(config, broker=lambda: FakeBroker(bus)) as pod:
        await until(lambda: pod.link is not None and pod.link.state.breaker.closed)
        async with connected(pod, 2) as [ada, bob]:
            await ada.join("tea")
            await bob.join("tea")
            await ada.send("emit", room="tea", event="said", data=1)
            await bob.expect("emit")
            pod.meters.rate_limited["messages"] += 1
            pod.meters.closed[1000] += 1
            pod.parts.basis.dead_letters.report("pod", object(), "poison")
            async with asking(pod) as client:
                await client.get("/", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
            samples = await scrape(pod)
            async with asking(pod) as client:
                text = (await client.get("/metrics", headers=ROOT)).text
    table = documented()
    own = [s for s in samples if not s.name.startswith(("process_", "python_"))]
    families = {family.name: family for family in parsed(text)}
    exported = {
        name + ("_total" if family.type == "counter" else ""): family.type
        for name, family in families.items()
        if not name.startswith(("process_", "python_"))
    }
    assert sorted(exported.items()) == sorted((name, kind) for name, (kind, _) in table.items())
    for sample in own:
        name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
        name = name if name in table else sample.name
        assert set(sample.labels) - {"le"} == table[name][1], sample
    assert {"process_open_fds", "process_resident_memory_bytes"} <= {s.name for s in samples}


async def test_openmetrics_is_spoken_to_who_accepts_it() -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    async with running_pod() as pod, asking(pod) as client:
        response = await client.get("/metrics", headers={**ROOT, "Accept": accept})
        assert response.headers["content-type"].startswith("application/openmetrics-text")
        names = {family.name for family in parse_openmetrics(response.text)}  # type: ignore[no-untyped-call]
    assert "deployd_messages_sent" in names


async def test_every_counter_with_labels_is_there_at_0_before_anything_has_happened() -> None:
    bus = FakeBus()
    chaotic = evolve(joined_config(), chaos=Chaos(enabled=True))
    async with running_pod(chaotic, broker=lambda: FakeBroker(bus)) as pod:
        samples = await scrape(pod)
    there = {sample.name for sample in samples}
    for name, (kind, labels) in documented().items():
        if kind == "counter" and labels:
            assert name in there, name
    born = {(s.name, *s.labels.values()) for s in samples if s.value == 0}
    for expected in (
        ("deployd_actor_restarts_total", "service"),
        ("deployd_dead_letters_total", "mailbox full"),
        ("deployd_rate_limited_total", "sign_ins"),
        ("deployd_connections_closed_total", "4001"),
        ("deployd_connections_closed_total", "1006"),
        ("deployd_requests_refused_total", "service_unavailable"),
        ("deployd_requests_refused_total", "overload"),
        ("deployd_broker_lost_total", "expired"),
    ):
        assert any(one[0] == expected[0] and expected[1] in one for one in born), expected


def test_the_rates_that_are_documented_are_those_that_are_counted() -> None:
    (row,) = re.findall(r"^\| `deployd_rate_limited_total`.*", DOCUMENTED.read_text(), re.MULTILINE)
    assert re.findall(r"`(\w+)`", row)[2:] == list(RATES)


async def test_counters_move_when_the_thing_happens() -> None:
    async with running_pod(rooms={"fails": Fails}) as pod:
        async with connected(pod, 3) as clients:
            assert await value(pod, "websocket_connections_per_pod") == 3
            assert await value(pod, "deployd_ready") == 1
            for client in clients:
                await client.join("tea")
            await clients[0].send("emit", room="tea", event="said", data="x" * 100)
            for client in clients:
                await client.expect("emit")
            assert await value(pod, "deployd_messages_received_total") == 4
            assert await value(pod, "deployd_received_bytes_total") > 100
            # A greeting and an acknowledgement each, and the event for three.
            assert await value(pod, "deployd_messages_sent_total") == 9
            assert await value(pod, "deployd_sent_bytes_total") > 300
            assert await values(pod, "deployd_rooms") == {"other": 1}
            assert await values(pod, "deployd_room_members") == {"other": 3}
            assert await value(pod, "deployd_fanout_members_count") == 1
            assert await value(pod, "deployd_fanout_members_sum") == 3
            assert await value(pod, "deployd_local_latency_seconds_count") == 1
            await clients[1].join("fails")
            await clients[1].send("emit", room="fails", event="said", data=1, id=7)
            await clients[1].expect("error", id=7)
            await clients[1].join("fails")  # it is up again
            assert await value(pod, "deployd_actor_restarts_total", "room") == 1
            assert await value(pod, "deployd_dead_letters_total", "poison") == 1
        await until(lambda: not pod.connections())
        assert await value(pod, "deployd_connections_opened_total") == 3
        assert await value(pod, "deployd_connections_closed_total", "1000") == 3
        assert await value(pod, "websocket_connections_per_pod") == 0
        # Nothing that was sent is forgotten with the sockets that took it.
        assert await value(pod, "deployd_messages_sent_total") >= 9


async def test_what_was_sent_never_counts_backwards_while_clients_come_and_go() -> None:
    async with running_pod() as pod:
        before = 0.0
        for _ in range(3):
            async with connected(pod, 2) as clients:
                for client in clients:
                    await client.join("tea")
                now = await value(pod, "deployd_messages_sent_total")
                assert now >= before + 4
                before = now
            while pod.connections():
                now = await value(pod, "deployd_messages_sent_total")
                assert now >= before
                before = now


async def test_a_thousand_rooms_of_clients_are_one_pattern() -> None:
    config = pod_config(max_rooms_per_client=2000, message_rate_limit=0)
    config = evolve(config, access=evolve(config.access, rules={"chat-*": Rule()}))
    async with running_pod(config) as pod, connected(pod) as [client]:
        for number in range(500):
            await client.join(f"evil{number}")
            await client.join(f"chat-{number}")
        rooms = await values(pod, "deployd_rooms")
    assert rooms == {"other": 500, "chat-*": 500}


async def test_what_a_link_did_is_told_while_its_broker_hangs() -> None:
    bus = FakeBus()
    async with running_pod(joined_config(), broker=lambda: FakeBroker(bus)) as pod:
        link = pod.link
        assert link is not None
        await until(lambda: link.state.breaker.closed)
        bus.freeze()
        states = {
            s.labels["state"]: s.value
            for s in await scrape(pod)
            if s.name == "deployd_breaker_state"
        }
        assert states == {"closed": 1, "open": 0, "half_open": 0, "auth": 0}
        link.state.counters.cut_off += 3
        link.state.counters.expired += 2
        look_anew(pod)
        lost = {
            s.labels["reason"]: s.value
            for s in await scrape(pod)
            if s.name == "deployd_broker_lost_total"
        }
        assert lost == {
            "outage": 3, "expired": 2, "overflow": 0, "too_large": 0, "unspeakable": 0,
            "denied": 0,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-Master-Key": "wrong"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer scraper"}, 200),
        ({"Authorization": "Basic scraper"}, 401),
        (ROOT, 200),
    ],
)
async def test_root_and_the_scraper_read_metrics(headers: Mapping[str, str], status: int) -> None:
    config = evolve(pod_config(), metrics=Metrics(token="scraper"))
    async with running_pod(config) as pod, asking(pod) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status


async def test_who_is_signed_in_and_not_root_is_forbidden() -> None:
    async with running_pod() as pod, asking(pod) as client:
        for is_root, status in ((False, 403), (True, 200)):
            token = pod.tokens.sign("ann", is_root=is_root, ttl=60)
            response = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == status


async def test_the_scrapers_token_opens_nothing_else() -> None:
    config = evolve(pod_config(), metrics=Metrics(token="scraper"))
    headers = {"Authorization": "Bearer scraper"}
    async with running_pod(config) as pod, asking(pod) as client:
        response = await client.get("/_dashboard/api/metrics/realtime", headers=headers)
        assert response.status_code == 401


async def test_an_empty_token_is_none() -> None:
    async with running_pod() as pod, asking(pod) as client:
        response = await client.get("/metrics", headers={"Authorization": "Bearer"})
        assert response.status_code == 401


async def test_in_development_this_machine_reads_them() -> None:
    async with running_pod(dev=True) as pod, asking(pod) as client:
        assert (await client.get("/metrics")).status_code == 200


async def test_an_address_of_its_own_answers_metrics_and_health_and_nothing_else() -> None:
    config = evolve(pod_config(), metrics=Metrics(bind="127.0.0.1:0"))
    async with running_pod(config) as pod, asking(pod, pod.metrics_port) as client:
        assert "websocket_connections_per_pod 0.0" in (await client.get("/metrics")).text
        for path in ("/health/live", "/health/ready", "/health/links"):
            assert (await client.get(path)).status_code == 200
        for path in ("/", "/_dashboard/api/actors", "/auth/me", "/dpd.js", "/socket.io/"):
            response = await client.get(path, headers=ROOT)
            assert response.status_code == 404, path
            assert response.json()["error"]
        assert (await client.post("/metrics")).status_code == 405
        assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain")


async def test_a_flood_of_scrapes_looks_at_the_pod_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_pod() as pod, asking(pod) as client:
        looks = 0
        collect = pod.parts.exporter.collect

        def counted() -> Any:
            nonlocal looks
            looks += 1
            return collect()

        monkeypatch.setattr(pod.parts.exporter, "collect", counted)
        monkeypatch.setattr(pod.parts.exporter, "_clock", lambda: 100.0)
        for number in range(5):
            accept = f"application/openmetrics-text; version=1.0.{number}"
            await client.get("/metrics", headers={**ROOT, "Accept": accept})
        assert looks == 1
        monkeypatch.setattr(pod.parts.exporter, "_clock", lambda: 101.5)
        await client.get("/metrics", headers=ROOT)
        assert looks == 2


@pytest.mark.parametrize(
    "accept",
    ["text/plain; version=a.b", "application/openmetrics-text; version=x", "nonsense", "*/*", ""],
)
async def test_whatever_is_accepted_there_is_an_answer(accept: str) -> None:
    async with running_pod() as pod, asking(pod) as client:
        response = await client.get("/metrics", headers={**ROOT, "Accept": accept})
        assert response.status_code == 200
        assert "websocket_connections_per_pod" in response.text


async def test_codes_that_clients_choose_are_no_labels_and_no_slow_clients() -> None:
    async with running_pod() as pod:
        for code in (3777, 4000, 4002, 1001):
            async with connected(pod) as [client]:
                await client.socket.aclose(code)
            await until(lambda: not pod.connections())
        await until(lambda: pod.meters.closed.total() == 4)
        closed = await values(pod, "deployd_connections_closed_total")
        assert {code: count for code, count in closed.items() if count} == {"other": 3, "1001": 1}
        assert await value(pod, "deployd_slow_clients_closed_total") == 0
        shown: Any = pod.parts.tree.views.realtime()["connections"]
        assert shown["closed_by_code"] == {"other": 3, "1001": 1}


async def test_close_codes_that_clients_make_up_are_bounded() -> None:
    async with running_pod() as pod:
        for code in range(3000, 3500):
            pod.meters.closed[code] += 1
        closed = await values(pod, "deployd_connections_closed_total")
    assert len(closed) == 64
    assert sum(closed.values()) == 500
