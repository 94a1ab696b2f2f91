"""What strangers say of themselves on the broker, where a pod shows it."""

from __future__ import annotations

from pathlib import Path

import httpx
from attrs import evolve

from deployd.config import Config
from deployd.transport.brokers import Beat, beat
from deployd.transport.brokers.contract import EVERYONE
from support import pod_config, running_pod
from support.clients import KEYS, until
from support.fake_broker import FakeBroker, FakeBus
from support.joined import FAKE, well

FAR = 2**53 - 1
SHOWN = (
    "/_dashboard/api/pods",
    "/_dashboard/api/realtime/broker/health",
    "/_dashboard/api/metrics/realtime",
    "/_dashboard/api/metrics/detailed",
    "/_dashboard/api/actors",
    "/health/links",
    "/metrics",
)


def named(data: Path) -> Config:
    config = pod_config()
    server = evolve(config.server, name="ann", data=str(data))
    return evolve(config, server=server, broker=FAKE)


async def test_whatever_they_say_each_page_of_the_pod_is_answered(tmp_path: Path) -> None:
    bus = FakeBus()
    async with running_pod(named(tmp_path), broker=bus.make) as pod:
        await until(lambda: well(pod))
        strangers = [
            Beat(f"pod{n}", epoch, word, number, interval, name, name, name, FAR, FAR, 1.0, hears)
            for n in range(1500)
            for word, number in (("hello", 0), ("here", FAR))
            for epoch, interval, name, hears in [
                ((0, 0.0, "ann", ()), (FAR, 60.0, "<b>" + "é" * 61, ("x" * 64,) * 256))[n % 2]
            ]
        ]
        for stranger in strangers:
            for listener in bus.listeners(EVERYONE):
                assert isinstance(listener, FakeBroker)
                listener.hear(EVERYONE, beat(stranger))
        assert pod.link is not None
        assert len(pod.link.state.peers) == 1024
        await until(lambda: pod.link is not None and pod.link.name.holder is not None)
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            for path in SHOWN:
                answer = await client.get(
                    f"http://127.0.0.1:{pod.port}{path}", headers={"X-Master-Key": KEYS.master_key}
                )
                assert answer.status_code == 200, path
                assert answer.content
        assert well(pod)
