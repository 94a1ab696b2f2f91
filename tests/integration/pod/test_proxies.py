"""Behind real proxies: on a connection to the pod comes whatever anybody asks of them next."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import h2.connection
import h2.events
import h2.settings
import httpx
import pytest
import trio
from attrs import evolve
from websockets.trio.client import connect as open_websocket

from deployd.config import Config, ServerSettings
from support import PATIENCE, pod_config, running_pod
from support.proxies import PROXIES, haproxy

ProxyOf = Callable[[int, Path], AbstractContextManager[int]]


def behind() -> Config:
    """Return the settings of a pod that believes its proxy."""
    return evolve(
        pod_config(),
        server=ServerSettings(host="localhost", port=0, trusted_proxies=("127.0.0.1",)),
    )


@pytest.mark.parametrize("proxy", PROXIES)
async def test_requests_and_upgrades_take_turns_on_the_connections_of_a_proxy(
    proxy: ProxyOf, tmp_path: Path
) -> None:
    async with running_pod(behind()) as pod:
        with proxy(pod.port, tmp_path) as port:
            accepted = pod._listener.statistics().accepted
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                for turn in range(6):
                    for path, status in (("/health/live", 200), ("/nothing", 404)):
                        answer = await client.get(f"http://127.0.0.1:{port}{path}")
                        assert answer.status_code == status
                    big = await client.post(f"http://127.0.0.1:{port}/", content=b"x" * 100_000)
                    assert big.status_code == 405
                    async with open_websocket(f"ws://127.0.0.1:{port}/socket.io/") as websocket:
                        with trio.fail_after(PATIENCE):
                            assert '"type":"connect"' in await websocket.recv()
                            await websocket.send('{"type":"join","room":"tea"}')
                            assert '"type":"join"' in await websocket.recv()
                        assert pod.connections() == 1
                    assert pod.meters.opened == turn + 1
            # Each upgrade takes the connection that it came on, and requests share the rest.
            assert pod._listener.statistics().accepted - accepted <= 2 * 6 + 2


@pytest.mark.parametrize("proxy", PROXIES)
async def test_each_request_of_a_pooled_connection_is_its_own_clients(
    proxy: ProxyOf, tmp_path: Path
) -> None:
    async with running_pod(behind()) as pod:
        with proxy(pod.port, tmp_path) as port:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                for name in ("203.0.113.1", "203.0.113.2"):
                    headers = {"X-Forwarded-For": name}  # which the proxy puts its own word behind
                    await client.get(f"http://127.0.0.1:{port}/health/live", headers=headers)
                    async with open_websocket(
                        f"ws://127.0.0.1:{port}/socket.io/", additional_headers=headers
                    ) as websocket:
                        await websocket.recv()
                        (member,) = pod.members.values()
                        assert member.address == name


class Http2:
    """A client that speaks HTTP/2 on one connection, as Chromium does with a proxy."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._http = h2.connection.H2Connection()
        self._http.initiate_connection()
        self._flush()
        self.events: list[h2.events.Event] = []
        while not any(isinstance(e, h2.events.RemoteSettingsChanged) for e in self.events):
            self._read()

    @property
    def opens_websockets(self) -> bool:
        return bool(self._http.remote_settings.enable_connect_protocol)

    def ask(self, *headers: tuple[str, str], end: bool) -> int:
        stream = self._http.get_next_available_stream_id()
        self._http.send_headers(stream, headers, end_stream=end)
        self._flush()
        return stream

    def send(self, stream: int, data: bytes) -> None:
        self._http.send_data(stream, data)
        self._flush()

    def status(self, stream: int) -> str:
        while True:
            for event in self.events:
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    return dict(event.headers)[b":status"].decode()
            self._read()

    def received(self, stream: int, until: bytes) -> bytes:
        while True:
            of_stream = [
                event.data
                for event in self.events
                if isinstance(event, h2.events.DataReceived) and event.stream_id == stream
            ]
            if until in b"".join(of_stream):
                return b"".join(of_stream)
            self._read()

    def _read(self) -> None:
        self.events += self._http.receive_data(self._sock.recv(65536))
        self._flush()

    def _flush(self) -> None:
        self._sock.sendall(self._http.data_to_send())


def speak_http2(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        client, at = Http2(sock), f"127.0.0.1:{port}"
        assert client.opens_websockets
        for _ in range(3):
            plain = [(":method", "GET"), (":path", "/health/live"), (":scheme", "http")]
            assert client.status(client.ask(*plain, (":authority", at), end=True)) == "200"
            # RFC 8441 section 5: what HAProxy makes an upgrade of HTTP/1.1 of.
            stream = client.ask(
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/socket.io/"),
                (":authority", at),
                ("sec-websocket-version", "13"),
                end=False,
            )
            assert client.status(stream) == "200"
            client.received(stream, b'"type":"connect"')
            client.send(stream, b"\x89\x80abcd")
            client.received(stream, b"\x8a\x00")


async def test_an_upgrade_comes_from_http2_on_a_connection_that_is_in_use(tmp_path: Path) -> None:
    async with running_pod(behind()) as pod:
        with haproxy(pod.port, tmp_path, "proto h2") as port:
            await trio.to_thread.run_sync(speak_http2, port)
        assert pod.meters.opened == 3
