"""A pod that goes on with other settings and secrets, and the clients that are there meanwhile."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from attrs import evolve
from websockets.exceptions import InvalidStatus

from deployd.config import Access, Config, Metrics, Rule, Secrets, Who
from deployd.supervisors import Pod
from support import KEYS, connected, pod_config, running_pod


def with_limits(pod: Pod, **limits: Any) -> Config:
    return evolve(pod.config, limits=evolve(pod.config.limits, **limits))


async def test_who_may_not_be_in_a_room_any_more_leaves_it_and_others_stay() -> None:
    rules = Access(rules={"vip-*": Rule(join=Who.AUTHENTICATED)})
    async with running_pod() as pod, connected(pod, 2) as (known, unknown):
        await known.send("auth", token=pod.tokens.sign("ann", ttl=60))
        await known.expect("auth")
        for client in (known, unknown):
            await client.join("vip-1")
            await client.join("open")
        pod.adopt(evolve(pod.config, access=rules), KEYS)
        await unknown.expect("leave", room="vip-1")
        refused = await unknown.ask("join", room="vip-1")
        assert refused["data"]["code"] == "auth_required"
        pod.hub.emit_to_room("vip-1", "said", 1)
        await known.expect("emit", room="vip-1")
        pod.hub.emit_to_room("open", "said", 2)
        await unknown.expect("emit", room="open")


async def test_other_limits_are_those_of_clients_that_are_there_already() -> None:
    async with running_pod(pod_config(message_rate_limit=0)) as pod, connected(pod) as (client,):
        await client.join("tea")
        pod.adopt(with_limits(pod, message_rate_limit=1, max_rooms_per_client=1), KEYS)
        refused = await client.ask("join", room="milk")
        assert refused["data"]["code"] == "too_many_rooms"
        await client.send("emit", room="tea", event="said")
        await client.expect("emit")
        refused = await client.ask("emit", room="tea", event="said")
        assert refused["data"]["code"] == "too_fast"


async def test_a_pod_that_was_full_has_place_and_one_that_had_is_full() -> None:
    async with running_pod(pod_config(max_connections=1)) as pod, connected(pod):
        with pytest.raises(InvalidStatus):
            async with connected(pod):
                pass
        pod.adopt(with_limits(pod, max_connections=2, max_connections_per_address=2), KEYS)
        async with connected(pod):
            pod.adopt(with_limits(pod, max_connections=1), KEYS)
            assert pod.connections() == 2
            with pytest.raises(InvalidStatus):
                async with connected(pod):
                    pass


async def test_other_secrets_open_the_pod_and_the_old_ones_do_not() -> None:
    new = Secrets(master_key="another-master-key", jwt_secret="another-secret-of-32-bytes-or-so")
    async with running_pod() as pod, connected(pod) as (client,), httpx.AsyncClient() as http:
        old_token = pod.tokens.sign("ann", ttl=60)
        pod.adopt(evolve(pod.config, metrics=Metrics(token="scraper")), new)
        url = f"http://127.0.0.1:{pod.port}"
        for headers, status in (
            ({"X-Master-Key": KEYS.master_key}, 401),
            ({"X-Master-Key": new.master_key}, 200),
            ({"Authorization": "Bearer scraper"}, 200),
        ):
            assert (await http.get(f"{url}/metrics", headers=headers)).status_code == status
        refused = await client.ask("auth", token=old_token)
        assert refused["type"] == "error"
        await client.send("auth", token=pod.tokens.sign("ann", ttl=60))
        await client.expect("auth")


async def test_what_is_not_live_stays_as_it_was() -> None:
    async with running_pod() as pod:
        before = pod.config
        pod.adopt(with_limits(pod, ping_interval=1234), KEYS)
        assert pod.config == before
