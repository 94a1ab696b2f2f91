"""The fixtures that projects get, used as their tests would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from deployd.actors import JSON, Member, Room
from deployd.client import ClientEvent
from deployd.supervisors import BadFault, Pod
from deployd.testing import Faults, History
from deployd.testing.holding import holding
from deployd.testing.pods import Clients, Cluster
from deployd.tools.chaos.proxy import Latency
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus


class Loud(Room[None]):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, f"{data}!")


@pytest.fixture
def deployd_rooms() -> Mapping[str, type[Room[Any]]]:
    return {"loud-*": Loud}


async def data_of(event: Any) -> JSON:
    with trio.fail_after(10):
        found: ClientEvent = await anext(event)
        return found.data


async def test_a_pod_has_the_rooms_of_the_project(pod: Pod, client: Clients) -> None:
    ann = await client(pod)
    await ann.join("loud-1")
    await ann.emit("loud-1", "said", "hello")
    assert await data_of(ann.events("loud-1")) == "hello!"


async def test_pods_of_a_cluster_hear_each_other(cluster: Cluster, client: Clients) -> None:
    one, two = await cluster(2)
    ann, bob = await client(one), await client(two)
    for each in (ann, bob):
        await each.join("chat")
    receipt = await ann.emit("chat", "said", 1)
    assert receipt.scope == "cluster"
    assert await data_of(bob.events("chat")) == 1


async def test_pods_of_a_cluster_are_joined_by_the_broker_that_is_given(
    cluster: Cluster, client: Clients
) -> None:
    bus = MemoryBus()
    made: list[MemoryBroker] = []

    def make() -> MemoryBroker:
        made.append(MemoryBroker(bus))
        return made[-1]

    await cluster(3, broker=make)
    assert len(made) >= 3
    with pytest.raises(ValueError, match="Ask for 1 to"):
        await cluster(0)


async def test_clients_are_who_they_are_to_be(pod: Pod, client: Clients) -> None:
    await client(pod, user="ann")
    await client(f"http://127.0.0.1:{pod.port}")
    await client(pod, root=True)
    assert {member.user_id for member in pod.members.values()} == {"ann", None, "root"}


async def test_faults_of_a_pod_begin_and_end(pod: Pod, faults: Faults) -> None:
    begun = faults.inject(pod, "actor.hang", path="pod/everyone")
    assert begun.fault.seconds > 100
    assert pod.chaos is not None
    assert pod.chaos.active() == [begun]
    with pytest.raises(BadFault, match="did you mean"):
        faults.inject(pod, "actor.hagn", path="*")
    faults.stop(pod)
    assert pod.chaos.active() == []


async def test_a_way_to_a_server_goes_through_a_proxy(
    pod: Pod, client: Clients, faults: Faults
) -> None:
    proxy = await faults.proxy(f"127.0.0.1:{pod.port}")
    ann = await client(f"http://127.0.0.1:{proxy.port}")
    await ann.join("chat")
    proxy.toxics.add(Latency(latency=300), stream="downstream")
    began = trio.current_time()
    await ann.emit("chat", "said", 1)
    assert trio.current_time() - began >= 0.29


async def test_a_history_of_what_went_well_is_good(
    cluster: Cluster, client: Clients, history: History
) -> None:
    one, two = await cluster(2)
    ann = await history.enter(await client(one), one, "chat")
    bob = await history.enter(await client(two), two, "chat")
    for _ in range(5):
        receipt = await ann.say()
        assert receipt is not None
        await bob.say("waved", why="hello")
    await trio.sleep(0.3)
    history.check()
    kinds = [type(record).__name__ for record in history.records]
    assert (kinds.count("Hearing"), kinds.count("Answered")) == (20, 10)
    assert {"Began", "Met", "Entered", "Spoken"} <= set(kinds)


class Repeating(Room[None]):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, data)
        self.broadcast(event, data)


async def test_a_history_of_a_room_that_says_all_twice_is_not(
    cluster: Cluster, client: Clients, history: History
) -> None:
    [pod] = await cluster(1, rooms={"twice-*": Repeating})
    ann = await history.enter(await client(pod), pod, "twice-1")
    await ann.say()
    await trio.sleep(0.1)
    with pytest.raises(AssertionError, match="came twice"):
        history.check()


async def test_what_a_fault_loses_is_told_and_so_no_violation(
    cluster: Cluster, client: Clients, history: History, faults: Faults
) -> None:
    one, two = await cluster(2)
    ann = await history.enter(await client(one), one, "chat")
    await history.enter(await client(two), two, "chat")
    await ann.say()
    faults.inject(two, "link.drop", room="chat", share=1)
    await ann.say()
    faults.stop()
    await ann.say()
    await trio.sleep(5)
    told = [record for record in history.records if type(record).__name__ == "Told"]
    assert told[0].until is None  # type: ignore[union-attr]
    assert told[-1].until is not None  # type: ignore[union-attr]
    history.check()


async def test_what_is_held_is_left_the_last_first_and_each_waited_for() -> None:
    left: list[int] = []

    @asynccontextmanager
    async def block(number: int) -> AsyncIterator[int]:
        yield number
        await trio.sleep(0.01 * number)
        left.append(number)

    async with holding() as holder:
        assert [await holder.hold(block(number)) for number in (1, 2, 3)] == [1, 2, 3]
    assert left == [3, 2, 1]


def test_pytest_loads_the_plugin_and_nothing_heavy_with_it() -> None:
    """In a process of its own: this one has loaded everything."""
    code = (
        "import sys, deployd.testing.plugin;"
        "print(sorted(m for m in sys.modules if m.startswith('deployd.') or m == 'trio'))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert loaded.strip() == "['deployd.testing', 'deployd.testing.plugin']"
