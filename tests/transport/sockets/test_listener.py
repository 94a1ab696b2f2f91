from __future__ import annotations

import itertools
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from deployd.transport import (
    AddressInUse,
    ConnectionSlot,
    Listener,
    ListenError,
    Refusal,
    UpgradeRequest,
    bind,
    networks,
    shortage,
)
from deployd.transport.http import HttpLimits, HttpServer, OnUpgrade
from deployd.transport.sockets.descriptors import KEPT, LAST, is_scarce
from deployd.transport.sockets.listener import (
    EXHAUSTED_PAUSE,
    OVERFLOW,
    ListenerLimits,
    ListenerStatistics,
    Serve,
)
from support.raw import ask, connect, everything

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost:2403\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
OPEN = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = b"hello to GET"


def nobody(_: UpgradeRequest) -> Refusal | None:
    return Refusal(403, "Not today.")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"hello to {scope['method']}")(scope, receive, send)


def asks_for_health(scope: Scope) -> bool:
    return bool(scope["path"] == "/health")


def listener_of(
    on_upgrade: OnUpgrade = nobody,
    app: ASGIApp = hello,
    limits: ListenerLimits | None = None,
    http: HttpLimits | None = None,
    serve: Serve | None = None,
) -> Listener:
    server = HttpServer(app, http, on_upgrade=on_upgrade, privileged=asks_for_health)
    return Listener("localhost", 0, serve=serve or server.serve, limits=limits)


@asynccontextmanager
async def listening(
    on_upgrade: OnUpgrade = nobody,
    app: ASGIApp = hello,
    limits: ListenerLimits | None = None,
    http: HttpLimits | None = None,
    serve: Serve | None = None,
) -> AsyncIterator[Listener]:
    listener = listener_of(on_upgrade, app, limits, http, serve)
    async with trio.open_nursery() as nursery:
        up = trio.Event()
        nursery.start_soon(listener.run, up.set)
        await up.wait()
        yield listener
        nursery.cancel_scope.cancel()


def status(response: bytes) -> int:
    assert b"\r\nConnection: close\r\n" in response
    return int(response.split(b" ", 2)[1])


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if condition():
            return
        await trio.lowlevel.checkpoint()
    pytest.fail("it never came to be")


# -- handing on ------------------------------------------------------------------------------


async def test_the_specified_health_check_reaches_the_upgrade_and_the_socket_is_its_own() -> None:
    requests: list[UpgradeRequest] = []

    def take(request: UpgradeRequest) -> None:
        requests.append(request)
        request.sock.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    async with listening(take) as listener, await connect(listener) as stream:
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        (request,) = requests
        await until(lambda: listener.statistics().open_connections == 0)
        request.sock.send(b"still open")
        assert await stream.receive_some() == b"still open"
        assert listener.statistics() == ListenerStatistics(1, 1, {}, 0)
    request.sock.send(b"after the listener too")
    assert (request.opening.key, request.rest) == ("SGVsbG8gV2ViU29ja2V0IQ==", b"")
    assert ("sec-websocket-version", "13") in request.headers
    assert request.remote == "127.0.0.1"
    assert not request.sock.getblocking()
    request.sock.close()


async def test_frames_behind_the_head_are_handed_on_with_it() -> None:
    rests: list[bytes] = []

    def take(request: UpgradeRequest) -> None:
        rests.append(request.rest)
        request.sock.close()

    async with listening(take) as listener:
        await ask(listener, UPGRADE + b"\x81\x80abcd")
        await ask(listener, OPEN + UPGRADE + b"\x81\x80abcd")
    assert rests == [b"\x81\x80abcd"] * 2


