"""Receipts of rooms that say who has heard: what clients and the pod's own code are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from attrs import evolve

from deployd.actors import Room
from deployd.config import Broker, FailurePolicy, ReceiptPolicy
from deployd.supervisors import Pod
from deployd.transport import JSON, Reach, Scope
from support.clients import Client, connected, pod_config, running_pod, until
from support.fake_broker import FakeBus
from support.joined import FAKE, two_pods

HEARD = evolve(
    FAKE,
    policies={"bids-kept-*": FailurePolicy.BUFFER, "bids-strict-*": FailurePolicy.REJECT},
    receipts={"bids-*": ReceiptPolicy.HEARD},
)
QUICK = pod_config(emit_timeout=1.0)
"""So that a pod waits half a second for the others."""


@asynccontextmanager
async def auction(
    bus: FakeBus, rooms: Mapping[str, type[Room[Any]]] | None = None, room: str = "bids-1"
) -> AsyncIterator[tuple[Pod, Pod, Client, Client]]:
    """Run two pods, with Ann on the one and Bob on the other in a room."""
    async with (
        two_pods(bus, rooms, config=QUICK, broker=HEARD) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        for client in (ann, bob):
            await client.join(room)
        yield a, b, ann, bob


async def receipt_of(client: Client, room: str = "bids-1", id_: str = "x") -> dict[str, Any]:
    """Emit, and return what the receipt says, without the event's id."""
    await client.send("emit", room=room, event="bid", data=1, id=id_)
    while True:
        answer = await client.receive()
        if answer.get("id") == id_:
            assert answer["type"] == "receipt", answer
            return {key: value for key, value in answer["data"].items() if key != "id"}


async def test_a_client_is_told_how_many_pods_and_members_have_heard() -> None:
    async with auction(FakeBus()) as (_, b, ann, bob), connected(b, 2) as others:
        for other in others:
            await other.join("bids-1")
        told = await receipt_of(ann)
        assert told == {"scope": "cluster", "pods": 2, "of": 2, "members": 4}
        for client in (bob, *others):
            await client.expect("emit", event="bid", data=1)


async def test_receipts_of_other_rooms_are_as_they_were() -> None:
    async with auction(FakeBus(), room="tea") as (_, _, ann, _):
        assert await receipt_of(ann, "tea") == {"scope": "cluster"}


async def test_the_pods_own_code_is_told_too_whether_anybody_is_in_the_room_here_or_not() -> None:
    async with auction(FakeBus()) as (a, b, _, _):
        receipt = await a.hub.send_to_room("bids-1", "bid", 1)
        assert (receipt.scope, receipt.reach) == (Scope.CLUSTER, Reach(Scope.CLUSTER, 2, 2, 2))
        async with connected(b) as [eve]:
            await eve.join("bids-2")
            receipt = await a.hub.send_to_room("bids-2", "bid", 1)
            assert receipt.reach == Reach(Scope.CLUSTER, 1, 1, 1)
        assert a.hub.emit_to_room("bids-1", "bid", 1).reach is None  # who does not wait


async def test_a_pod_without_a_broker_counts_itself_and_its_members() -> None:
    config = evolve(pod_config(), broker=Broker(receipts={"bids-*": ReceiptPolicy.HEARD}))
    async with running_pod(config) as pod, connected(pod, 3) as clients:
        for client in clients:
            await client.join("bids-1")
        told = await receipt_of(clients[0])
        assert told == {"scope": "local", "pods": 1, "of": 1, "members": 3}
        receipt = await pod.hub.send_to_room("bids-1", "bid", 1)
        assert receipt.reach == Reach(Scope.LOCAL, 1, 1, 3)
        assert (await pod.hub.send_to_room("bids-2", "bid", 1)).scope is Scope.REJECTED


class Fragile(Room):
    """Fails on what another pod says."""

    failing: ClassVar[bool] = False

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        if self.failing:
            raise RuntimeError("bad luck")
        await super().on_remote_emit(event, data)


async def test_a_room_that_crashed_on_it_has_not_heard() -> None:
    async with auction(FakeBus(), {"bids-*": Fragile}) as (_, _, ann, _):
        Fragile.failing = True
        try:
            told = await receipt_of(ann)
            assert told == {"scope": "partial", "pods": 1, "of": 2, "members": 1}
        finally:
            Fragile.failing = False
        told = await receipt_of(ann, id_="y")
        assert told == {"scope": "cluster", "pods": 2, "of": 2, "members": 2}


class Slow(Room):
    """Holds on to what another pod says until it is let go."""

    released: ClassVar[trio.Event]

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        await self.released.wait()
        await super().on_remote_emit(event, data)


async def test_a_room_that_has_not_come_to_it_yet_has_not_heard() -> None:
    Slow.released = trio.Event()
    async with auction(FakeBus(), {"bids-*": Slow}) as (_, _, ann, bob):
        told = await receipt_of(ann)
        assert told == {"scope": "partial", "pods": 1, "of": 2, "members": 1}
        Slow.released.set()
        await bob.expect("emit", event="bid", data=1)


async def test_a_receipt_says_what_an_outage_left_of_it() -> None:
    bus = FakeBus()
    async with auction(bus) as (a, _, ann, _):
        await ann.join("bids-kept-1")
        bus.kill()
        await until(lambda: a.link is not None and not a.link.state.breaker.closed)
        here = {"pods": 1, "of": 1, "members": 1}
        assert await receipt_of(ann, id_="1") == {"scope": "local", **here}
        assert await receipt_of(ann, "bids-kept-1", "2") == {"scope": "queued", **here}
        receipt = await a.hub.send_to_room("bids-strict-1", "bid", 1)
        assert (receipt.scope, receipt.reach) == (Scope.REJECTED, None)


async def test_a_member_is_told_that_it_is_in_when_the_others_know_of_it() -> None:
    bus = FakeBus()
    async with (
        two_pods(bus, config=QUICK, broker=HEARD) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        await ann.join("bids-1")
        told = await receipt_of(ann)
        assert told == {"scope": "cluster", "pods": 1, "of": 1, "members": 1}
        for n in range(5):  # however often it comes and goes
            await bob.join("bids-1")
            told = await receipt_of(ann, id_=f"in-{n}")
            assert told == {"scope": "cluster", "pods": 2, "of": 2, "members": 2}
            await bob.send("leave", room="bids-1")
            while (await bob.receive())["type"] != "leave":
                pass
            told = await receipt_of(ann, id_=f"out-{n}")
            assert told == {"scope": "cluster", "pods": 1, "of": 1, "members": 1}
