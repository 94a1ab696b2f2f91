"""The fault proxy between real sockets: what a client and a server of it see."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from deployd.tools.chaos.proxy import (
    AcceptAndHang,
    BadPlace,
    BadProxy,
    BadToxic,
    Bandwidth,
    Blackhole,
    DropFrames,
    DuplicateFrames,
    FaultProxy,
    HalfOpen,
    Latency,
    LimitData,
    PortTaken,
    RefuseConnections,
    ResetPeer,
    SlowClose,
    Timeout,
    ToxicExists,
    UnknownToxic,
    fault_proxy,
    parse_place,
)
from deployd.tools.chaos.proxy.relay import CHUNK_BYTES
from deployd.tools.chaos.proxy.way import MAX_HELD
from support.clients import until
from support.echoing import EchoServer, echoing

PATIENCE = 20.0
"""Seconds after which something that should have come has not."""

SHORT = 0.1
"""Seconds in which nothing is to come."""


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    async with echoing() as server:
        yield server


@pytest.fixture
async def proxy(server: EchoServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(server.port) as proxy:
        yield proxy


async def client_of(proxy: FaultProxy) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", proxy.port)


async def said(stream: trio.SocketStream, data: bytes = b"hello") -> bytes:
    """Say something, and hear it."""
    await stream.send_all(data)
    return await heard(stream, len(data))


async def heard(stream: trio.SocketStream, nbytes: int) -> bytes:
    got = b""
    with trio.fail_after(PATIENCE):
        while len(got) < nbytes and (data := await stream.receive_some()):
            got += data
    return got


async def hears_nothing(stream: trio.SocketStream) -> bool:
    with trio.move_on_after(SHORT):
        await stream.receive_some()
        return False
    return True


async def is_reset(stream: trio.SocketStream) -> bool:
    with trio.fail_after(PATIENCE):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError as error:
            return isinstance(error.__cause__, ConnectionResetError)
    return False


async def ends(stream: trio.SocketStream) -> bytes:
    got = b""
    with trio.fail_after(PATIENCE):
        while data := await stream.receive_some():
            got += data
    return got


async def test_without_toxics_megabytes_pass_unchanged_both_ways(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 20_000
    async with await client_of(proxy) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, data)
        assert await heard(client, len(data)) == data


async def test_an_end_of_one_way_leaves_the_other_open(
    server: EchoServer, proxy: FaultProxy
) -> None:
    async with await client_of(proxy) as client:
        await client.send_all(b"last words")
        await client.send_eof()
        assert await ends(client) == b"last words"
    assert server.ends == ["end"]
    await until(lambda: proxy.connections == 0)


async def test_a_reset_of_the_client_is_one_for_the_server(
    server: EchoServer, proxy: FaultProxy
) -> None:
    client = await client_of(proxy)
    await said(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    await until(lambda: server.ends == ["broken"])
    assert proxy.connections == 0


async def test_latency_is_put_on_and_taken_off_while_bytes_are_under_way(proxy: FaultProxy) -> None:
    async with await client_of(proxy) as client:
        proxy.toxics.put_both(Latency(latency=60))
        began = trio.current_time()
        assert await said(client) == b"hello"
        assert trio.current_time() - began >= 0.12
        proxy.toxics.put_both(Latency(latency=60_000))
        await client.send_all(b"more")
        assert await hears_nothing(client)
        proxy.toxics.clear()
        assert await heard(client, 4) == b"more"


async def test_a_toxic_is_put_on_a_share_of_connections_and_always_the_same_ones(
    server: EchoServer,
) -> None:
    async def hit(seed: int) -> list[bool]:
        async with fault_proxy(server.port, seed=seed) as proxy:
            proxy.toxics.add(Timeout(toxicity=0.5))
            found = []
            for _ in range(20):
                async with await client_of(proxy) as client:
                    await client.send_all(b"hello")
                    with trio.move_on_after(0.03) as waited:
                        assert await client.receive_some() == b"hello"
                    found.append(waited.cancelled_caught)
            return found

    once = await hit(1)
    assert 4 < sum(once) < 16
    assert await hit(1) == once
    assert await hit(2) != once


async def test_a_changed_share_is_that_of_open_connections_too(proxy: FaultProxy) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        proxy.toxics.put(Bandwidth(rate=0, toxicity=0))
        await said(client)
        proxy.toxics.put(Bandwidth(rate=0, toxicity=1))
        await client.send_all(b"held")
        assert await hears_nothing(client)
        proxy.toxics.put(Bandwidth(rate=0, toxicity=0))
        assert await heard(client, 4) == b"held"


async def test_a_timeout_closes_a_connection_on_which_nobody_speaks(
    server: EchoServer, proxy: FaultProxy
) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        proxy.toxics.add(Timeout(timeout=50))
        assert await ends(client) == b""
    await until(lambda: len(server.ends) == 1)


async def test_data_is_limited_to_a_byte(proxy: FaultProxy) -> None:
    async with await client_of(proxy) as client:
        proxy.toxics.add(LimitData(bytes=7))
        await client.send_all(b"hello hello")
        assert await ends(client) == b"hello h"


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_peer_is_reset(server: EchoServer, proxy: FaultProxy, stream: str) -> None:
    proxy.toxics.add(ResetPeer(), stream="upstream" if stream == "upstream" else "downstream")
    async with await client_of(proxy) as client:
        await client.send_all(b"hello")
        assert await is_reset(client)
    await until(lambda: server.ends == ["broken"])


async def test_all_connections_are_reset_and_new_ones_come(proxy: FaultProxy) -> None:
    async with await client_of(proxy) as one, await client_of(proxy) as two:
        await said(one)
        await said(two)
        proxy.reset_connections()
        assert await is_reset(one)
        assert await is_reset(two)
    async with await client_of(proxy) as client:
        assert await said(client) == b"hello"
    assert proxy.accepted == 3


async def test_a_slow_close_is_one(proxy: FaultProxy) -> None:
    proxy.toxics.add(SlowClose(delay=100), stream="upstream")
    async with await client_of(proxy) as client:
        began = trio.current_time()
        await client.send_eof()
        await ends(client)
        assert trio.current_time() - began >= 0.1


async def test_in_a_blackhole_nobody_hears_anybody_and_who_comes_later_is_whole(
    server: EchoServer, proxy: FaultProxy
) -> None:
    async with await client_of(proxy) as before:
        await said(before)
        proxy.toxics.add(Blackhole())
        async with await client_of(proxy) as within:
            for client in (before, within):
                await client.send_all(b"lost")
                assert await hears_nothing(client)
            proxy.toxics.clear()
            for client in (before, within):
                await client.send_all(b"dumb")
                assert await hears_nothing(client)
    async with await client_of(proxy) as after:
        assert await said(after) == b"hello"
    assert len(server.streams) == 2


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_blackhole_in_one_direction_lets_the_other_through(
    server: EchoServer, proxy: FaultProxy, stream: str
) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        if stream == "upstream":
            proxy.toxics.add(Blackhole(both=False), stream="upstream")
            await server.streams[0].send_all(b"from the server")
            assert await heard(client, 15) == b"from the server"
        else:
            proxy.toxics.add(Blackhole(both=False))
            await client.send_eof()
            await until(lambda: server.ends == ["end"])
        with suppress(trio.BrokenResourceError):
            assert await hears_nothing(client)


async def test_a_blackhole_that_keeps_is_a_long_silence(
    server: EchoServer, proxy: FaultProxy
) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        proxy.toxics.add(Blackhole(keep=True))
        await client.send_all(b"kept")
        assert await hears_nothing(client)
        proxy.toxics.clear()
        assert await heard(client, 4) == b"kept"


async def test_half_open_nobody_is_told_until_it_is_over(
    server: EchoServer, proxy: FaultProxy
) -> None:
    async with await client_of(proxy) as client:
        await said(client)
        proxy.toxics.add(HalfOpen())
        server.streams[0].socket.close()
        assert await hears_nothing(client)
        await client.send_all(b"to nobody")
        assert await hears_nothing(client)
        proxy.toxics.clear()
        with suppress(trio.BrokenResourceError):
            assert await ends(client) == b""


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