@pytest.mark.parametrize("option", [True, False])
async def test_small_messages_leave_at_once_by_option(*, option: bool) -> None:
    seen: list[int] = []

    def take(request: UpgradeRequest) -> None:
        seen.append(request.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        request.sock.close()

    async with listening(take, limits=ListenerLimits(tcp_no_delay=option)) as listener:
        await ask(listener, UPGRADE)
    assert [bool(value) for value in seen] == [option]


async def test_everything_else_is_served_as_http() -> None:
    async with listening() as listener:
        assert (await ask(listener, GET)).endswith(HELLO)
        assert (await ask(listener, b"POST /x HTTP/1.0\r\n\r\n")).endswith(b"hello to POST")
        await until(lambda: listener.statistics().open_connections == 0)
        assert listener.statistics() == ListenerStatistics(2, 0, {}, 0)


async def test_a_head_may_come_byte_by_byte() -> None:
    async with listening() as listener, await connect(listener) as stream:
        for byte in GET:
            await stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert (await everything(stream)).endswith(HELLO)


async def test_many_clients_at_once_are_all_served() -> None:
    answers: list[bytes] = []

    async def client(listener: Listener) -> None:
        answers.append((await ask(listener, GET))[-12:])

    async with listening() as listener:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(client, listener)
        await until(lambda: listener.statistics().open_connections == 0)
        assert listener.statistics() == ListenerStatistics(200, 0, {}, 0)
    assert answers == [HELLO] * 200


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


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer who asks for health, and nobody else before the client goes."""
    if not asks_for_health(scope):
        await receive()
        await receive()
    await hello(scope, receive, send)


async def begins(
    listener: Listener, stack: AsyncExitStack, what: bytes = b"G"
) -> trio.SocketStream:
    """Connect, and send a part of a request."""
    stream = await stack.enter_async_context(await connect(listener))
    await stream.send_all(what)
    await trio.testing.wait_all_tasks_blocked()
    return stream


async def works(listener: Listener, stack: AsyncExitStack) -> trio.SocketStream:
    """Connect, and have the application busy with a request."""
    return await begins(listener, stack, OPEN)


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
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


# -- staying alive ---------------------------------------------------------------------------


async def test_a_bug_behind_an_upgrade_is_that_clients_alone() -> None:
    def crash(_: UpgradeRequest) -> None:
        raise RuntimeError("bug")

    async with listening(crash) as listener:
        with capture_logs() as logs:
            assert status(await ask(listener, UPGRADE)) == 500
        assert (await ask(listener, GET)).endswith(HELLO)
    assert [entry["log_level"] for entry in logs] == ["error"]


async def test_a_bug_behind_http_is_that_clients_alone() -> None:
    async def crash(scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery():
            raise RuntimeError("bug")

    async with listening(app=crash) as listener:
        with capture_logs() as logs:
            for _ in range(2):
                assert status(await ask(listener, OPEN)) == 500
        await until(lambda: listener.statistics().open_connections == 0)
    assert [entry["log_level"] for entry in logs] == ["error", "error"]


async def test_a_bug_of_ours_is_that_clients_alone() -> None:
    async def crash(sock: socket.socket, peer: tuple[str, int], slot: ConnectionSlot) -> str:
        async with trio.open_nursery():
            raise RuntimeError("bug")

    async with listening(serve=crash) as listener:
        with capture_logs() as logs:
            for _ in range(2):
                assert await ask(listener, b"") == b""
        await until(lambda: listener.statistics().open_connections == 0)
    assert [entry["log_level"] for entry in logs] == ["error", "error"]
    assert listener.statistics().refused == {"failed": 2}


@pytest.fixture
def take_all_files() -> Iterator[Callable[[], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))

    yield take
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connecting(listener: Listener, request: bytes) -> socket.socket:
    """Connect and send, without a task of its own: descriptors are short."""
    client = socket.socket()
    client.connect(("127.0.0.1", listener.address[1]))
    client.setblocking(False)
    client.send(request)
    return client


async def test_without_file_descriptors_health_is_answered_and_others_are_told_so(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    async with listening() as listener:
        with capture_logs() as logs:
            clients = [connecting(listener, asked) for asked in (HEALTH, UPGRADE, GET, HEALTH)]
            take_all_files()
            await trio.sleep(10 * EXHAUSTED_PAUSE)
            answers = [client.recv(1000) for client in clients]
            for client in clients:
                client.close()
        assert [int(answer[9:12]) for answer in answers] == [200, 503, 503, 200]
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "ulimit" in logs[0]["event"]


async def test_who_takes_what_was_kept_and_says_nothing_gives_it_up_to_the_next(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    async with listening() as listener:
        silent = [connecting(listener, b"") for _ in range(3 * LAST)]
        asking = connecting(listener, HEALTH)
        take_all_files()
        await trio.sleep(20 * EXHAUSTED_PAUSE)
        assert asking.recv(1000).startswith(b"HTTP/1.1 200 ")
        for client in (*silent, asking):
            client.close()


async def test_once_there_are_file_descriptors_again_all_are_let_in(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening() as listener:
        take_all_files()
        await trio.sleep(EXHAUSTED_PAUSE)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert (await ask(listener, GET)).endswith(HELLO)
        assert status(await ask(listener, UPGRADE)) == 403


async def test_the_last_descriptors_are_kept_for_those_who_ask_how_the_pod_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as listener, AsyncExitStack() as stack:
        assert (await ask(listener, GET)).endswith(HELLO)
        monkeypatch.setattr("deployd.transport.sockets.listener.is_scarce", lambda descriptor: True)
        assert status(await ask(listener, GET)) == 503
        assert status(await ask(listener, UPGRADE)) == 503
        for _ in range(2 * LAST):
            await begins(listener, stack)
        assert listener.statistics().open_connections == LAST
        assert (await ask(listener, HEALTH)).endswith(HELLO)


def test_a_quarter_of_the_descriptors_is_kept_and_a_few_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def first_scarce(limit: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
        return next(number for number in range(limit) if is_scarce(number))

    assert [first_scarce(limit) for limit in (64, 128, 1024)] == [48, 96, 1024 - KEPT]


def test_who_may_have_more_clients_than_files_is_told_how_many_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert shortage(1024 - KEPT, 1) is None
    told = shortage(10_000, 3)
    assert told is not None
    for part in ("1024 files", "some 320 connections", "30064 or more", "limits.maxConnections"):
        assert part in told
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert shortage(10_000, 3) is None


# -- starting and stopping -------------------------------------------------------------------


async def test_it_says_that_it_has_started_when_it_listens() -> None:
    listener = listener_of()
    async with trio.open_nursery() as nursery:

        def started() -> None:
            with socket.create_connection(("127.0.0.1", listener.address[1]), timeout=10):
                nursery.cancel_scope.cancel()

        nursery.start_soon(listener.run, started)
    assert nursery.cancel_scope.cancelled_caught


async def run_once(listener: Listener) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run, lambda: None)
        assert (await ask(listener, GET)).endswith(HELLO)
        nursery.cancel_scope.cancel()


async def test_a_listener_that_runs_again_keeps_its_port() -> None:
    listener = listener_of()
    listener.open()
    host, port = listener.address
    await run_once(listener)
    with pytest.raises(OSError, match="all attempts"):
        await connect(listener)
    listener.open()
    await run_once(listener)
    assert listener.address == (host, port)
    assert listener.statistics().accepted == 2


async def test_stopping_closes_the_port_first_and_lets_http_end_within_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    go_on = trio.Event()

    async def linger(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        with pytest.raises(OSError, match="all attempts"):
            await connect(listener)
        await trio.sleep(0.5)
        await hello(scope, receive, send)

    async with AsyncExitStack() as clients:
        async with listening(app=linger, limits=ListenerLimits(grace=3)) as listener:
            working = await works(listener, clients)
            waiting = await begins(listener, clients, GET[:5])
            silent = await begins(listener, clients, b"")
            start = trio.current_time()
            # The listener stops here, and says so to those who have begun to ask.
            trio.lowlevel.spawn_system_task(_set_later, go_on)
        assert 0.5 <= trio.current_time() - start < 3
        answer = await everything(working)
        assert answer.endswith(HELLO)
        assert b"\r\nconnection: close\r\n" in answer
        assert status(await everything(waiting)) == 503
        assert status(await everything(silent)) == 503
        assert listener.statistics().open_connections == 0
        assert listener.statistics().refused == {"stopping": 2}


async def _set_later(event: trio.Event) -> None:
    await trio.sleep(0.01)
    event.set()


async def test_an_exchange_without_end_is_cut_off_after_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def forever(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep_forever()

    async with AsyncExitStack() as clients:
        async with listening(app=forever, limits=ListenerLimits(grace=3)) as listener:
            stream = await works(listener, clients)
            start = trio.current_time()
        assert trio.current_time() - start == pytest.approx(3)
        assert await everything(stream) == b""
        assert listener.statistics().open_connections == 0


# -- binding ---------------------------------------------------------------------------------


def test_localhost_is_the_loopback_address() -> None:
    with bind("localhost", 0, 1) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert not sock.getblocking()


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_will_do(host: str) -> None:
    try:
        sock = bind(host, 0, 1)
    except ListenError:
        pytest.skip("this machine has no IPv6")
    with sock:
        assert sock.family is socket.AF_INET6


def test_a_port_in_use_is_said_so_with_the_remedy() -> None:
    with bind("localhost", 0, 1) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"localhost:{port}: the port is in use.*--port"):
            bind("localhost", port, 1)


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("localhost", 65536, "--port from 1 to 65535"),
        ("localhost", -1, "--port from 1 to 65535"),
        ("203.0.113.77", 0, "--host"),
        ("no such host", 0, "--host"),
        ("a" * 300, 0, "--host"),
        ("\0", 0, "--host"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_the_remedy(
    host: str, port: int, told: str
) -> None:
    with pytest.raises(ListenError, match=told):
        bind(host, port, 1)


async def test_who_has_to_stand_still_hears_why_when_its_request_comes_late() -> None:
    async with (
        listening(app=busy, limits=ListenerLimits(max_connections=1)) as listener,
        AsyncExitStack() as stack,
    ):
        await works(listener, stack)
        second = await begins(listener, stack, b"")
        await second.send_all(GET)
        assert status(await everything(second)) == 503


async def test_those_who_stand_are_bounded_and_give_way_to_who_comes() -> None:
    async with (
        listening(app=busy, limits=ListenerLimits(max_connections=1)) as listener,
        AsyncExitStack() as stack,
    ):
        await works(listener, stack)
        overflow = [await begins(listener, stack, b"") for _ in range(OVERFLOW)]
        assert listener.statistics().open_connections == 1 + OVERFLOW
        await begins(listener, stack, b"")
        assert status(await everything(overflow[0])) == 503
        assert listener.statistics().open_connections == 1 + OVERFLOW
        assert (await ask(listener, HEALTH)).endswith(HELLO)


async def test_who_was_let_in_by_the_kernel_when_we_stopped_is_told_to_come_again() -> None:
    async with AsyncExitStack() as stack:
        async with listening() as listener:
            # Connected, and not accepted: nothing runs between these and the end of the block.
            socks = [socket.create_connection(listener.address) for _ in range(5)]
            for sock in socks:
                stack.callback(sock.close)
                sock.sendall(GET)
        answers = [await trio.to_thread.run_sync(sock.recv, 4096) for sock in socks]
    assert [status(answer) for answer in answers] == [503] * 5
    assert listener.statistics().refused["stopping"] == 5
