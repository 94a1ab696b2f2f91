"""What `hub.send_…` says of an emit whose time was up."""

from __future__ import annotations

from typing import ClassVar

import pytest
import trio
from attrs import evolve

from deployd.actors import Room
from deployd.config import Broker, FailurePolicy
from deployd.supervisors import open_pod
from deployd.transport import JSON, Scope
from support.clients import KEYS, pod_config, until
from support.fake_broker import FakeBus


class Stuck(Room):
    """Holds on to the first thing that is said until it is let go."""

    entered: ClassVar[trio.Event]
    released: ClassVar[trio.Event]
    said: ClassVar[list[JSON]]

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.said.append(data)
        self.entered.set()
        await self.released.wait()


async def test_what_found_no_place_in_a_busy_room_is_called_rejected() -> None:
    Stuck.entered, Stuck.released, Stuck.said = trio.Event(), trio.Event(), []
    config = pod_config(room_mailbox_size=1)
    async with open_pod(config, keys=KEYS, rooms={"stuck": Stuck}) as pod:
        assert pod.hub.emit_to_room("stuck", "said", 1).scope is Scope.LOCAL
        await Stuck.entered.wait()
        assert pod.hub.emit_to_room("stuck", "said", 2).scope is Scope.LOCAL
        receipt = await pod.hub.send_to_room("stuck", "said", 3, timeout=0.05)
        assert receipt.scope is Scope.REJECTED
        assert "too busy" in receipt.reason
        Stuck.released.set()
        await until(lambda: len(Stuck.said) == 2)
        assert Stuck.said == [1, 2]


async def test_what_a_frozen_broker_has_not_confirmed_is_called_queued_until_it_is_settled() -> (
    None
):
    bus = FakeBus()
    config = evolve(pod_config(), broker=Broker(type="x:Fake", enabled=True, timeout=60.0))
    async with open_pod(config, keys=KEYS, broker=bus.make) as pod:
        link = pod.link
        assert link is not None
        await until(lambda: link.state.degraded is None)
        bus.freeze()
        receipt = await pod.hub.send_to_room("tea", "said", 1, timeout=0.05)
        assert receipt.scope is Scope.QUEUED
        assert receipt.id
        bus.thaw()
        assert (await pod.hub.send_to_room("tea", "said", 2)).scope is Scope.CLUSTER


@pytest.mark.parametrize(
    ("policy", "scope"),
    [(FailurePolicy.LOCAL_ONLY, "local"), (FailurePolicy.BUFFER, "queued")],
)
async def test_the_receipt_of_a_change_is_the_worse_of_its_two_rooms(
    policy: FailurePolicy, scope: str
) -> None:
    bus = FakeBus()
    bus.kill()
    policies = {"collections": policy, "collection:*": FailurePolicy.BUFFER}
    broker = Broker(type="x:Fake", enabled=True, policies=policies)
    config = evolve(pod_config(), broker=broker)
    async with open_pod(config, keys=KEYS, broker=bus.make) as pod:
        assert pod.hub.emit_collection_change("todos", "created", {}).scope == scope
        receipt = await pod.hub.send_collection_change("todos", "created", {}, 1.0, {})
        assert receipt.scope == scope
