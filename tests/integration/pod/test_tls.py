"""A pod that encrypts by itself, seen by clients that others wrote."""

from __future__ import annotations

import json
import math
import os
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from attrs import evolve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.trio.client import ClientConnection, connect

from deployd.config import Config
from deployd.supervisors import Pod
from deployd.transport import TlsError
from deployd.transport.sockets import tls
from support import find_node, pod_config, running_pod
from support.certificates import AUTHORITY, issued, trusting
from support.raw import NEVER_READ

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
)


def encrypted(folder: Path, **limits: float) -> Config:
    """Write a certificate and its key, and return a configuration with them."""
    return evolve(pod_config(**limits), tls=issued(folder))


@asynccontextmanager
async def secure(pod: Pod) -> AsyncIterator[ClientConnection]:
    uri = f"wss://localhost:{pod.port}/socket.io/"
    async with connect(uri, ssl=trusting(), compression=None, max_size=None) as client:
        assert json.loads(await client.recv())["type"] == "connect"
        yield client


async def said(client: ClientConnection, type_: str, **fields: object) -> None:
    await client.send(json.dumps({"type": type_, **fields}))


async def heard(client: ClientConnection, type_: str) -> dict[str, object]:
    message: dict[str, object] = {}
    with trio.fail_after(20):
        while message.get("type") != type_:
            message = json.loads(await client.recv())
    return message


async def test_large_messages_go_both_ways(tmp_path: Path) -> None:
    config = encrypted(tmp_path, max_message_bytes=2**20)
    async with running_pod(config) as pod, secure(pod) as client:
        await said(client, "join", room="tea")
        await heard(client, "join")
        data = os.urandom(200_000).hex()
        await said(client, "emit", room="tea", event="said", data=data)
        assert (await heard(client, "emit"))["data"] == data
        assert [member.address for member in pod.members.values()] == ["127.0.0.1"]


async def test_pages_come_encrypted_too(tmp_path: Path) -> None:
    async with (
        running_pod(encrypted(tmp_path)) as pod,
        httpx.AsyncClient(verify=trusting(), trust_env=False) as client,
    ):
        base = f"https://localhost:{pod.port}"
        for _ in range(2):  # on one connection
            assert (await client.get(f"{base}/health/live")).json()["status"] == "live"
        assert len((await client.get(f"{base}/dpd.js")).text) > 10_000


async def test_who_speaks_plainly_or_an_old_version_does_not_get_in(tmp_path: Path) -> None:
    async with running_pod(encrypted(tmp_path)) as pod:
        stream = await trio.open_tcp_stream("127.0.0.1", pod.port)
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try:
                answer = bytes(await stream.receive_some())
            except trio.BrokenResourceError:
                answer = b""
            assert b"HTTP/1.1 200" not in answer
        old = trusting()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is the point of it
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
        async with plain:
            with pytest.raises(trio.BrokenResourceError):
                await trio.SSLStream(plain, old, server_hostname="localhost").do_handshake()
        async with secure(pod):  # the port lives on
            pass


async def test_a_stopping_pod_says_goodbye_through_the_encryption(tmp_path: Path) -> None:
    codes: list[int] = []

    async def stay(pod: Pod, task_status: trio.TaskStatus[None]) -> None:
        async with secure(pod) as client:
            task_status.started()
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            codes.append(caught.value.rcvd.code)

    async with trio.open_nursery() as nursery, running_pod(encrypted(tmp_path)) as pod:
        await nursery.start(stay, pod)
    assert codes == [1012]


async def test_who_vanishes_leaves_no_connection_and_no_descriptor(tmp_path: Path) -> None:
    async with running_pod(encrypted(tmp_path)) as pod:
        async with secure(pod):
            pass
        await _until_empty(pod)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
            stream = _over(plain)
            await stream.send_all(UPGRADE)
            await stream.receive_some()
            await trio.aclose_forcefully(stream)
        await _until_empty(pod)
        with trio.fail_after(20):
            while len(os.listdir("/proc/self/fd")) > before:
                await trio.lowlevel.checkpoint()
        assert find_node(pod.tree(), "pod/tls").restarts == 0


def _over(plain: trio.SocketStream) -> trio.SSLStream[trio.SocketStream]:
    return trio.SSLStream(plain, trusting(), server_hostname="localhost", https_compatible=True)


async def test_with_the_last_descriptors_health_is_answered_through_the_encryption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployd.transport.sockets.listener.is_scarce", lambda descriptor: True)
    health = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with running_pod(encrypted(tmp_path)) as pod:
        for asked, status in ((health, b"200"), (UPGRADE, b"503"), (health, b"200")):
            async with _over(await trio.open_tcp_stream("127.0.0.1", pod.port)) as stream:
                with trio.fail_after(20):
                    await stream.send_all(asked)
                    assert bytes(await stream.receive_some())[9:12] == status


