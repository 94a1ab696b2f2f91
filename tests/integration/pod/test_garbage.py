"""What ends leaves nothing that only the garbage collector would find."""

from __future__ import annotations

import gc
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from deployd.config import AccessSettings, AuthSettings, Rule, Speaker
from deployd.supervisors import Pod
from deployd.supervisors.observe.rates import Sample
from support import PATIENCE, pod_config, running_collections, running_pod, write_collection
from support.certificates import issued, trusting
from support.clients import until
from support.frames import frame, saying

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
)
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /notes HTTP/1.1\r\nHost: localhost\r\n"
TIMES = 5
"""How often each thing is done."""
PACKAGES = {"deployd", "h11", "starlette", "trio_websocket", "wsproto"}
TRIOS = {trio.Nursery, trio.lowlevel.Task}
"""Of trio's types; its cancel scopes stay in the heap of deadlines until 1,000 are over."""

Visit = Callable[[Pod], Awaitable[None]]


CLOSE = frame(8, (1000).to_bytes(2))


async def hear(stream: trio.abc.Stream, what: bytes) -> None:
    received = b""
    with trio.fail_after(PATIENCE):
        while what not in received:
            received += await stream.receive_some()


async def connect(pod: Pod, *said: bytes, heard: bytes = b"client_id") -> trio.SocketStream:
    """Connect, say something, and hear what there is to hear."""
    stream = await trio.open_tcp_stream("127.0.0.1", pod.port)
    await stream.send_all(b"".join([UPGRADE, *said]))
    await hear(stream, heard)
    return stream


async def read_to_the_end(stream: trio.SocketStream) -> None:
    with trio.fail_after(PATIENCE):
        async for _ in stream:
            pass


async def closes(pod: Pod) -> None:
    async with await connect(pod, CLOSE) as stream:
        await read_to_the_end(stream)


async def vanishes(pod: Pod) -> None:
    await (await connect(pod)).aclose()


async def resets(pod: Pod) -> None:
    stream = await connect(pod)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def breaks_off_in_a_message(pod: Pod) -> None:
    async with await connect(pod) as stream:
        await stream.send_all(saying("join", room="tea")[:9])


async def is_in_a_room(pod: Pod) -> None:
    emit = saying("emit", room="tea", event="said", data=1, id=1)
    async with await connect(pod, saying("join", room="tea"), emit, heard=b'"receipt"'):
        pass


async def emits_to_a_room_that_it_has_not_joined(pod: Pod) -> None:
    emit = saying("emit", room="elsewhere", event="said", data=1, id=1)
    async with await connect(pod, emit, heard=b"not_a_member"):
        pass


async def emits_to_a_room_where_nobody_is(pod: Pod) -> None:
    emit = saying("emit", room="open", event="said", data=1, id=1)
    async with await connect(pod, emit, heard=b'"receipt"'):
        pass


async def joins_and_leaves(pod: Pod) -> None:
    join, leave = saying("join", room="tea"), saying("leave", room="tea")
    async with await connect(pod, join, leave, heard=b'"leave"'):
        pass


async def has_a_token_that_would_expire(pod: Pod) -> None:
    token = pod.tokens.sign("ada", ttl=60.0)
    async with await connect(pod, saying("auth", token=token), heard=b'"auth"'):
        pass


async def does_not_read(pod: Pod) -> None:
    async with await connect(pod):
        while pod.members:
            for member in pod.members.values():
                member.sink.write(bytes(1 << 20))
            await wait_all_tasks_blocked()


async def is_stopped(pod: Pod) -> None:
    async with await connect(pod) as stream:
        for name in pod.clients.children:
            pod.clients.stop_child(name, "enough")
        await hear(stream, b"retry_after")
        await stream.send_all(CLOSE)
        await read_to_the_end(stream)


async def sends_binary(pod: Pod) -> None:
    async with await connect(pod, frame(2, b"x")) as stream:
        await read_to_the_end(stream)


async def sends_nonsense(pod: Pod) -> None:
    async with await connect(pod, frame(1, b"x"), heard=b"bad_json"):
        pass


async def is_not_a_websocket_after_all(pod: Pod) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
        await stream.send_all(UPGRADE.replace(b"Version: 13", b"Version: 12"))
        await hear(stream, b"426")


async def asks_once(pod: Pod) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
        await stream.send_all(GET + b"Connection: close\r\n\r\n")
        await read_to_the_end(stream)


async def asks_twice_and_goes(pod: Pod) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
        for _ in range(2):
            await stream.send_all(GET + b"\r\n")
            await hear(stream, b'"live"')


