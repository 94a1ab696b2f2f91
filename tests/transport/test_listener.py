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
from structlog.testing import capture_logs

from deployd.transport import AddressInUse, Listener, ListenError, Refusal, UpgradeRequest, bind
from deployd.transport.listener import (
    EXHAUSTED_PAUSE,
    ListenerLimits,
    ListenerStatistics,
    OnUpgrade,
    ServeHttp,
)
from support.raw import ask, connect, everything

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost:2403\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def nobody(_: UpgradeRequest) -> Refusal | None:
    return Refusal(403, "Not today.")


async def hello(sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
    await trio.SocketStream(sock).send_all(b"hello to " + head[:3])


@asynccontextmanager
async def listening(
    on_upgrade: OnUpgrade = nobody,
    serve_http: ServeHttp = hello,
    limits: ListenerLimits | None = None,
) -> AsyncIterator[Listener]:
    listener = Listener("localhost", 0, on_upgrade=on_upgrade, serve_http=serve_http, limits=limits)
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
        await until(lambda: listener.statistics().open_handshakes == 0)
        request.sock.send(b"still open")
        assert await stream.receive_some() == b"still open"
        assert listener.statistics() == ListenerStatistics(1, 1, {}, 0, 0)
    request.sock.send(b"after the listener too")
    assert (request.head, request.target) == (UPGRADE, "/socket.io/")
    assert ("sec-websocket-version", "13") in request.headers
    assert request.remote == "127.0.0.1"
    assert not request.sock.getblocking()
    request.sock.close()


async def test_frames_behind_the_head_are_handed_on_with_it() -> None:
    heads: list[bytes] = []

    def take(request: UpgradeRequest) -> None:
        heads.append(request.head)
        request.sock.close()

    async with listening(take) as listener:
        await ask(listener, UPGRADE + b"\x81\x80abcd")
    assert heads == [UPGRADE + b"\x81\x80abcd"]


@pytest.mark.parametrize("option", [True, False])
async def test_small_messages_leave_at_once_by_option(*, option: bool) -> None:
    seen: list[int] = []

    def take(request: UpgradeRequest) -> None:
        seen.append(request.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        request.sock.close()

    async with listening(take, limits=ListenerLimits(tcp_no_delay=option)) as listener:
        await ask(listener, UPGRADE)
    assert [bool(value) for value in seen] == [option]


async def test_everything_else_is_served_as_http_with_what_was_read() -> None:
    async with listening() as listener:
        assert await ask(listener, GET) == b"hello to GET"
        assert await ask(listener, b"POST /x HTTP/1.0\r\n\r\nbody") == b"hello to POS"
        await until(lambda: listener.statistics().open_http_connections == 0)
        assert listener.statistics() == ListenerStatistics(2, 0, {}, 0, 0)


async def test_a_head_may_come_byte_by_byte() -> None:
    async with listening() as listener, await connect(listener) as stream:
        for byte in GET:
            await stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert await everything(stream) == b"hello to GET"


async def test_many_clients_at_once_are_all_served() -> None:
    answers: list[bytes] = []

    async def client(listener: Listener) -> None:
        answers.append(await ask(listener, GET))

    async with listening() as listener:
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(client, listener)
        await until(lambda: listener.statistics().open_http_connections == 0)
        assert listener.statistics() == ListenerStatistics(200, 0, {}, 0, 0)
    assert answers == [b"hello to GET"] * 200


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
        await until(lambda: listener.statistics().open_handshakes == 0)
        assert listener.statistics() == ListenerStatistics(1, 0, {reason: 1}, 0, 0)


async def test_a_slow_request_is_given_up_at_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with listening(limits=ListenerLimits(handshake_timeout=10)) as listener:
        start = trio.current_time()
        async with await connect(listener) as slow, trio.open_nursery() as nursery:

            async def trickle() -> None:
                for byte in itertools.cycle(b"X-Header: 1\r\n"):
                    await slow.send_all(bytes([byte]))
                    await trio.sleep(0.5)

            await slow.send_all(GET[:-2])
            nursery.start_soon(trickle)
            await trio.sleep(5)
            assert await ask(listener, GET) == b"hello to GET"  # nobody else waits
            assert status(await slow.receive_some()) == 408
            assert trio.current_time() - start == pytest.approx(10)
            nursery.cancel_scope.cancel()
        await until(lambda: listener.statistics().open_handshakes == 0)
        assert listener.statistics().refused == {"request_timeout": 1}


async def test_a_refused_client_that_stays_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with listening() as listener, await connect(listener) as stream:
        await stream.send_all(b"nonsense\r\n\r\n")
        assert status(await everything(stream)) == 400
        assert listener.statistics().open_handshakes == 1
        await trio.sleep(2)
        assert listener.statistics().open_handshakes == 0


async def test_a_client_that_goes_before_its_request_is_whole_is_counted() -> None:
    async with listening() as listener:
        async with await connect(listener) as stream:
            await stream.send_all(GET[:10])
        async with await connect(listener) as stream:
            await until(lambda: listener.statistics().open_handshakes == 1)
            reset_on_close = b"\x01\0\0\0\0\0\0\0"
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        await until(lambda: listener.statistics().refused.get("gone") == 2)
        assert await ask(listener, GET) == b"hello to GET"


async def test_too_many_unfinished_requests_are_turned_away_at_once() -> None:
    async with listening(limits=ListenerLimits(max_handshakes=2)) as listener:
        async with await connect(listener) as first, await connect(listener):
            await until(lambda: listener.statistics().open_handshakes == 2)
            response = await ask(listener, b"")
            assert status(response) == 503
            assert b"\r\nRetry-After: " in response
            await first.send_all(GET)
            assert await everything(first) == b"hello to GET"
        await until(lambda: listener.statistics().open_handshakes == 0)
        assert await ask(listener, GET) == b"hello to GET"
        assert listener.statistics().refused == {"overload": 1, "gone": 1}


async def test_http_connections_are_bounded_on_their_own() -> None:
    release = trio.Event()

    async def wait(sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        await release.wait()

    limits = ListenerLimits(max_http_connections=1)
    async with (
        listening(serve_http=wait, limits=limits) as listener,
        await connect(listener) as stream,
    ):
        await stream.send_all(GET)
        await until(lambda: listener.statistics().open_http_connections == 1)
        assert status(await ask(listener, GET)) == 503
        assert status(await ask(listener, UPGRADE)) == 403  # WebSockets are not concerned
        release.set()
        assert await everything(stream) == b""


# -- staying alive ---------------------------------------------------------------------------


async def test_a_bug_behind_an_upgrade_is_that_clients_alone() -> None:
    def crash(_: UpgradeRequest) -> None:
        raise RuntimeError("bug")

    async with listening(crash) as listener:
        with capture_logs() as logs:
            assert status(await ask(listener, UPGRADE)) == 500
        assert await ask(listener, GET) == b"hello to GET"
    assert [entry["log_level"] for entry in logs] == ["error"]


async def test_a_bug_behind_http_is_that_clients_alone() -> None:
    async def crash(sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        async with trio.open_nursery():
            raise RuntimeError("bug")

    async with listening(serve_http=crash) as listener:
        with capture_logs() as logs:
            for _ in range(2):
                assert await ask(listener, GET) == b""
        await until(lambda: listener.statistics().open_http_connections == 0)
    assert [entry["log_level"] for entry in logs] == ["error", "error"]


@pytest.fixture
def take_all_files() -> Iterator[Callable[[], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))

    yield take
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_file_descriptors_clients_wait_and_the_log_says_so_once(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening() as listener:
        with socket.socket() as client, capture_logs() as logs:
            client.connect(("127.0.0.1", listener.address[1]))
            client.setblocking(False)
            client.send(GET)
            take_all_files()
            await trio.sleep(10 * EXHAUSTED_PAUSE)
            assert listener.statistics().accepted == 0
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            await trio.sleep(2 * EXHAUSTED_PAUSE)
            assert listener.statistics().accepted == 1
            assert client.recv(100) == b"hello to GET"
    assert len(logs) == 1
    assert "ulimit" in logs[0]["event"]


# -- starting and stopping -------------------------------------------------------------------


async def test_it_says_that_it_has_started_when_it_listens() -> None:
    listener = Listener("localhost", 0, on_upgrade=nobody, serve_http=hello)
    async with trio.open_nursery() as nursery:

        def started() -> None:
            with socket.create_connection(("127.0.0.1", listener.address[1]), timeout=10):
                nursery.cancel_scope.cancel()

        nursery.start_soon(listener.run, started)
    assert nursery.cancel_scope.cancelled_caught


async def run_once(listener: Listener) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run, lambda: None)
        assert await ask(listener, GET) == b"hello to GET"
        nursery.cancel_scope.cancel()


async def test_a_listener_that_runs_again_keeps_its_port() -> None:
    listener = Listener("localhost", 0, on_upgrade=nobody, serve_http=hello)
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
    async def linger(sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        await stopping.wait()
        with pytest.raises(OSError, match="all attempts"):
            await connect(listener)
        await trio.sleep(0.5)
        await sock.send(b"done")

    async with AsyncExitStack() as clients:
        async with listening(serve_http=linger, limits=ListenerLimits(grace=1)) as listener:
            working = await clients.enter_async_context(await connect(listener))
            waiting = await clients.enter_async_context(await connect(listener))
            await working.send_all(GET)
            await waiting.send_all(GET[:5])
            await until(lambda: listener.statistics().open_http_connections == 1)
            await until(lambda: listener.statistics().open_handshakes == 1)
            start = trio.current_time()
        assert trio.current_time() - start == pytest.approx(0.5)
        assert await everything(working) == b"done"
        assert await everything(waiting) == b""
        assert listener.statistics().open_handshakes == 0


async def test_an_exchange_without_end_is_cut_off_after_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def forever(sock: trio.socket.SocketType, head: bytes, stopping: trio.Event) -> None:
        await trio.sleep_forever()

    async with AsyncExitStack() as clients:
        async with listening(serve_http=forever, limits=ListenerLimits(grace=3)) as listener:
            stream = await clients.enter_async_context(await connect(listener))
            await stream.send_all(GET)
            await until(lambda: listener.statistics().open_http_connections == 1)
            start = trio.current_time()
        assert trio.current_time() - start == pytest.approx(3)
        assert await everything(stream) == b""
        assert listener.statistics().open_http_connections == 0


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


async def test_who_is_turned_away_unread_still_hears_why_when_its_request_comes_late() -> None:
    limits = ListenerLimits(max_handshakes=1)
    async with (
        listening(limits=limits) as listener,
        await connect(listener),
        await connect(listener) as second,
    ):
        await until(lambda: bool(listener.statistics().refused.get("overload")))
        await second.send_all(GET)
        assert status(await everything(second)) == 503


async def test_those_who_stay_to_hear_that_there_is_no_room_are_bounded() -> None:
    limits = ListenerLimits(max_handshakes=1, max_turned_away=1)
    async with listening(limits=limits) as listener, AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(await connect(listener))
        await until(lambda: listener.statistics().refused.get("overload") == 3)
        assert listener._turned_away == 1


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
