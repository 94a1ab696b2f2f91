"""What a pod suffers on purpose while it runs, and that nothing of it is left."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs

from deployd.actors import ActorCell
from deployd.config import Chaos, Config
from deployd.supervisors import BadFault, Pod, Supervisor
from deployd.supervisors.chaos import Injector, PodFault
from deployd.supervisors.chaos.turns import cells_below
from deployd.supervisors.pod.assemble import assemble
from deployd.transport.brokers import FaultyBroker
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from support import KEYS, connected, find_node, pod_config, running_pod
from support.clients import Client, until

CHAT = "pod/rooms/chat"


def chaotic(config: Config | None = None) -> Config:
    return evolve(config or pod_config(), chaos=Chaos(enabled=True))


@asynccontextmanager
async def chaotic_pod(**options: Any) -> AsyncIterator[tuple[Pod, Injector]]:
    with capture_logs():
        async with running_pod(chaotic(), **options) as pod:
            assert pod.chaos is not None
            yield pod, pod.chaos


async def say(client: Client, text: str) -> None:
    await client.send("emit", room="chat", event="said", data=text)


async def hears(client: Client, text: str) -> None:
    message = await client.receive()
    while message["type"] != "said" and message.get("event") != "said":
        message = await client.receive()
    assert message["data"] == text


def kinds_of_cells(pod: Pod) -> set[type]:
    return {type(cell) for cell in cells_below(pod.parts.root)}


# Off ----------------------------------------------------------------------------------------


async def test_without_chaos_nothing_of_it_is_there() -> None:
    async with running_pod(pod_config()) as pod, connected(pod, 1) as [client]:
        await client.join("chat")
        assert pod.chaos is None
        assert "chaos" not in pod.parts.root.children
        assert pod.parts.basis.wall is time.time
        assert kinds_of_cells(pod) == {ActorCell}


async def test_chaos_that_is_on_and_has_no_fault_leaves_actors_as_they_are() -> None:
    async with chaotic_pod() as (pod, _), connected(pod, 1) as [client]:
        await client.join("chat")
        assert "chaos" in pod.parts.root.children
        assert kinds_of_cells(pod) == {ActorCell}


async def test_a_pod_says_at_its_start_that_chaos_is_on() -> None:
    with capture_logs() as lines:
        async with running_pod(chaotic()):
            pass
        async with running_pod(pod_config()):
            pass
    assert [line["log_level"] for line in lines if "chaos is on" in line["event"]] == ["warning"]


# Actors -------------------------------------------------------------------------------------


async def test_an_idle_room_crashes_at_once_and_its_members_stay() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        await until(lambda: find_node(pod.tree(), CHAT).status == "running")
        chaos.inject(fault="actor.crash", path=CHAT)
        await until(lambda: find_node(pod.tree(), CHAT).incarnation == 2)
        await say(one, "still here")
        await hears(two, "still here")
        assert chaos.struck[PodFault.CRASH] == 1


async def test_a_room_that_crashes_once_more_as_it_starts_handles_what_waited() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        chaos.inject(fault="actor.crash", path=CHAT, times=2)  # once idle, once at its next turn
        await say(one, "in the middle")
        await hears(two, "in the middle")
        await until(lambda: chaos.struck[PodFault.CRASH] == 2)
        await until(lambda: find_node(pod.tree(), CHAT).incarnation == 3)


async def test_a_room_hangs_until_its_time_is_over_and_the_tree_says_in_what() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        began = trio.current_time()
        chaos.inject(fault="actor.hang", path=CHAT, seconds=0.4)
        await say(one, "late")
        await until(lambda: "disturb" in str(find_node(pod.tree(), CHAT).statistics))
        await hears(two, "late")
        assert trio.current_time() - began >= 0.39


async def test_a_room_that_hangs_goes_on_when_the_fault_is_stopped() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        begun = chaos.inject(fault="actor.hang", path=CHAT, seconds=500)
        await say(one, "late")
        await until(lambda: begun.struck > 0)
        assert chaos.stop(begun.number)
        await hears(two, "late")
        assert not chaos.stop(begun.number)


async def test_a_slow_room_takes_longer_for_each_message() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        chaos.inject(fault="actor.slow", path="pod/rooms/*", delay=0.1)
        began = trio.current_time()
        await say(one, "slow")
        await hears(two, "slow")
        assert trio.current_time() - began >= 0.1


async def test_what_a_client_says_waits_for_a_connection_that_is_slow_or_hangs() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 2) as [one, two]:
        for client in (one, two):
            await client.join("chat")
        (path,) = [
            member.ref.path for member in pod.members.values() if member.client_id == one.client_id
        ]
        began = trio.current_time()
        chaos.inject(fault="actor.hang", path=path, seconds=0.4)
        await say(one, "late")
        await hears(two, "late")
        assert trio.current_time() - began >= 0.39
        began = trio.current_time()
        chaos.inject(fault="actor.slow", path=path, delay=0.1)
        await say(one, "slow")
        await hears(two, "slow")
        assert trio.current_time() - began >= 0.1


async def test_a_room_that_is_opened_during_a_fault_is_met_by_it() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 1) as [client]:
        begun = chaos.inject(fault="actor.slow", path=CHAT + "*", delay=0.01, seconds=60)
        await client.join("chat-2")
        await until(lambda: len(kinds_of_cells(pod)) == 2)
        await client.send("emit", room="chat-2", event="said", data="x")
        await until(lambda: begun.struck > 0)


async def test_actors_are_ordinary_again_when_the_time_is_over() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 1) as [client]:
        await client.join("chat")
        chaos.inject(fault="actor.slow", path="*", delay=0.01, seconds=0.2)
        assert ActorCell not in kinds_of_cells(pod)
        await until(lambda: kinds_of_cells(pod) == {ActorCell})
        assert chaos.active() == []


async def test_a_path_that_no_actor_has_is_refused_with_the_nearest() -> None:
    async with chaotic_pod() as (pod, chaos), connected(pod, 1) as [client]:
        await client.join("chat")
        with pytest.raises(BadFault, match="did you mean pod/rooms/chat"):
            chaos.inject(fault="actor.hang", path="pod/rooms/chatt")
        assert chaos.active() == []


async def test_a_pod_stops_in_time_though_everything_in_it_hangs() -> None:
    began = trio.current_time()
    # Who closes is not answered by a connection that hangs.
    async with chaotic_pod() as (pod, chaos), connected(pod, 1, close_timeout=0.1) as [client]:
        await client.join("chat")
        chaos.inject(fault="actor.hang", path="*", seconds=500)
        await say(client, "never")
        await until(lambda: chaos.active()[0].struck > 0)
    assert trio.current_time() - began < 5
    assert chaos.active() == []


# The others ---------------------------------------------------------------------------------


async def test_messages_of_other_pods_are_lost_for_a_while_and_then_not() -> None:
    bus = MemoryBus()
    config = pod_config()
    async with (
        chaotic_pod(broker=lambda: MemoryBroker(bus)) as (near, chaos),
        running_pod(config, broker=lambda: MemoryBroker(bus)) as far,
        connected(near, 1) as [listener],
        connected(far, 1) as [speaker],
    ):
        for pod in (near, far):
            await until(lambda pod=pod: len(pod.link.state.peers) == 1)  # type: ignore[misc]
        for client in (listener, speaker):
            await client.send("join", room="chat")
            while (await client.receive())["type"] != "join":
                pass
        await say(speaker, "before")
        await hears(listener, "before")
        begun = chaos.inject(fault="link.drop", room="chat", share=1, seconds=60)
        await say(speaker, "lost")
        await until(lambda: begun.struck > 0)
        chaos.stop(begun.number)
        await say(speaker, "after")
        await hears(listener, "after")


async def test_a_link_without_chaos_is_the_broker_itself() -> None:
    made: list[object] = []

    def make() -> MemoryBroker:
        made.append(MemoryBroker(MemoryBus()))
        return made[-1]  # type: ignore[return-value]

    injector = Injector(lambda: Supervisor("pod", []), time.time)
    assert isinstance(injector.broker(make)(), FaultyBroker)
    assert type(make()) is MemoryBroker


async def test_the_clock_is_wrong_for_a_while(autojump_clock: trio.testing.MockClock) -> None:
    injector = Injector(lambda: Supervisor("pod", []), lambda: 1000.0 + trio.current_time())
    true = 1000.0 + trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(injector.run, lambda: None)
        assert injector.wall() == true
        injector.inject(fault="clock.skew", skew=60, seconds=5)
        injector.inject(fault="clock.skew", skew=-1, seconds=8)
        assert injector.wall() == true + 59
        await trio.sleep(5.01)
        assert injector.wall() == pytest.approx(true + 5.01 - 1)
        await trio.sleep(3)
        assert injector.wall() == pytest.approx(true + 8.01)
        injector.inject(fault="clock.skew", skew=60, seconds=5)
        nursery.cancel_scope.cancel()
    assert injector.wall() == pytest.approx(true + 8.01)


async def test_threads_of_the_database_are_told_the_wrong_time_too() -> None:
    injector = Injector(lambda: Supervisor("pod", []), lambda: 1000.0)
    with capture_logs():
        injector.inject(fault="clock.skew", skew=60)
    assert await trio.to_thread.run_sync(injector.wall) == 1060


async def test_the_pods_clock_and_its_store_go_through_the_faults() -> None:
    parts = assemble(chaotic(), KEYS, {})
    chaos = parts.watched.chaos
    assert chaos is not None
    assert parts.basis.wall == chaos.wall
