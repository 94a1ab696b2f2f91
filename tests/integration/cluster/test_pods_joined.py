"""One view of the cluster: the same pods from everywhere, and who hears whom."""

from __future__ import annotations

from typing import Any

import httpx
from attrs import evolve

from deployd.supervisors import Pod
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


async def test_each_pod_shows_all_of_them_and_who_hears_whom() -> None:
    config = pod_config()
    one, other = (
        evolve(config, server=evolve(config.server, name=name)) for name in ("ann", "bob")
    )
    async with two_pods(FakeBus(), config=one, other=other) as (a, b), connected(b, 3):
        assert a.link is not None
        peers = a.link.state.peers
        await until(lambda: [p.beat.connections for p in peers.known.values()] == [3])
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