async def test_those_who_never_finish_the_handshake_of_tls_give_way(tmp_path: Path) -> None:
    config = encrypted(tmp_path)
    config = evolve(config, limits=evolve(config.limits, max_http_connections=10))
    async with running_pod(config) as pod, AsyncExitStack() as stack:
        for sent in (b"", b"\x16\x03\x01\x02\x00"):
            for _ in range(15):
                plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
                await stack.enter_async_context(plain)
                await plain.send_all(sent)
        async with _over(await trio.open_tcp_stream("127.0.0.1", pod.port)) as stream:
            with trio.fail_after(20):
                await stream.send_all(UPGRADE)
                assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 101 ")


async def test_behind_encryption_a_client_has_its_address(tmp_path: Path) -> None:
    config = encrypted(tmp_path)
    config = evolve(config, auth=evolve(config.auth, login_attempts=2))
    asked = b"GET /_dashboard/api/actors HTTP/1.1\r\nHost: a\r\nX-Master-Key: wrong\r\n\r\n"
    async with running_pod(config) as pod:
        answers = []
        for source in ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"):
            plain = await trio.open_tcp_stream("127.0.0.1", pod.port, local_address=source)
            async with _over(plain) as stream:
                with trio.fail_after(20):
                    await stream.send_all(asked)
                    answers.append(bytes(await stream.receive_some())[9:12])
        assert answers == [b"401", b"401", b"429", b"401"]


async def test_who_finds_no_room_is_told_through_the_encryption(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    mock_clock.rate = 0.1  # who keeps the pod at work does so however slow this machine is
    config = encrypted(tmp_path)
    async with (
        running_pod(evolve(config, limits=evolve(config.limits, max_http_connections=1))) as pod,
        _over(await trio.open_tcp_stream("127.0.0.1", pod.port)) as busy,
    ):
        await busy.send_all(NEVER_READ)
        await trio.testing.wait_all_tasks_blocked()
        async with _over(await trio.open_tcp_stream("127.0.0.1", pod.port)) as stream:
            with trio.fail_after(20):
                await stream.send_all(UPGRADE)
                answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in answer


CLOSE = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True)
ENDLESS = Frame(Opcode.TEXT, b"x" * 2_000_000).serialize(mask=True)
POST = b"POST /todos HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
ENDINGS = {
    "the client closes": (UPGRADE + CLOSE, (1000).to_bytes(2, "big")),
    "a message that is too large": (UPGRADE + ENDLESS, (1009).to_bytes(2, "big")),
    "an upgrade from a foreign page": (
        UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: http://evil.example\r\n\r\n"),
        b" 403 ",
    ),
    "an upgrade to elsewhere": (UPGRADE.replace(b"/socket.io/", b"/elsewhere"), b" 404 "),
    "no request": (b"hello\r\n\r\n", b" 400 "),
    "an answer that is the last": (
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b'"status":"live"',
    ),
    "a body that is too large": (POST % 3_000_000 + b"x" * 3_000_000, b" 413 "),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_whoever_is_parted_from_hears_why_and_that_there_is_nothing_more(
    tmp_path: Path, ending: str
) -> None:
    said, answer = ENDINGS[ending]
    async with running_pod(encrypted(tmp_path)) as pod:
        # Not `https_compatible`: an end without close_notify (RFC 8446 section 6.1) is an error.
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", pod.port),
            trusting(),
            server_hostname="localhost",
        )
        heard = b""
        with trio.fail_after(20):
            await stream.send_all(said)  # all of it, however soon the pod has heard enough
            async for data in stream:
                heard += data
            assert answer in heard
            assert await stream.transport_stream.receive_some() == b""
        assert find_node(pod.tree(), "pod/tls").restarts == 0
        await trio.aclose_forcefully(stream)


async def test_who_never_stops_sending_is_heard_out_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "GOODBYE", 0.1)
    async with running_pod(encrypted(tmp_path)) as pod:
        stream = _over(await trio.open_tcp_stream("127.0.0.1", pod.port))
        with trio.fail_after(20):
            await stream.send_all(UPGRADE + ENDLESS)
            with suppress(trio.BrokenResourceError):  # the pod has closed its end
                while True:
                    await stream.send_all(b"x" * 10_000)
        await trio.aclose_forcefully(stream)


async def _until_empty(pod: Pod) -> None:
    with trio.fail_after(20):
        while pod.connections():
            await trio.lowlevel.checkpoint()


async def test_a_new_certificate_is_taken_for_new_connections(tmp_path: Path) -> None:
    async with running_pod(encrypted(tmp_path)) as pod:
        first = await _serial(pod)
        encrypted(tmp_path)
        os.utime(tmp_path / "cert.pem", (1, 1))
        assert await _serial(pod) != first
        second = await _serial(pod)
        (tmp_path / "key.pem").write_text("nonsense")
        assert await _serial(pod) == second


