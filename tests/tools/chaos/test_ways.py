"""What befalls the ways of pods, as each broker writes what they carry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from pamqp import commands
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from deployd.tools.chaos.proxy import fault_proxy
from deployd.tools.chaos.runner.ways import Ways
from deployd.tools.chaos.scenario.way_faults import OfWays, WayDrop, WayDuplicate, WayReorder
from deployd.tools.chaos.servers import LOCALHOST, Endpoint


def to_nats(room: str) -> bytes:
    return b"MSG deployd.room.%b 1 2\r\nhi\r\n" % room.encode()


def to_redis(room: str, verb: bytes = b"message") -> bytes:
    words = (verb, b"deployd:room.%b" % room.encode(), b"hi")
    return b">3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def to_redis_cluster(room: str) -> bytes:
    return to_redis(room, b"smessage")


def to_rabbitmq(room: str) -> bytes:
    method = commands.Basic.Deliver("consumer", 1, False, "deployd.room", room)
    header = ContentHeader(properties=commands.Basic.Properties(), body_size=2)
    return marshal(method, 1) + marshal(header, 1) + b"\x03\x00\x01\x00\x00\x00\x02hi\xce"


WRITTEN = {
    "nats": ("nats", to_nats),
    "redis": ("redis", to_redis),
    "redis cluster": ("redis", to_redis_cluster),
    "rabbitmq": ("rabbitmq", to_rabbitmq),
}
"""How brokers write what was said in a room, and the protocol that it is."""


@asynccontextmanager
async def saying(data: bytes) -> AsyncIterator[Endpoint]:
    """Be a server that says something to who comes, and nothing more."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(data)
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host=LOCALHOST)
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield Endpoint(LOCALHOST, listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def heard(kind: str, trouble: OfWays, data: bytes) -> bytes:
    """Return what comes to a pod of what a server says, while something befalls its way."""
    async with saying(data) as server, fault_proxy(str(server), protocol=kind) as proxy:
        ways = Ways(kind, [{server: proxy}])
        ways.befall(trouble)
        [through] = ways.through(0).values()
        async with await trio.open_tcp_stream(*through) as stream:
            return b"".join([part async for part in stream])


@pytest.fixture(params=WRITTEN)
def broker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_the_words_of_one_room_vanish_and_those_of_others_come(broker: str) -> None:
    kind, said = WRITTEN[broker]
    words = said("plain") + said("kept") + said("plain-2") + said("plain")
    assert await heard(kind, WayDrop(room="plain"), words) == said("kept") + said("plain-2")


async def test_a_room_is_known_by_what_it_is_called_on_a_broker(broker: str) -> None:
    kind, said = WRITTEN[broker]
    words = said("tea=20time") + said("tea")
    assert await heard(kind, WayDrop(room="tea time"), words) == said("tea")


async def test_the_words_of_all_rooms_vanish_where_none_is_named(broker: str) -> None:
    kind, said = WRITTEN[broker]
    assert await heard(kind, WayDrop(), said("plain") + said("kept")) == b""


async def test_words_come_twice(broker: str) -> None:
    kind, said = WRITTEN[broker]
    assert await heard(kind, WayDuplicate(share=1), said("plain")) == said("plain") * 2


async def test_words_come_after_those_that_were_said_later(broker: str) -> None:
    kind, said = WRITTEN[broker]
    came = await heard(kind, WayReorder(share=1), said("plain") + said("kept"))
    assert came == said("kept") + said("plain")
