"""Faults of the catalogue that a pod's own probes do not see: only a part of a broker has them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import pytest

from deployd.actors.cluster import OutageCode
from deployd.supervisors import Pod
from deployd.tools.chaos.proxy import Blackhole, FlipBits, fault_proxy
from support.clients import until
from support.nats_server import MakeNatsServer, until_joined
from support.outages import FAST, STANDARD, Scene, in_thread, on, scene
from support.rabbitmq_server import RabbitServer
from support.servers import free_port

CLUSTER = 'cluster {{ name: two, listen: "127.0.0.1:{}", no_advertise: true, routes: [{}] }}'


async def test_31_pods_on_two_servers_that_are_split_are_told_so_on_both_sides(
    make_nats_server: MakeNatsServer,
) -> None:
    port = free_port()
    first = make_nats_server(CLUSTER.format(port, ""))
    async with fault_proxy(port) as road:
        url = f'"nats-route://127.0.0.1:{road.port}"'
        second = make_nats_server(CLUSTER.format(free_port(), url))
        await in_thread(partial(until_joined, [first, second]))
        async with scene("nats", first, STANDARD, other=second) as it:
            await it.fault(on(road, Blackhole()))
            await until(lambda: all(map(parted, it.pods)))
            road.toxics.clear()
            road.reset_connections()  # what was swallowed is gone, and the servers begin anew
            await it.healed()
            assert it.trips() == [0, 0]


def parted(pod: Pod) -> bool:
    """Whether a pod's clients were told that it does not hear one other."""
    assert pod.link is not None
    outage = pod.link.state.degraded
    return outage is not None and (outage.code, outage.missing) == (OutageCode.PARTITIONED, 1)


@pytest.mark.parametrize("what", ["exchange", "binding"])
async def test_32_what_a_room_is_heard_by_is_made_anew_and_its_members_are_told_what_they_missed(
    rabbitmq_server: RabbitServer, what: str
) -> None:
    async with scene("rabbitmq", rabbitmq_server, STANDARD) as it:
        room = f'rabbit_misc:r(<<"/">>, exchange, <<"{it.namespace}.room">>)'
        if what == "exchange":
            words = f"rabbit_exchange:delete({room}, false, <<>>)."
        else:
            words = (
                f"[rabbit_binding:remove(B, <<>>) || B <- rabbit_binding:list_for_source({room})]."
            )
        await it.hears_more()
        await in_thread(partial(rabbitmq_server.ctl, "eval", words))
        await until(lambda: missed(it) > 0)
        await until(lambda: it.talk.told[-1][0] == "system:healed")
        await it.hears_more()
        assert {data["code"] for _, data, _ in it.talk.told} == {"missed"}
        assert it.trips() == [0, 0]


def missed(it: Scene) -> int:
    """How many words Bob was told that he misses."""
    return sum(data["missed"] for event, data, _ in it.talk.told if event == "system:degraded")


@pytest.mark.parametrize("kind", ["nats", "redis"])
async def test_40_where_bits_flip_nothing_is_heard_that_was_not_said(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(f"{kind}_server")
    base = attrs.evolve(FAST, secret="a secret that all pods have, of 32 bytes")
    async with scene(kind, server, base) as it:
        await it.fault(on(it.far, FlipBits(every_bytes=5_000)))
        await until(lambda: noticed(it.pods[1]) >= 3)  # each may end the connection
        it.far.toxics.clear()
        await it.healed()


def noticed(pod: Pod) -> int:
    """How many messages a pod has refused, and connections given up."""
    assert pod.link is not None
    counters = pod.link.state.counters
    return counters.trips + sum(counters.refused.values())


@pytest.mark.parametrize(
    ("alarm", "over"),
    [
        (("set_vm_memory_high_watermark", "0.00001"), ("set_vm_memory_high_watermark", "0.6")),
        (("set_disk_free_limit", "1000000000000000"), ("set_disk_free_limit", "50000000")),
    ],
    ids=["memory", "disk"],
)
async def test_18_19_a_broker_without_memory_or_disk_takes_nothing_and_is_left_until_it_does(
    rabbitmq_server: RabbitServer, alarm: Sequence[str], over: Sequence[str]
) -> None:
    async with scene("rabbitmq", rabbitmq_server, STANDARD) as it:
        await it.hears_more()
        try:
            await in_thread(partial(rabbitmq_server.ctl, *alarm))
            await until(lambda: all(trips > 0 for trips in it.trips()))
        finally:
            await in_thread(partial(rabbitmq_server.ctl, *over))
        await it.healed()