async def breaks_off_in_a_request(pod: Pod) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
        await stream.send_all(POST + b"Content-Length: 9\r\n\r\n12345")


async def asks_for_what_is_not_there(pod: Pod) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
        await stream.send_all(GET.replace(b"/live", b"/dead") + b"Connection: close\r\n\r\n")
        await read_to_the_end(stream)


REQUESTS = [asks_once, asks_twice_and_goes, breaks_off_in_a_request, asks_for_what_is_not_there]

VISITS = [
    closes,
    vanishes,
    resets,
    breaks_off_in_a_message,
    is_in_a_room,
    emits_to_a_room_that_it_has_not_joined,
    emits_to_a_room_where_nobody_is,
    joins_and_leaves,
    has_a_token_that_would_expire,
    sends_binary,
    sends_nonsense,
    is_not_a_websocket_after_all,
]


def census() -> Counter[str]:
    """Count what lives of our types, and of those of the libraries that we call.

    Not the history that the views keep: it grows by a sample a second, to a bound.
    """
    kinds = (type(thing) for thing in gc.get_objects() if not isinstance(thing, Sample))
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if kind in TRIOS or str(kind.__module__).partition(".")[0] in PACKAGES
    )


async def left_by(visit: Visit, pod: Pod) -> Counter[str]:
    """Do something again and again, and return what each time leaves without a collection.

    What only the collector finds stays, and what is still under way goes, so that may take its
    time. What the pod makes meanwhile for itself is not made each time.
    """

    async def often() -> None:
        for _ in range(TIMES):
            await visit(pod)
        await until(lambda: not len(pod.clients))
        await wait_all_tasks_blocked()

    await often()  # what is made once is made
    gc.collect()
    gc.disable()
    try:
        before = census()
        await often()
        for _ in range(100):
            left = Counter({k: n for k, n in (census() - before).items() if n >= TIMES})
            if not left:
                break
            await trio.sleep(0.01)
        return left
    finally:
        gc.enable()


@pytest.mark.parametrize("visit", VISITS)
async def test_a_client_leaves_nothing_that_only_the_collector_finds_when_it(visit: Visit) -> None:
    access = AccessSettings(rules={"open": Rule(emit=Speaker.ANYONE)})
    async with running_pod(evolve(pod_config(), access=access)) as pod:
        assert await left_by(visit, pod) == {}


async def test_a_client_leaves_nothing_when_it_goes_before_it_had_to_sign_in() -> None:
    async with running_pod(evolve(pod_config(), auth=AuthSettings(required=True))) as pod:
        assert await left_by(vanishes, pod) == {}


async def test_a_client_leaves_nothing_when_it_is_closed_for_not_reading() -> None:
    async with running_pod(pod_config(message_buffer_size=16)) as pod:
        assert await left_by(does_not_read, pod) == {}


async def test_a_client_leaves_nothing_when_its_supervisor_stops_it() -> None:
    async with running_pod() as pod:
        assert await left_by(is_stopped, pod) == {}


async def test_a_client_leaves_nothing_when_it_came_encrypted(tmp_path: Path) -> None:
    context = trusting()

    async def comes_and_goes(pod: Pod) -> None:
        plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
        async with trio.SSLStream(plain, context, server_hostname="localhost") as stream:
            await stream.send_all(UPGRADE)
            await hear(stream, b"client_id")

    async with running_pod(evolve(pod_config(), tls=issued(tmp_path))) as pod:
        assert await left_by(comes_and_goes, pod) == {}


async def test_a_room_leaves_nothing_when_it_ends_of_idleness() -> None:
    async def opens_a_room(pod: Pod) -> None:
        await is_in_a_room(pod)
        await until(lambda: not len(pod.rooms))

    async with running_pod(pod_config(room_cleanup_interval=0.01)) as pod:
        assert await left_by(opens_a_room, pod) == {}


async def test_http_leaves_nothing_when_a_write_is_refused(tmp_path: Path) -> None:
    async def writes_nonsense(pod: Pod) -> None:
        body = b'{"n":"one"}'
        async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
            head = POST + b"Content-Type: application/json\r\nConnection: close\r\n"
            await stream.send_all(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await hear(stream, b" 400 ")
            await read_to_the_end(stream)

    write_collection(tmp_path, "notes", {"properties": {"n": {"type": "number"}}})
    async with running_collections(tmp_path) as (pod, _):
        assert await left_by(writes_nonsense, pod) == {}


@pytest.mark.parametrize("visit", REQUESTS)
async def test_http_leaves_nothing_when_it(visit: Visit) -> None:
    async with running_pod() as pod:
        assert await left_by(visit, pod) == {}
