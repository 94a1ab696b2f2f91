"""The fault proxy between real sockets: what a client and a server of it see."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import pytest
import trio

from deployd.tools.chaos.proxy import (
    Bandwidth,
    Blackhole,
    FaultProxy,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    SlowClose,
    Timeout,
    fault_proxy,
)
from support.clients import until
from support.echoing import (
    EchoServer,
    client_of,
    ends,
    heard,
    hears_nothing,
    is_reset,
    said,
)


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
