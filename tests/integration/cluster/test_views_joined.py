"""What pods show that have a broker between them: their links, and each itself alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
from attrs import evolve

from deployd.config import Broker
from deployd.supervisors import Pod, open_pod
from support.clients import KEYS, Client, connected, pod_config, until
from support.fake_broker import FakeBus

JOINED = evolve(
    pod_config(),
    broker=Broker(
        type="x:Fake",
        enabled=True,
        canary_interval=0.1,
        timeout=0.3,
        max_backoff=0.1,
        linger=0.0,
    ),
)


async def get(pod: Pod, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{pod.port}{path}")


def links(pod: Pod) -> list[Any]:
    shown: Any = pod.parts.tree.views.realtime()["links"]
    return list(shown)


def is_joined(pod: Pod) -> bool:
    return bool(links(pod)[0]["state"] == "closed")


async def test_a_link_shows_its_last_outages_to_root_and_its_state_to_all() -> None:
    bus = FakeBus()
    async with open_pod(JOINED, keys=KEYS, broker=bus.make) as pod:
        await until(partial(is_joined, pod))
        bus.kill("at amqp://secret.example")
        await until(lambda: not is_joined(pod))
        answer = await get(pod, "/health/links")
        assert answer.status_code == 200
        (public,) = answer.json()["links"]
        assert set(public) == {"type", "state", "seconds_deaf"}
        assert public["state"] in ("open", "half_open")
        assert "secret" not in answer.text
        bus.start()
        await until(lambda: links(pod)[0]["history"][-1]["until"] is not None)
        (link,) = links(pod)
        [outage] = link["history"]
        assert (outage["code"], outage["state"]) == ("cut_off", "open")
        assert "secret.example" in outage["reason"]
        assert outage["at"] <= outage["until"]
        assert {**link, "history": []} == {**pod.parts.health.links()[0], "history": []}


async def snapshots(client: Client, pod: Pod, count: int) -> list[str]:
    """Watch as root, and return which pods so many snapshots are of."""
    await client.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
    await client.send("join", room="_dashboard")
    seen: list[str] = []
    while len(seen) < count:
        message = await client.receive()
        if message.get("event") == "snapshot":
            seen.append(message["data"]["pod"])
    return seen


async def test_who_watches_one_pod_is_told_of_that_pod_alone() -> None:
    bus = FakeBus()
    async with (
        open_pod(JOINED, keys=KEYS, broker=bus.make) as a,
        open_pod(JOINED, keys=KEYS, broker=bus.make) as b,
    ):
        for pod in (a, b):
            await until(partial(is_joined, pod))
        async with connected(a) as [ann], connected(b) as [bob]:
            assert await snapshots(ann, a, 1) == [a.pod_id]
            assert await snapshots(bob, b, 2) == [b.pod_id] * 2
            assert await snapshots(ann, a, 3) == [a.pod_id] * 3
