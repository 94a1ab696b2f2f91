"""The listener: what it hands on, how it starts and stops, and what it binds to."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from deployd.transport import (
    AddressInUse,
    ConnectionSlot,
    Listener,
    ListenError,
    UpgradeRequest,
    bind,
)
from deployd.transport.sockets.listener import (
    OVERFLOW,
    ListenerLimits,
    ListenerStatistics,
)
from support.listeners import (
    GET,
    HEALTH,
    HELLO,
    OPEN,
    UPGRADE,
    begins,
    busy,
    hello,
    listener_of,
    listening,
    status,
    until,
    works,
)
from support.raw import ask, connect, everything

# -- beginning ---------------------------------------------------------------------------------


async def test_a_listener_that_is_cancelled_as_it_begins_ends() -> None:
    listener = listener_of(lambda request: None)
    listener.open()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listener.run, lambda: None)
            nursery.cancel_scope.cancel()


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
