"""Whom the listener refuses, and who gives up its place to whom."""

from __future__ import annotations

import itertools
import socket
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from deployd.transport import (
    networks,
)
from deployd.transport.http import HttpLimits
from deployd.transport.sockets.listener import (
    ListenerLimits,
    ListenerStatistics,
)
from support.listeners import (
    GET,
    HEALTH,
    HELLO,
    OPEN,
    POST,
    UPGRADE,
    begins,
    busy,
    listening,
    status,
    until,
    works,
)
from support.raw import ask, connect, everything

# -- refusing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "answer", "reason"),
    [
        (UPGRADE, 403, "forbidden"),
        (b"GET /socket.io/ HTTP/1.1\r\nHost: a\r\n\r\n", 426, "upgrade_required"),
        (UPGRADE.replace(b"/socket.io/", b"/elsewhere"), 404, "not_found"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version_not_supported"),
        (GET[:-2] + b"X: " + b"x" * 30_000, 431, "request_header_fields_too_large"),
    ],
)
async def test_a_refused_request_is_answered_closed_and_counted(
    request_bytes: bytes, answer: int, reason: str
) -> None:
    async with listening() as listener:
        response = await ask(listener, request_bytes)
        assert status(response) == answer
        assert b'{"error":"' in response
        await until(lambda: listener.statistics().open_connections == 0)
        assert listener.statistics() == ListenerStatistics(1, 0, {reason: 1}, 0)


async def test_a_slow_request_is_given_up_at_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with listening(http=HttpLimits(head_timeout=10)) as listener:
        start = trio.current_time()
        async with await connect(listener) as slow, trio.open_nursery() as nursery:

            async def trickle() -> None:
                for byte in itertools.cycle(b"X-Header: 1\r\n"):
                    await slow.send_all(bytes([byte]))
                    await trio.sleep(0.5)

            await slow.send_all(GET[:-2])
            nursery.start_soon(trickle)
            await trio.sleep(5)
            assert (await ask(listener, GET)).endswith(HELLO)  # nobody else waits
            assert status(await slow.receive_some()) == 408
            assert trio.current_time() - start == pytest.approx(10)
            nursery.cancel_scope.cancel()
        await until(lambda: listener.statistics().open_connections == 0)
        assert listener.statistics().refused == {"request_timeout": 1}


async def test_a_refused_client_that_stays_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with listening() as listener, await connect(listener) as stream:
        await stream.send_all(b"nonsense\r\n\r\n")
        assert status(await everything(stream)) == 400
        assert listener.statistics().open_connections == 1
        await trio.sleep(2)
        assert listener.statistics().open_connections == 0


async def test_a_client_that_goes_before_its_request_is_whole_is_counted() -> None:
    async with listening() as listener:
        async with await connect(listener) as stream:
            await stream.send_all(GET[:10])
        async with await connect(listener) as stream:
            await until(lambda: listener.statistics().open_connections == 1)
            reset_on_close = b"\x01\0\0\0\0\0\0\0"
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        await until(lambda: listener.statistics().refused.get("gone") == 2)
        assert (await ask(listener, GET)).endswith(HELLO)


# -- slots -----------------------------------------------------------------------------------


WAITING = {
    "nothing sent": (b"", GET, b"HTTP/1.1 503 "),
    "half a head": (GET[:9], GET[9:], b"HTTP/1.1 503 "),
    "between two requests": (OPEN, GET, b""),
    "half of a second head": (OPEN + GET[:9], GET[9:], b"HTTP/1.1 503 "),
    "half a body": (POST + b"Content-Length: 3\r\n\r\na", b"bc", b"HTTP/1.1 503 "),
    "half a chunk": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\na",
        b"bc\r\n0\r\n\r\n",
        b"HTTP/1.1 503 ",
    ),
    "nothing after a refusal": (b"nonsense\r\n\r\n", b"", b""),
}


