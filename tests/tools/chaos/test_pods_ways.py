"""What befalls the ways of pods is said of frames as each broker's driver names them."""

from __future__ import annotations

import pytest

from deployd.config.brokers import Nats, RabbitMQ, Redis
from deployd.tools.chaos.proxy import DropFrames, fault_proxy
from deployd.tools.chaos.proxy.frames import Frame
from deployd.tools.chaos.runner.ways import Ways
from deployd.tools.chaos.scenario.way_faults import WayDrop
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