async def _serial(pod: Pod) -> object:
    plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
    stream = _over(plain)
    await stream.do_handshake()
    certificate = stream.getpeercert()
    await trio.aclose_forcefully(stream)
    return certificate["serialNumber"]


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        (None, "good", "Cannot read tls.certFile"),
        ("good", None, "Cannot read tls.keyFile"),
        ("nonsense", "good", "Cannot use tls.certFile"),
        ("good", "nonsense", "Cannot use tls.certFile"),
        ("good", "other", "Cannot use tls.certFile"),
    ],
)
async def test_a_certificate_that_cannot_be_used_is_a_sentence_at_the_start(
    tmp_path: Path, cert: str | None, key: str | None, words: str
) -> None:
    config = encrypted(tmp_path)
    other = AUTHORITY.issue_cert("localhost").private_key_pem.bytes()
    for name, what in (("cert.pem", cert), ("key.pem", key)):
        if what is None:
            (tmp_path / name).unlink()
        elif what != "good":
            (tmp_path / name).write_bytes(other if what == "other" else b"nonsense")
    with pytest.raises(TlsError, match=words):
        async with running_pod(config):
            raise AssertionError("it started")


async def test_who_does_not_read_is_closed_as_without_encryption(tmp_path: Path) -> None:
    config = encrypted(tmp_path, message_buffer_size=8, max_buffer_bytes=100_000)
    async with running_pod(config) as pod:
        plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf = _over(plain)
        await deaf.send_all(UPGRADE)
        await deaf.receive_some()
        async with secure(pod) as reader:
            with trio.fail_after(20):
                while not pod.meters.closed[4000]:
                    pod.hub.emit_to_all("said", "x" * 50_000)
                    await heard(reader, "emit")
            assert pod.connections() == 1
        await trio.aclose_forcefully(deaf)


async def test_who_never_takes_what_was_said_last_keeps_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK", 0.1)
    monkeypatch.setattr(tls, "LAST_WORDS", 0.1)
    config = encrypted(tmp_path, message_buffer_size=8, max_buffer_bytes=100_000)
    async with running_pod(config) as pod, secure(pod) as reader:
        before = len(os.listdir("/proc/self/fd"))
        plain = await trio.open_tcp_stream("127.0.0.1", pod.port)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf = _over(plain)
        await deaf.send_all(UPGRADE)
        await deaf.receive_some()
        with trio.fail_after(20):
            while pod.connections() > 1:
                pod.hub.emit_to_all("said", "x" * 50_000)
                await heard(reader, "emit")
            while len(os.listdir("/proc/self/fd")) > before + 1:  # the client's own
                await trio.lowlevel.checkpoint()
        assert find_node(pod.tree(), "pod/tls").restarts == 0
        await trio.aclose_forcefully(deaf)


@pytest.mark.parametrize("late", [True, False])
async def test_what_was_said_last_comes_whole_to_who_reads_late_and_waits_for_nobody_for_ever(
    tmp_path: Path, mock_clock: trio.testing.MockClock, late: bool
) -> None:
    files = issued(tmp_path)
    terminator = tls.TlsTerminator(tls.Certificate(files.cert_file, files.key_file))
    async with trio.open_nursery() as nursery:
        await nursery.start(_run, terminator)
        ours, theirs = await _connected()
        client, entered = _over(theirs), trio.Event()
        nursery.start_soon(_shake_hands, client, entered)
        inner = await terminator.handshake(ours)
        await entered.wait()
        said = _fill(inner)
        inner.close()
        mock_clock.autojump_threshold = 0
        await trio.sleep(tls.LAST_WORDS - 1 if late else tls.LAST_WORDS + 2 * tls.LOOK)
        mock_clock.autojump_threshold = math.inf
        heard = 0
        with suppress(trio.BrokenResourceError):
            while data := await client.receive_some():
                heard += len(data)
        assert (heard == said) is late
        await trio.aclose_forcefully(client)
        nursery.cancel_scope.cancel()


async def _run(terminator: tls.TlsTerminator, task_status: trio.TaskStatus[None]) -> None:
    await terminator.run(task_status.started)


async def _connected() -> tuple[socket.socket, trio.SocketStream]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stream = await trio.open_tcp_stream(*listening.getsockname())
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours, _ = listening.accept()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ours.setblocking(False)
        return ours, stream


async def _shake_hands(client: trio.SSLStream[trio.SocketStream], done: trio.Event) -> None:
    await client.do_handshake()
    done.set()


def _fill(sock: socket.socket) -> int:
    """Write as much as is taken, and return how much that was, in bytes."""
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += sock.send(b"x" * 65536)
    return written