@pytest.mark.parametrize("state", WAITING)
async def test_an_address_that_has_its_share_gives_up_whom_it_let_wait_longest(state: str) -> None:
    begun, rest, told = WAITING[state]
    async with (
        listening(limits=ListenerLimits(max_per_address=3)) as listener,
        AsyncExitStack() as stack,
    ):
        first, *others = [await begins(listener, stack, begun) for _ in range(3)]
        if begun.startswith((OPEN, b"nonsense")):
            assert (await first.receive_some()).startswith(b"HTTP/1.1 ")
        assert (await ask(listener, GET)).endswith(HELLO)
        assert (await everything(first)).startswith(told)
        for other in others:
            await other.send_all(rest)
            answer = await everything(other)
            assert b"hello to " in answer or b" 400 " in answer


async def test_an_upgrade_takes_the_place_of_half_a_request() -> None:
    async with (
        listening(limits=ListenerLimits(max_per_address=2)) as listener,
        AsyncExitStack() as stack,
    ):
        for _ in range(5):
            await begins(listener, stack)
        assert status(await ask(listener, UPGRADE)) == 403


async def test_where_all_of_an_address_work_it_is_told_so_and_health_is_answered() -> None:
    async with (
        listening(app=busy, limits=ListenerLimits(max_per_address=2)) as listener,
        AsyncExitStack() as stack,
    ):
        working = [await works(listener, stack) for _ in range(2)]
        for request in (GET, UPGRADE, GET):
            assert status(await ask(listener, request)) == 429
        answer = await ask(listener, HEALTH)  # it need not ask to be closed
        assert answer.endswith(HELLO)
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert listener.statistics().refused == {"too_many_requests": 3}
        for stream in working:
            await stream.aclose()
        await until(lambda: listener.statistics().open_connections == 0)


async def test_where_all_work_everybody_is_told_so_and_health_is_answered() -> None:
    async with (
        listening(app=busy, limits=ListenerLimits(max_connections=2)) as listener,
        AsyncExitStack() as stack,
    ):
        for _ in range(2):
            await works(listener, stack)
        answer = await ask(listener, GET)
        assert status(answer) == 503
        assert b"\r\nRetry-After: " in answer
        assert (await ask(listener, HEALTH)).endswith(HELLO)
        assert listener.statistics().refused == {"overload": 1}


async def test_in_the_whole_only_who_has_waited_a_while_gives_up_its_seat(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        listening(limits=ListenerLimits(max_connections=2)) as listener,
        AsyncExitStack() as stack,
    ):
        for _ in range(2):
            await begins(listener, stack)
        assert status(await ask(listener, GET)) == 503
        await trio.sleep(1.5)
        assert (await ask(listener, GET)).endswith(HELLO)


async def test_a_trusted_proxy_has_no_share_and_each_of_its_clients_has() -> None:
    trusted = networks(["127.0.0.0/8"])
    limits = ListenerLimits(max_per_address=1, trusted=trusted)
    async with (
        listening(app=busy, limits=limits, http=HttpLimits(trusted=trusted)) as listener,
        AsyncExitStack() as stack,
    ):

        def of(address: bytes, request: bytes = OPEN) -> bytes:
            return request[:-2] + b"X-Forwarded-For: " + address + b"\r\n\r\n"

        working = [
            await begins(listener, stack, of(address))
            for address in (b"9.0.0.1", b"2001:db8::1", b"9.0.0.2")
        ]
        await begins(listener, stack, OPEN)  # of nobody, as far as the proxy says
        await begins(listener, stack, OPEN)
        assert status(await ask(listener, of(b"9.0.0.1", GET))) == 429
        assert status(await ask(listener, of(b"2001:db8::2", GET))) == 429
        async with await connect(listener) as pooled:
            for address in (b"9.0.0.3", b"9.0.0.4", b"9.0.0.3"):
                await pooled.send_all(of(address, HEALTH))
                assert (await pooled.receive_some()).endswith(HELLO)
        await working[0].aclose()
        await until(lambda: listener.statistics().open_connections == 4)
        again = await begins(listener, stack, of(b"9.0.0.1"))
        with trio.move_on_after(0.05) as nothing_comes:
            await again.receive_some()
        assert nothing_comes.cancelled_caught
