"""A pod as a whole: its start, its hub, its end."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from deployd.actors import JSON, Member, Room, RoomImportError
from deployd.config import Config, Drain
from deployd.supervisors import Pod
from deployd.transport import AddressInUse
from support import connected, find_node, pod_config, running_pod
from support.fake_broker import FakeBroker, FakeBus


class Other(Room):
    """Told from a plain room by its name."""


class Slow(Room):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast("began", data)
        await trio.sleep_forever()


async def test_a_stopping_pod_closes_its_clients_with_1012_and_when_to_come_back() -> None:
    closings: list[tuple[int, str]] = []

    async def stay(pod: Pod, task_status: trio.TaskStatus[None]) -> None:
        async with connected(pod, 3) as clients:
            task_status.started()
            closings.extend([await client.closed() for client in clients])

    async with trio.open_nursery() as nursery, running_pod() as pod:
        await nursery.start(stay, pod)
    assert [code for code, _ in closings] == [1012] * 3
    for _, reason in closings:
        name, _, seconds = reason.partition("=")
        assert name == "retry_after"
        assert 1.0 <= float(seconds) <= 5.0


async def test_another_thread_can_emit_through_the_hub() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("tea")
        hub = pod.hub.from_thread
        receipt = await trio.to_thread.run_sync(lambda: hub.emit_to_room("tea", "said", {"n": 1}))
        assert receipt.scope == "local"
        message = await client.expect("emit", data={"n": 1})
        assert message["meta"]["id"] == receipt.id


async def test_data_changed_after_an_emit_changes_nothing() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("tea")
        data: dict[str, JSON] = {"n": 1}
        pod.hub.emit_to_room("tea", "said", data)
        data["n"] = 2
        await client.expect("emit", data={"n": 1})


async def test_a_port_in_use_and_a_class_that_is_not_there_stop_the_start_with_a_sentence() -> None:
    async with running_pod() as pod:
        taken = evolve(pod_config(), server=evolve(pod.config.server, port=pod.port))
        with pytest.raises(AddressInUse, match="--port"):
            async with running_pod(taken):
                raise AssertionError("it started")
    missing = evolve(pod_config(), rooms={"x-*": "no_such_module:Room"})
    with pytest.raises(RoomImportError, match=r"no_such_module"):
        async with running_pod(missing):
            raise AssertionError("it started")


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with running_pod():
            raise LookupError("mine")


async def test_a_stopped_pod_leaves_no_actor_alive() -> None:
    async with running_pod() as pod:
        room = pod.hub.room("tea")
        states = [room.alive]
    assert [*states, room.alive] == [True, False]
    assert pod.hub.emit_to_all("late", 1).scope == "rejected"


async def test_code_binds_before_the_configuration_and_bind_room_before_both() -> None:
    bound = {"x-*": Other, "y-*": Other}
    config = evolve(pod_config(), rooms={"x-*": "deployd.actors:Room"})
    async with running_pod(config, bound) as pod:
        pod.bind_room("y-1", Slow)
        for name in ("x-1", "y-1", "y-2"):
            pod.hub.room(name)
        await wait_all_tasks_blocked()
        kinds = {node.path: node.kind for node in find_node(pod.tree(), "pod/rooms").children}
        assert kinds == {
            "pod/rooms/x-1": "Other",
            "pod/rooms/y-1": "Slow",
            "pod/rooms/y-2": "Other",
        }


async def test_a_stopping_pod_waits_for_nobody_longer_than_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = evolve(pod_config(), drain=Drain(window=0.0, deadline=2.0))
    async with running_pod(config, {"slow": Slow}) as pod:
        async with connected(pod, ping_interval=None) as [client]:
            await client.join("slow")
            await client.send("emit", event="x", data=1, room="slow")
            await client.expect("emit", event="began")
        started = trio.current_time()
    assert trio.current_time() - started == pytest.approx(2.0)


# -- draining --------------------------------------------------------------------------------


def draining_config(**drain: float) -> Config:
    return evolve(pod_config(), drain=Drain(**{"window": 0.0, "deadline": 5.0, **drain}))


async def test_a_pod_that_is_told_to_stop_is_not_ready_and_takes_clients_until_the_delay_is_over(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with running_pod(draining_config(delay=30.0)) as pod:
        assert pod.parts.health.unready() is None
        pod.request_stop("told to")
        assert pod.parts.health.unready() == "it is stopping"
        async with connected(pod, ping_interval=None) as [client]:
            mock_clock.jump(29.9)
            await client.join("tea")
            mock_clock.jump(0.2)
            assert (await client.closed())[0] == 1012


class HandsOver(Room[None]):
    async def on_drain(self) -> None:
        self.broadcast("moving", "come back", local=True)
        self.relay("state", {"n": 7})


class Clings(Room[None]):
    async def on_drain(self) -> None:
        await trio.sleep_forever()


async def linked(pod: Pod, peers: int) -> None:
    """Return when the pod's link carries messages, and it knows so many others."""
    assert pod.link is not None
    while pod.link.state.outage is not None or len(pod.link.state.peers) < peers:
        await trio.lowlevel.checkpoint()


async def test_rooms_say_goodbye_and_hand_over_to_other_pods_before_anybody_is_closed() -> None:
    bus = FakeBus()
    config = draining_config()
    config = evolve(config, broker=evolve(config.broker, type="nats", enabled=True))

    async def stay(pod: Pod, task_status: trio.TaskStatus[None]) -> None:
        async with connected(pod) as [client]:
            await client.join("game-1")
            task_status.started()
            await client.expect("emit", event="moving")
            assert (await client.closed())[0] == 1012

    def broker() -> FakeBroker:
        return FakeBroker(bus)

    async with running_pod(config, broker=broker) as other:
        await linked(other, 0)
        async with connected(other) as [listener], trio.open_nursery() as nursery:
            await listener.join("game-1")
            async with running_pod(config, {"game-*": HandsOver}, broker=broker) as pod:
                await linked(pod, 1)
                await nursery.start(stay, pod)
            message = await listener.expect("emit", event="state")
            assert message["data"] == {"n": 7}


async def test_a_room_that_clings_is_left_after_two_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod(draining_config(deadline=20.0), {"*": Clings}) as pod:
        pod.hub.room("tea")
        began = trio.current_time()
        pod.request_stop("told to")
        async with connected(pod, ping_interval=None) as [client]:
            assert (await client.closed())[0] == 1012
        assert 2.0 <= trio.current_time() - began < 8.0


async def test_what_waits_for_a_client_is_sent_before_it_is_closed() -> None:
    heard: list[object] = []

    async def stay(pod: Pod, task_status: trio.TaskStatus[None]) -> None:
        async with connected(pod) as [client]:
            await client.join("tea")
            task_status.started()
            heard.extend([(await client.expect("emit"))["data"]["n"] for _ in range(200)])
            assert (await client.closed())[0] == 1012

    async with trio.open_nursery() as nursery, running_pod(pod_config()) as pod:
        await nursery.start(stay, pod)
        for number in range(200):
            pod.hub.emit_to_room("tea", "said", {"n": number, "padding": "x" * 4000})
    assert heard == list(range(200))
