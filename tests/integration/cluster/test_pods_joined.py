"""One view of the cluster: the same pods from everywhere, and who hears whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from attrs import evolve
from structlog.testing import capture_logs

from deployd.config import Config
from deployd.supervisors import Pod
from deployd.supervisors.pod.hints import HintFile
from support.clients import KEYS, connected, pod_config, until
from support.fake_broker import FakeBroker, FakeBus
from support.joined import two_pods


async def seen_by(pod: Pod) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(
            f"http://127.0.0.1:{pod.port}/_dashboard/api/pods",
            headers={"X-Master-Key": KEYS.master_key},
        )
        assert answer.status_code == 200
        return answer.json()


def named(name: str, data: Path) -> Config:
    config = pod_config()
    return evolve(config, server=evolve(config.server, name=name, data=str(data)))


async def test_each_pod_shows_all_of_them_and_who_hears_whom(tmp_path: Path) -> None:
    one, other = named("ann", tmp_path), named("bob", tmp_path)
    async with two_pods(FakeBus(), config=one, other=other) as (a, b), connected(b, 3):
        assert a.link is not None
        assert b.link is not None
        views = [link.state.peers.known.values() for link in (a.link, b.link)]
        await until(lambda: [p.beat.connections for p in views[0]] == [3])
        await until(lambda: all(p.beats >= 2 and p.hears for view in views for p in view))
        for pod, name, theirs in ((a, "ann", "bob"), (b, "bob", "ann")):
            seen = await seen_by(pod)
            assert (seen["pod"], seen["breaker"]) == (pod.pod_id, "closed")
            assert [(p["name"], p["state"]) for p in seen["pods"]] == [
                (name, "self"),
                (theirs, "heard"),
            ]
            assert {p["id"] for p in seen["pods"]} == {a.pod_id, b.pod_id}
            assert all(p["hears"] for p in seen["pods"])
            assert all(p["version"] == seen["pods"][0]["version"] for p in seen["pods"])


async def test_of_two_pods_of_one_name_the_second_takes_another_and_none_of_what_the_first_kept(
    tmp_path: Path,
) -> None:
    config = named("ann", tmp_path)
    with capture_logs() as lines:
        async with two_pods(FakeBus(), config=config, other=config) as (a, b):
            assert a.link is not None
            assert b.link is not None
            await until(lambda: b.link is not None and b.link.name.holder is not None)
            [own, other] = (await seen_by(b))["pods"]
            assert (own["name"], own["wanted_name"], own["name_taken_by"]) == (
                *("ann-2", "ann"),
                a.pod_id,
            )
            assert other["name"] == "ann"
            assert "wanted_name" not in (await seen_by(a))["pods"][0]
            [link] = b.parts.health.links()
            assert (link["name"], link["name_taken_by"]) == ("ann-2", a.pod_id)
            assert b.parts.hints is not None
            assert not b.parts.hints.keep([])
            assert a.parts.hints is not None
            assert a.parts.hints.keep([])
            assert not HintFile(tmp_path, "ann").claim()
        assert HintFile(tmp_path, "ann").claim()  # who has ended leaves it to the next
    told = {line["event"]: line for line in lines if "remedy" in line}
    assert told["another pod has the name of this one"]["other"] == a.pod_id
    assert told["another pod has the file for events that wait for the broker"]


async def test_a_pod_that_is_not_heard_is_shown_as_missing_and_clients_are_told() -> None:
    bus = FakeBus()
    async with two_pods(bus) as (a, b), connected(a) as [ann]:
        await until(lambda: all(len(p.link.state.peers) == 1 for p in (a, b) if p.link is not None))
        assert a.link is not None
        peers = a.link.state.peers
        await until(lambda: [peer.beats >= 2 for peer in peers.known.values()] == [True])
        for broker in list(bus.brokers):
            assert isinstance(broker, FakeBroker)
        sides = sorted(bus.brokers, key=id)
        sides[0].side = 1
        told = await ann.expect("emit", event="system:degraded")
        assert (told["data"]["code"], told["data"]["missing"]) == ("partitioned", 1)
        [own, other] = (await seen_by(a))["pods"]
        assert (own["hears"], other["state"]) == ([], "missing")
        sides[0].side = 0
        healed = await ann.expect("emit", event="system:healed")
        assert healed["data"]["code"] == "partitioned"
