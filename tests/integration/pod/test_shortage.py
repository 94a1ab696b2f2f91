"""What diagnoses a shortage does not need what is short: slots, descriptors."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.config import Config, MetricsSettings
from deployd.supervisors import Pod
from support import KEYS, PATIENCE, connected, pod_config, running_pod
from support.clients import until
from support.frames import saying
from support.raw import NEVER_READ

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
)
SLOWLY = 0.1
"""Seconds of the pod's a second: who keeps it at work does so however slow this machine is."""
ROOT = b"X-Master-Key: " + KEYS.master_key.encode() + b"\r\n"


def get(path: bytes, fields: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n"


ANSWERED = {
    "live": (get(b"/health/live"), 200),
    "ready": (get(b"/health/ready"), 200),
    "links": (get(b"/health/links"), 200),
    "metrics": (get(b"/metrics", ROOT), 200),
    "metrics of nobody": (get(b"/metrics"), 401),
    "root": (get(b"/_dashboard/api/actors", ROOT), 200),
}
REFUSED = {
    "a page": get(b"/"),
    "a wrong key": get(b"/_dashboard/api/actors", b"X-Master-Key: wrong\r\n"),
    "a collection": get(b"/todos"),
    "a WebSocket": UPGRADE,
}


async def status(port: int, request: bytes) -> int:
    """Ask by a socket of our own; the pod closes, whatever the request says."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        answer = b""
        with trio.fail_after(PATIENCE):
            async for piece in stream:
                answer += piece
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer.lower()
    return int(answer[9:12])


def slots_taken(monkeypatch: pytest.MonkeyPatch) -> Config:
    return pod_config(max_http_connections=1)


def descriptors_taken(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr("deployd.transport.sockets.listener.is_scarce", lambda descriptor: True)
    return pod_config()


@asynccontextmanager
async def short(config: Config) -> AsyncIterator[Pod]:
    """Run a pod in which somebody works for ever on the main port, if there is a slot."""
    config = evolve(config, metrics=MetricsSettings(bind="127.0.0.1:0"))
    async with (
        running_pod(config) as pod,
        await trio.open_tcp_stream("127.0.0.1", pod.port) as busy,
    ):
        await busy.send_all(NEVER_READ)
        await wait_all_tasks_blocked()
        yield pod


@pytest.mark.parametrize("shortage", [slots_taken, descriptors_taken])
async def test_whatever_is_short_health_metrics_and_root_are_answered(
    shortage: Callable[[pytest.MonkeyPatch], Config],
    monkeypatch: pytest.MonkeyPatch,
    mock_clock: MockClock,
) -> None:
    mock_clock.rate = SLOWLY
    async with short(shortage(monkeypatch)) as pod:
        got = {name: await status(pod.port, asked) for name, (asked, _) in ANSWERED.items()}
        assert got == {name: answer for name, (_, answer) in ANSWERED.items()}
        got = {name: await status(pod.port, asked) for name, asked in REFUSED.items()}
        assert got == dict.fromkeys(REFUSED, 503)
        await until(lambda: pod.refused()["overload"] == len(REFUSED))


@pytest.mark.parametrize("path", [b"/health/live", b"/health/ready", b"/metrics"])
async def test_the_other_port_answers_without_descriptors(
    path: bytes, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    mock_clock.rate = SLOWLY
    async with short(descriptors_taken(monkeypatch)) as pod:
        assert pod.metrics_port is not None
        assert await status(pod.metrics_port, get(path)) == 200


@pytest.fixture
def no_descriptors() -> Iterator[Callable[[], None]]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))

    yield take
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_with_no_descriptor_at_all_both_ports_answer_and_clients_stay(
    no_descriptors: Callable[[], None],
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = evolve(pod_config(), metrics=MetricsSettings(bind="127.0.0.1:0"))
    async with running_pod(config) as pod, connected(pod) as [client]:
        assert pod.metrics_port is not None
        asked = [
            (pod.port, get(b"/health/live"), 200),
            (pod.metrics_port, get(b"/health/ready"), 200),
            (pod.metrics_port, get(b"/metrics"), 200),
            (pod.port, get(b"/metrics", ROOT), 200),
            (pod.port, UPGRADE, 503),
        ]
        socks = [socket.socket() for _ in asked]
        for sock, (port, request, _) in zip(socks, asked, strict=True):
            sock.connect(("127.0.0.1", port))
            sock.sendall(request)
        no_descriptors()
        try:
            for sock, (_, _, answer) in zip(socks, asked, strict=True):
                with closing(sock), trio.fail_after(PATIENCE):
                    await trio.lowlevel.wait_readable(sock)
                    assert int(sock.recv(100)[9:12]) == answer
            await client.join("tea")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_pod_says_at_its_start_that_it_may_have_fewer_clients_than_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    for clients, told in ((10_000, 1), (900, 0)):
        with capture_logs() as logs:
            async with running_pod(pod_config(max_connections=clients)):
                pass
        warnings = [entry for entry in logs if entry["log_level"] == "warning"]
        assert len(warnings) == told
        assert all("limits.maxConnections" in entry["remedy"] for entry in warnings)


async def test_one_address_cannot_keep_others_or_itself_from_a_websocket() -> None:
    """Half heads, half bodies and kept connections, each as many as there are slots, and more."""
    config = pod_config(max_http_connections=20)
    said = saying("join", room="tea", id=1)
    async with running_pod(config) as pod:
        streams = []
        for request in (b"", UPGRADE[:-2], get(b"/health/live")):
            for _ in range(30):
                streams.append(await trio.open_tcp_stream("127.0.0.1", pod.port))
                await streams[-1].send_all(request)
            await wait_all_tasks_blocked()
            async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
                await stream.send_all(UPGRADE + said)
                heard = b""
                with trio.fail_after(PATIENCE):
                    while b'"type":"join"' not in heard:
                        heard += await stream.receive_some() or pytest.fail(heard.decode())
        for stream in streams:
            await trio.aclose_forcefully(stream)
