"""The directory over several pods: one entry a room, and how many pods have answered."""

from __future__ import annotations

from functools import partial

import httpx
import pytest
import trio
from attrs import evolve

from deployd.actors import JSON, Member, Room
from deployd.supervisors import Pod, open_pod
from support import MASTER
from support.brokers import Makers
from support.clients import KEYS, connected, pod_config, until
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods, well


class Table(Room):
    """Describes itself as the last who came in wanted it."""

    listed = True

    async def authorize_join(self, member: Member, params: JSON) -> bool:
        self.describe(game=params)
        return True


async def knows(pod: Pod, count: int) -> None:
    assert pod.link is not None
    peers = pod.link.state.peers
    await until(lambda: len(peers.heard) == count)


async def test_rooms_of_all_pods_are_listed_from_each_of_them() -> None:
    broker = evolve(FAKE, secret="a secret that both of them know, 32 bytes")
    async with (
        two_pods(FakeBus(), {"table-*": Table}, broker=broker) as (a, b),
        connected(a, 2) as [one, two],
        connected(b, 1) as [three],
    ):
        for client, room, game in (
            (one, "table-1", "go"),
            (two, "table-1", "go"),
            (three, "table-1", "chess"),
            (three, "table-2", "go"),
        ):
            await client.send("join", room=room, data=game, id=1)
            await client.expect("join")
        for pod in (a, b):
            await knows(pod, 1)
        for pod in (a, b):
            listing = await pod.hub.rooms()
            assert (listing.pods, listing.of, listing.degraded) == (2, 2, None)
            assert [(each.name, each.members) for each in listing.rooms] == [
                ("table-1", 3),
                ("table-2", 1),
            ]
            assert listing.rooms[0].meta == {"game": "chess"}  # the newest
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"http://localhost:{a.port}/api/rooms?pattern=*-2"
            answer = (await http.get(url, headers=MASTER)).json()
        assert [room["name"] for room in answer["rooms"]] == ["table-2"]
        assert (answer["pods"], answer["of"]) == (2, 2)
        here = a.hub.rooms_here()
        assert [(each.name, each.members) for each in here.rooms] == [("table-1", 2)]
        assert (here.pods, here.of) == (1, 2)


async def test_a_pod_that_is_cut_off_lists_its_own_at_once_and_says_so() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, {"table-*": Table}) as (a, b),
        connected(a, 1) as [one],
    ):
        await one.send("join", room="table-1", data="go", id=1)
        await one.expect("join")
        for pod in (a, b):
            await knows(pod, 1)
        bus.kill()
        link = a.link
        assert link is not None
        await until(lambda: not link.state.breaker.closed)
        began = trio.current_time()
        listing = await a.hub.rooms(timeout=30.0)
        assert trio.current_time() - began < 5
        assert [each.name for each in listing.rooms] == ["table-1"]
        assert (listing.pods, listing.of, listing.degraded) == (1, 2, "cut_off")


async def test_who_asks_while_the_link_is_lost_is_told_at_once_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = FakeBus()
    async with two_pods(bus, {"table-*": Table}) as (a, b), trio.open_nursery() as nursery:
        for pod in (a, b):
            await knows(pod, 1)
        assert b.link is not None
        monkeypatch.setattr(b.link.inquiries, "hears", lambda _: True)
        nursery.start_soon(a.hub.rooms, "*", None, "", 30.0)
        await trio.sleep(0.05)
        assert nursery.child_tasks
        bus.kill()
        await until(lambda: not nursery.child_tasks)


async def test_a_pod_that_does_not_answer_is_counted_as_one_that_did_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two_pods(FakeBus(), {"table-*": Table}) as (a, b):
        for pod in (a, b):
            await knows(pod, 1)
        assert b.link is not None
        monkeypatch.setattr(b.link.inquiries, "hears", lambda _: True)
        listing = await a.hub.rooms(timeout=0.2)
        assert (listing.pods, listing.of) == (1, 2)
        monkeypatch.undo()
        assert (await a.hub.rooms(timeout=10.0)).pods == 2


async def test_pods_list_each_others_rooms_over_every_broker(broker_makers: Makers) -> None:
    make, _ = broker_makers
    config = evolve(pod_config(), broker=evolve(FAKE, timeout=5.0, max_backoff=1.0))
    async with (
        open_pod(config, keys=KEYS, rooms={"table-*": Table}, broker=make) as a,
        open_pod(config, keys=KEYS, rooms={"table-*": Table}, broker=make) as b,
    ):
        for pod in (a, b):
            await until(partial(well, pod))
            await knows(pod, 1)
        async with connected(b, 1) as [one]:
            await one.send("join", room="table-1", data="go", id=1)
            await one.expect("join")
            listing = await a.hub.rooms(timeout=5.0)
        assert (listing.pods, listing.of) == (2, 2)
        assert [(each.name, each.members) for each in listing.rooms] == [("table-1", 1)]
