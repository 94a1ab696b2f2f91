"""Each client bears its own weight: what one takes of a common good, the others keep.

Every good is tried in every way in which addresses come: as they are, through a trusted proxy, as
many addresses of one /64.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import evolve, frozen
from websockets.exceptions import InvalidStatus

from deployd.actors import Room
from deployd.config import Config, ServerSettings
from deployd.supervisors import Pod
from support import Client, connected, pod_config, running_pod


@frozen
class Way:
    """How one greedy address and several honest ones come: options of `connected`, one a client."""

    greedy: tuple[dict[str, Any], ...]
    honest: tuple[dict[str, Any], ...]
    trusted: tuple[str, ...] = ()


def _forwarded(address: str) -> dict[str, Any]:
    return {"additional_headers": {"X-Forwarded-For": address}}


def _from(address: str) -> dict[str, Any]:
    return {"local_address": address}


WAYS = {
    "directly": Way(greedy=(_from("127.0.0.1"),), honest=(_from("127.0.0.2"), _from("127.0.0.3"))),
    "lying": Way(
        greedy=tuple(_forwarded(f"192.0.2.{n}") for n in range(1, 9)),
        honest=(_from("127.0.0.2"), _from("127.0.0.3")),
    ),
    "through a proxy": Way(
        greedy=tuple(_forwarded(f"203.0.113.{n}, 192.0.2.1") for n in range(1, 9)),
        honest=(_forwarded("192.0.2.2"), _forwarded("::ffff:192.0.2.3")),
        trusted=("127.0.0.1",),
    ),
    "of one /64": Way(
        greedy=tuple(_forwarded(f"2001:db8:0:1::{n}") for n in range(1, 9)),
        honest=(_forwarded("2001:db8:0:2::1"), _forwarded("192.0.2.1")),
        trusted=("127.0.0.1",),
    ),
}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return request.param  # type: ignore[no-any-return]


def config_for(way: Way, **limits: Any) -> Config:
    config = pod_config(**limits)
    return evolve(config, server=evolve(config.server, trusted_proxies=way.trusted))


@asynccontextmanager
async def crowd(pod: Pod, options: list[dict[str, Any]]) -> AsyncIterator[list[Client]]:
    """Connect a client for each of the options."""
    async with AsyncExitStack() as stack:
        yield [
            client
            for option in options
            for client in await stack.enter_async_context(connected(pod, **option))
        ]


def repeated(options: tuple[dict[str, Any], ...], count: int) -> list[dict[str, Any]]:
    return [options[n % len(options)] for n in range(count)]


async def test_one_address_cannot_take_all_connections(way: Way) -> None:
    config = config_for(way, max_connections=6)
    async with running_pod(config) as pod, crowd(pod, repeated(way.greedy, 3)):
        with pytest.raises(InvalidStatus) as caught:
            async with crowd(pod, repeated(way.greedy, 1)):
                raise AssertionError("it got in")
        assert caught.value.response.status_code == 429
        async with crowd(pod, list(way.honest)):
            assert pod.connections() == 3 + len(way.honest)


async def join_all(client: Client, prefix: str, count: int) -> list[str]:
    """Join so many rooms and return what each answer was."""
    answers = [await client.ask("join", room=f"{prefix}{n}") for n in range(count)]
    return [a.get("data", {}).get("code", a["type"]) for a in answers]


async def test_one_address_cannot_take_all_rooms(way: Way) -> None:
    config = config_for(way, max_client_rooms=20, reserve=0.0)
    async with running_pod(config) as pod, crowd(pod, repeated(way.greedy, 2)) as greedy:
        assert await join_all(greedy[0], "a", 6) == ["join"] * 6
        assert await join_all(greedy[1], "b", 6) == ["join"] * 4 + ["too_many_rooms"] * 2
        async with crowd(pod, list(way.honest)) as honest:
            for n, client in enumerate(honest):
                assert await join_all(client, f"h{n}-", 5) == ["join"] * 5


async def test_one_user_cannot_take_all_rooms_from_many_addresses(way: Way) -> None:
    config = config_for(way, max_client_rooms=20, reserve=0.0)
    async with running_pod(config) as pod, crowd(pod, list(way.honest)) as (one, other):
        for client, user in ((one, "eve"), (other, "eve")):
            await client.ask("auth", token=pod.tokens.sign(user, ttl=60))
        assert await join_all(one, "a", 3) == ["join"] * 3
        assert await join_all(other, "b", 3) == ["join"] * 2 + ["too_many_rooms"]
        await other.ask("auth", token=pod.tokens.sign("bob", ttl=60))
        assert await join_all(other, "c", 3) == ["join"] * 3


async def test_a_proxy_that_names_nobody_is_nobody_and_has_no_share() -> None:
    """All who come through it would share it, so only the whole bounds them."""
    config = pod_config(max_client_rooms=4, max_connections=4, reserve=0.0)
    config = evolve(config, server=evolve(config.server, trusted_proxies=("127.0.0.1",)))
    async with running_pod(config) as pod, connected(pod, 4) as clients:
        for n, client in enumerate(clients):
            assert await join_all(client, f"r{n}", 1) == ["join"]


async def test_rooms_that_nobody_is_in_keep_nobody_out(way: Way) -> None:
    config = config_for(way, max_client_rooms=4)
    async with running_pod(config) as pod, crowd(pod, repeated(way.greedy, 1)) as (greedy,):
        for n in range(9):
            await greedy.join(f"r{n}")
            await greedy.ask("leave", room=f"r{n}")
        assert pod.rooms.find("r0") is None
        assert pod.rooms.find("r8") is not None
        async with crowd(pod, list(way.honest)) as honest:
            for n, client in enumerate(honest):
                await client.join(f"h{n}")


class Slow(Room):
    """Thinks about who may join until it is let go."""

    async def authorize_join(self, member: Any) -> bool:
        await GATES[self.name].wait()
        return True


GATES: dict[str, Any] = {}


async def test_a_room_that_somebody_is_about_to_enter_makes_no_place() -> None:
    GATES["slow"] = trio.Event()
    config = pod_config(max_client_rooms=1, reserve=0.0)
    async with running_pod(config, {"slow": Slow}) as pod, connected(pod, 2) as [one, other]:
        await one.send("join", room="slow")
        while pod.rooms.find("slow") is None:
            await trio.lowlevel.checkpoint()
        assert await join_all(other, "r", 1) == ["too_many_rooms"]
        GATES["slow"].set()
        await one.expect("join", room="slow")


async def test_root_and_the_pods_own_rooms_have_a_reserve() -> None:
    config = pod_config(max_client_rooms=10, address_share=1.0, user_share=1.0, reserve=0.2)
    config = evolve(config, server=ServerSettings(port=0))
    async with running_pod(config) as pod, connected(pod, 3) as [greedy, client, root]:
        assert await join_all(greedy, "r", 9) == ["join"] * 8 + ["too_many_rooms"]
        await client.join("collections")
        await root.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
        await root.join("mine")


async def test_five_hundred_honest_people_behind_one_address_feel_no_limit() -> None:
    config = pod_config(accept_rate=0)
    async with running_pod(config) as pod, connected(pod, 500) as office:
        for n, client in enumerate(office):
            await client.join("office")
            await client.join(f"desk-{n}")
        assert pod.meters.rate_limited.total() == 0
