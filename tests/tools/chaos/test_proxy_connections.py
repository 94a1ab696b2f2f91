"""Who may connect through the fault proxy, how much it holds, and what bad input is told."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from deployd.tools.chaos.proxy import (
    AcceptAndHang,
    BadPlace,
    BadProxy,
    BadToxic,
    Blackhole,
    DropFrames,
    DuplicateFrames,
    FaultProxy,
    Latency,
    PortTaken,
    RefuseConnections,
    Timeout,
    ToxicExists,
    UnknownToxic,
    fault_proxy,
    parse_place,
)
from deployd.tools.chaos.proxy.relay import CHUNK_BYTES
from deployd.tools.chaos.proxy.way import MAX_HELD
from support.clients import until
from support.echoing import (
    PATIENCE,
    EchoServer,
    client_of,
    ends,
    heard,
    hears_nothing,
    said,
)


async def test_refused_is_refused_by_the_system_and_who_is_in_stays(proxy: FaultProxy) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        for _ in range(3):
            proxy.toxics.add(RefuseConnections())
            with socket.socket() as other, pytest.raises(ConnectionRefusedError):
                other.connect(("127.0.0.1", proxy.port))
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", proxy.port))  # nobody else gets the port meanwhile
            proxy.toxics.clear()
            async with await client_of(proxy) as again:
                assert await said(again) == b"hello"
        assert await said(client) == b"hello"


async def test_a_share_is_refused_after_it_was_accepted(proxy: FaultProxy) -> None:
    proxy.toxics.add(RefuseConnections(toxicity=0.5))
    resets = 0
    for _ in range(12):
        async with await client_of(proxy) as client:
            try:
                await said(client)
            except trio.BrokenResourceError:
                resets += 1
    assert 2 < resets < 10


async def test_who_is_accepted_and_left_hanging_reaches_nobody(
    server: EchoServer, proxy: FaultProxy
) -> None:
    proxy.toxics.add(AcceptAndHang())
    async with await client_of(proxy) as client:
        await client.send_all(b"hello")
        assert await hears_nothing(client)
    assert server.streams == []
    await until(lambda: proxy.connections == 0)


async def test_what_nobody_reads_is_not_held_without_end(
    server: EchoServer, proxy: FaultProxy
) -> None:
    proxy.toxics.add(Blackhole(keep=True, both=False), stream="upstream")
    async with await client_of(proxy) as client:
        sent = 0
        with trio.move_on_after(2 * PATIENCE) as waited:
            while True:
                with trio.move_on_after(1.0) as full:
                    await client.send_all(b"x" * CHUNK_BYTES)
                if full.cancelled_caught:
                    break
                sent += CHUNK_BYTES
        assert not waited.cancelled_caught
        assert MAX_HELD <= sent < MAX_HELD + 16 * 2**20  # and what the system's buffers take


async def test_where_no_server_answers_a_client_is_closed_and_somebody_is_told() -> None:
    complaints: list[str] = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = parse_place(f"127.0.0.1:{nobody.getsockname()[1]}")
        proxy = FaultProxy("redis", parse_place("0"), place, complain=complaints.append)
        async with trio.open_nursery() as nursery:
            proxy.start(nursery)
            async with await client_of(proxy) as client:
                assert await ends(client) == b""
            await proxy.stop()
    [told] = complaints
    assert told.startswith(f"No server answers at {place} (Connection refused); start it, or give ")


async def test_a_proxy_that_stops_gives_its_port_back_and_starts_again(server: EchoServer) -> None:
    proxy = FaultProxy("echo", parse_place("0"), parse_place(str(server.port)))
    async with trio.open_nursery() as nursery:
        proxy.start(nursery)
        async with await client_of(proxy) as client:
            await said(client)
            await proxy.stop()
            assert await ends(client) == b""
        with pytest.raises(OSError, match="failed"):
            await client_of(proxy)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", proxy.port))
        proxy.start(nursery)
        async with await client_of(proxy) as client:
            assert await said(client) == b"hello"
        await proxy.stop()
    assert not proxy.enabled


async def test_frames_of_a_real_conversation_are_chosen(server: EchoServer) -> None:
    async with fault_proxy(server.port, protocol="nats") as proxy:
        proxy.toxics.add(DropFrames(verb="PUB", subject="room.x", every=2), stream="upstream")
        proxy.toxics.add(DuplicateFrames(verb="PING"), stream="upstream")
        async with await client_of(proxy) as client:
            for number in range(4):
                await client.send_all(b"PUB room.x 1\r\n%d\r\n" % number)
            await client.send_all(b"PING\r\n")
            wanted = b"PUB room.x 1\r\n0\r\nPUB room.x 1\r\n2\r\nPING\r\nPING\r\n"
            assert await heard(client, len(wanted)) == wanted


Attempt = Callable[[FaultProxy], Awaitable[object]]


async def put_twice(proxy: FaultProxy) -> None:
    proxy.toxics.add(Latency())
    proxy.toxics.add(Latency())


async def change_its_kind(proxy: FaultProxy) -> None:
    proxy.toxics.add(Latency(), name="mine")
    proxy.toxics.put(Timeout(), name="mine")


async def choose_frames(proxy: FaultProxy) -> None:
    proxy.toxics.add(DropFrames(verb="PUB"))


async def mistype(proxy: FaultProxy) -> None:
    proxy.toxics.add(Latency())
    proxy.toxics.remove("latency_dowstream")


async def speak_nothing(proxy: FaultProxy) -> None:
    async with fault_proxy(proxy.port, protocol="rediss"):
        pass


async def be_nowhere(proxy: FaultProxy) -> None:
    async with fault_proxy("localhost:http"):
        pass


async def be_where_another_is(proxy: FaultProxy) -> None:
    async with fault_proxy(1, proxy.port):
        pass


@pytest.mark.parametrize(
    ("attempt", "error", "sentence"),
    [
        (put_twice, ToxicExists, "toxic already exists: latency_downstream;"),
        (change_its_kind, BadToxic, "mine stays of its kind and on its stream;"),
        (choose_frames, BadToxic, "drop is to choose frames, but this proxy reads none;"),
        (mistype, UnknownToxic, "toxic not found: latency_dowstream; did you mean latency_down"),
        (speak_nothing, BadProxy, "There is no protocol 'rediss': did you mean redis?"),
        (be_nowhere, BadPlace, "'localhost:http' is no address; write HOST:PORT"),
        (be_where_another_is, PortTaken, "Cannot listen on 127.0.0.1:"),
    ],
)
async def test_what_is_wrong_is_told_in_a_sentence(
    proxy: FaultProxy, attempt: Attempt, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as raised:
        await attempt(proxy)
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("6380", "127.0.0.1:6380"),
        ("localhost:1", "127.0.0.1:1"),
        (":1", "0.0.0.0:1"),
        ("[::1]:1", "[::1]:1"),
        ("redis.internal:6379", "redis.internal:6379"),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, place: str) -> None:
    assert str(parse_place(text)) == place


async def test_a_machine_without_descriptors_is_waited_for(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, failures = trio.SocketListener.accept, [errno.EMFILE, errno.ECONNABORTED]

    async def scarce(listener: trio.SocketListener) -> trio.SocketStream:
        stream = await accept(listener)
        if not failures:
            return stream
        stream.socket.close()
        raise OSError(failures.pop(0), "no more")

    monkeypatch.setattr(trio.SocketListener, "accept", scarce)
    for _ in range(4):
        async with await client_of(proxy) as client:
            with suppress(trio.BrokenResourceError):
                await said(client)
    assert failures == []
    async with await client_of(proxy) as client:
        assert await said(client) == b"hello"


async def test_what_is_not_what_the_protocol_says_passes_and_somebody_is_told(
    server: EchoServer,
) -> None:
    complaints: list[str] = []
    proxy = FaultProxy(
        "redis",
        parse_place("0"),
        parse_place(str(server.port)),
        protocol="redis",
        complain=complaints.append,
    )
    async with trio.open_nursery() as nursery:
        proxy.start(nursery)
        async with await client_of(proxy) as client:
            for _ in range(2):
                assert await said(client, b"\x16\x03\x01 encrypted") == b"\x16\x03\x01 encrypted"
        await proxy.stop()
    told = "What redis carries is not what redis speaks (is it encrypted?); it passes, and no toxic"
    assert [one.startswith(told) for one in complaints] == [True, True]  # of each direction
