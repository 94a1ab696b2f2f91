"""What befalls the ways of pods is said of frames as each broker's driver names them."""

from __future__ import annotations

import pytest

from deployd.config.brokers import Nats, RabbitMQ, Redis
from deployd.tools.chaos.proxy import DropFrames, fault_proxy
from deployd.tools.chaos.proxy.frames import Frame
from deployd.tools.chaos.runner.ways import Ways
from deployd.tools.chaos.scenario.way_faults import OfWays, WayCut, WayDrop, WayDuplicate
from deployd.tools.chaos.servers import Endpoint
from deployd.transport.brokers.contract import EVERYONE, Channel, pod_channel, room_channel
from deployd.transport.brokers.rabbitmq.topology import Topology
from deployd.transport.brokers.redis.node import Names


def delivered(kind: str, channel: Channel) -> Frame:
    """Return what brings a message to a pod, as the proxy reads it."""
    if kind == "nats":
        return Frame("MSG", (f"{Nats().subject}.{channel}",))
    if kind == "redis":
        return Frame("message", (Names(Redis().prefix, 0).name(channel).decode(),))
    exchange, key = Topology(RabbitMQ(), 60.0).address(channel)
    return Frame("basic.deliver", (exchange,), key)


async def dropped(kind: str, trouble: WayDrop) -> DropFrames:
    async with fault_proxy("127.0.0.1:1", protocol=kind) as proxy:
        end = Ways(kind, [{Endpoint("127.0.0.1", 1): proxy}]).befall(trouble)
        (placed,) = proxy.toxics
        assert isinstance(placed.toxic, DropFrames)
        end()
        assert not len(proxy.toxics)
        return placed.toxic


@pytest.mark.parametrize("kind", ["nats", "redis", "rabbitmq"])
@pytest.mark.parametrize(
    ("trouble", "fits"),
    [
        (WayDrop(), {"room.plain", "room.a", "all", "pod"}),
        (WayDrop(room="plain"), {"room.plain"}),
        (WayDrop(room="a room"), {"room.a"}),
        (WayDrop(beats=True), {"all"}),
    ],
)
async def test_what_is_dropped_is_what_was_said(
    kind: str, trouble: WayDrop, fits: set[str]
) -> None:
    toxic = await dropped(kind, trouble)
    channels = {
        "room.plain": room_channel("plain"),
        "room.a": room_channel("a room"),
        "all": EVERYONE,
        "pod": pod_channel("plain"),
    }
    found = {name for name, each in channels.items() if toxic.fits(delivered(kind, each))}
    assert found == fits


@pytest.mark.parametrize(
    ("trouble", "struck"), [(WayDrop(), 5), (WayDuplicate(), 5), (WayCut(), None)]
)
async def test_how_many_messages_were_struck_is_said_of_what_strikes_messages(
    trouble: OfWays, struck: int | None
) -> None:
    async with (
        fault_proxy("127.0.0.1:1", protocol="nats") as first,
        fault_proxy("127.0.0.1:1", protocol="nats") as second,
    ):
        ways = Ways("nats", [{Endpoint("127.0.0.1", 1): first}, {Endpoint("127.0.0.1", 2): second}])
        end = ways.befall(trouble)
        for count, proxy in enumerate((first, second), start=2):
            for placed in proxy.toxics:
                placed.uses.count = count
        assert end() == struck
