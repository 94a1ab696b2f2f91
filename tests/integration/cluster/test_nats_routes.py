"""Two pods on two servers of NATS that are far apart: what being let into a room promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from deployd.supervisors import Pod, open_pod
from deployd.tools.chaos.proxy import Latency, fault_proxy
from support.clients import KEYS, Client, connected, pod_config, until
from support.joined import well
from support.nats_server import MakeNatsServer
from support.outages import STANDARD, broker_settings
from support.servers import free_port

WAY = 0.2
"""Seconds that one server takes to tell the other anything."""


@asynccontextmanager
async def far_apart(make_server: MakeNatsServer) -> AsyncIterator[tuple[Pod, Pod]]:
    """Join two pods over two servers, with a proxy on the route between those."""
    first = free_port()

    def cluster(port: int, *routes: int) -> str:
        urls = ", ".join(f'"nats-route://127.0.0.1:{route}"' for route in routes)
        return (
            f"server_name: s{port}\ncluster {{ name: far, no_advertise: true, "
            f'listen: "127.0.0.1:{port}", routes: [{urls}] }}'
        )

    async with fault_proxy(first) as proxy:
        servers = [make_server(cluster(first)), make_server(cluster(free_port(), proxy.port))]
        broker = [broker_settings("nats", server, STANDARD) for server in servers]
        near, far = (attrs.evolve(pod_config(), broker=settings) for settings in broker)
        async with open_pod(near, keys=KEYS) as a, open_pod(far, keys=KEYS) as b:
            for pod in (a, b):
                await until(partial(well, pod))
            await until(lambda: all(others(pod) == 1 for pod in (a, b)))
            proxy.toxics.put_both(Latency(latency=WAY * 1000))
            yield a, b


def others(pod: Pod) -> int:
    assert pod.link is not None
    return len(pod.link.state.peers)


async def test_who_is_told_that_it_is_in_a_room_hears_what_is_said_on_the_other_server(
    make_nats_server: MakeNatsServer,
) -> None:
    async with (
        far_apart(make_nats_server) as (a, b),
        connected(a) as [ann],
        connected(b) as [bob],
    ):
        for number in range(5):
            room = f"tea-{number}"
            await ann.join(room)
            began = trio.current_time()
            await bob.join(room)
            assert trio.current_time() - began >= 2 * WAY  # asked, and answered, over the route
            await say(ann, room, number)
            await bob.expect("emit", room=room, data=number)


async def say(client: Client, room: str, number: int) -> None:
    await client.send("emit", room=room, event="said", data=number, id=number)
    receipt = await client.receive()
    while receipt["type"] != "receipt":
        receipt = await client.receive()
    assert receipt["data"]["scope"] == "cluster"
