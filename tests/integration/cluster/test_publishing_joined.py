"""What is answered over HTTP where other pods hear it too, or might."""

from __future__ import annotations

from typing import Any

import httpx
from attrs import evolve

from deployd.config import ReceiptPolicy
from deployd.supervisors import Pod
from support import MASTER
from support.clients import connected, pod_config, until
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods, well


async def publish(pod: Pod, room: str) -> tuple[int, Any]:
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"http://localhost:{pod.port}/api/rooms/{room}/events"
        answer = await http.post(url, json={"event": "said", "data": 1}, headers=MASTER)
        return answer.status_code, answer.json()


async def test_members_of_another_pod_hear_it_and_are_counted_where_receipts_say_so() -> None:
    broker = evolve(FAKE, receipts={"heard-*": ReceiptPolicy.HEARD})
    async with two_pods(FakeBus(), broker=broker) as (a, b), connected(b, 1) as [one]:
        link = a.link
        assert link is not None
        await until(lambda: len(link.state.peers.heard) == 1)
        for room in "plain", "heard-1":
            await one.send("join", room=room, id=1)
            await one.expect("join")
        status, receipt = await publish(a, "plain")
        assert (status, receipt["scope"]) == (200, "cluster")
        assert (await one.expect("emit", room="plain"))["meta"]["id"] == receipt["id"]
        status, receipt = await publish(a, "heard-1")
        assert status == 200
        counts = {name: receipt[name] for name in ("scope", "pods", "of", "members")}
        assert counts == {"scope": "cluster", "pods": 1, "of": 1, "members": 1}


async def test_what_waits_for_a_broker_that_is_away_is_accepted_and_what_may_not_is_refused() -> (
    None
):
    bus = FakeBus()
    async with two_pods(bus, config=pod_config(emit_timeout=0.2)) as (a, _):
        bus.kill()
        await until(lambda: not well(a))
        status, receipt = await publish(a, "kept-1")
        assert (status, receipt["scope"]) == (202, "queued")
        status, refused = await publish(a, "strict-1")
        assert (status, refused["code"]) == (503, "cut_off")
        status, unheard = await publish(a, "plain")
        assert (status, unheard["code"]) == (404, "unheard")
