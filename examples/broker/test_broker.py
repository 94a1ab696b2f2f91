"""The hub keeps what a broker promises, and joins real pods."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import evolve

from deployd.config import BrokerSettings, load
from deployd.supervisors import Pod, open_pod
from deployd.transport.brokers.contract.conformance import CHECKS, Check, check_apart
from support.clients import KEYS, connected, pod_config, until

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from hub import HOST, LONGEST, Hub
from hub_broker import HubBroker

HERE = Path(__file__).parent


async def serve_hub(port: int, task_status: trio.TaskStatus[tuple[int, trio.CancelScope]]) -> None:
    """Serve a hub until its scope is cancelled; report its port and the scope."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, Hub().serve, port, host=HOST))
        task_status.started((listeners[0].socket.getsockname()[1], nursery.cancel_scope))


@asynccontextmanager
async def running_hub() -> AsyncIterator[int]:
    """Serve a hub on a free port."""
    async with trio.open_nursery() as nursery:
        port, _ = await nursery.start(serve_hub, 0)
        yield port
        nursery.cancel_scope.cancel()


def settings(port: int) -> BrokerSettings:
    """Return the example's own, with this port."""
    broker = load(HERE / "realtime.json", environ={}).config.broker
    return evolve(broker, options={**broker.options, "port": str(port)}, notice_window=0.0)


def maker(port: int) -> partial[HubBroker]:
    return partial(HubBroker.from_settings, settings(port))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
async def test_the_hub_keeps_what_a_broker_promises(check: Check) -> None:
    async with running_hub() as port:
        await check(maker(port))


async def test_two_hubs_are_two_deployments() -> None:
    async with running_hub() as port, running_hub() as other:
        await check_apart(maker(port), maker(other))


async def test_who_sends_a_line_without_an_end_is_cut_off() -> None:
    async with running_hub() as port:
        stream = await trio.open_tcp_stream(HOST, port)
        with trio.fail_after(5):
            try:
                await stream.send_all(bytes(2 * LONGEST))
                assert await stream.receive_some() == b""
            except trio.BrokenResourceError:
                pass  # cut off while sending
        await stream.aclose()


def joined_up(pod: Pod) -> bool:
    assert pod.uplink is not None
    return pod.uplink.breaker.closed and pod.uplink.degraded is None


async def test_pods_hear_each_other_and_do_so_again_when_the_hub_is_back() -> None:
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        port, hub = await nursery.start(serve_hub, 0)
        config = evolve(pod_config(), broker=settings(port))
        pods = [await stack.enter_async_context(open_pod(config, keys=KEYS)) for _ in range(2)]
        for pod in pods:
            await until(partial(joined_up, pod))
        [ann], [bob] = [await stack.enter_async_context(connected(pod)) for pod in pods]
        for client in (ann, bob):
            await client.join("tea")
        await ann.send("emit", room="tea", event="said", data=1)
        await bob.expect("emit", data=1)
        hub.cancel()
        notice = await bob.expect("emit", event="system:degraded")
        assert notice["data"]["code"] == "cut_off"
        assert f"{HOST}:{port}" not in notice["data"]["reason"]  # that is root's to know
        await nursery.start(serve_hub, port)
        await bob.expect("emit", event="system:healed")
        await until(partial(joined_up, pods[0]))
        await ann.send("emit", room="tea", event="said", data=2)
        await bob.expect("emit", data=2)
        await stack.aclose()
        nursery.cancel_scope.cancel()
