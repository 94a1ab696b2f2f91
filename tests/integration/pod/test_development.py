"""What `--dev` opens without a key, and for whom: every privilege, tried in every way from afar."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
from attrs import evolve
from websockets.frames import Frame, Opcode

from deployd.config import Config, MetricsSettings
from deployd.supervisors import Pod, open_pod
from support import KEYS
from support.certificates import issued
from support.collections import collections_config, write_collection
from support.proxies import forwarder, haproxy, nginx
from support.signs import SIGNS

Fields = Sequence[tuple[str, str]]
JSON: Final = ("Content-Type", "application/json")
KEY: Final = ("X-Master-Key", KEYS.master_key)

STRESS: Final = "/_admin/test/websocket/stress"
TEST: Final = b'{"connections":1,"messagesPerSecond":1,"duration":1,"rooms":1}'
PRIVILEGES: Final = {
    "actors": ("GET", "/_dashboard/api/actors", b""),
    "realtime": ("GET", "/_dashboard/api/metrics/realtime", b""),
    "detailed": ("GET", "/_dashboard/api/metrics/detailed", b""),
    "health": ("GET", "/_dashboard/api/realtime/broker/health", b""),
    "connections": ("GET", "/_dashboard/api/realtime/connections", b""),
    "metrics": ("GET", "/metrics", b""),
    "tests": ("GET", STRESS, b""),
    "test": ("GET", f"{STRESS}/x", b""),
    "stop": ("DELETE", f"{STRESS}/x", b""),
    "start": ("POST", STRESS, TEST),
    "create": ("POST", "/fresh", b"{}"),
    "watch": ("WS", "_dashboard", b""),
}
"""What a developer may do without a key; `test` and `stop` are answered 404 by who lets them in."""


async def speak(port: int, data: bytes, until: tuple[bytes, ...]) -> bytes:
    """Send bytes and read until something is in what comes, or the pod closes."""
    heard = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.fail_after(20):
            await stream.send_all(data)
            while not any(part in heard for part in until):
                chunk = await stream.receive_some()
                if not chunk:
                    break
                heard += chunk
    return heard


def head(line: str, pod: Pod, fields: Fields) -> bytes:
    hosts = [] if any(name == "Host" for name, _ in fields) else [("Host", f"localhost:{pod.port}")]
    lines = [f"{name}: {value}" for name, value in (*hosts, *fields)]
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


async def ask(
    pod: Pod,
    method: str,
    path: str,
    body: bytes,
    fields: Fields,
    version: str = "1.1",
    at: int | None = None,
) -> int:
    """Send a request with exactly these header fields, to the pod's port or another one.

    Returns the status.
    """
    own: Fields = [("Connection", "close"), *fields]
    if method in ("POST", "PUT"):
        own = [*own, ("Content-Length", str(len(body)))]
        if not any(name == "Content-Type" for name, _ in own):
            own = [*own, JSON]
    request = head(f"{method} {path} HTTP/{version}", pod, own) + body
    return int((await speak(at or pod.port, request, (b"\r\n",)))[9:12])


async def watch(pod: Pod, fields: Fields, at: int | None = None) -> int:
    """Try to watch the pod over a WebSocket, and return the status that comes nearest."""
    own = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "SGVsbG8gV2ViU29ja2V0IQ=="),
    ]
    join = Frame(Opcode.TEXT, b'{"type":"join","room":"_dashboard"}').serialize(mask=True)
    request = head("GET /socket.io/ HTTP/1.1", pod, [*own, *fields]) + join
    heard = await speak(at or pod.port, request, (b'"type":"join"', b'"type":"error"'))
    if not heard.startswith(b"HTTP/1.1 101 "):
        return int(heard[9:12])
    return 200 if b'"type":"join"' in heard else 401


async def granted(
    pod: Pod, privilege: str, fields: Fields, version: str = "1.1", at: int | None = None
) -> bool:
    method, path, body = PRIVILEGES[privilege]
    if method == "WS":
        return await watch(pod, fields, at) == 200
    status = await ask(pod, method, path, body, fields, version, at)
    if privilege == "create":
        assert status in (200, 404, 421)
        return status == 200
    assert status in (200, 202, 401, 404, 421), (privilege, fields, status)
    return status not in (401, 421)


@asynccontextmanager
async def developing(folder: Path, config: Config | None = None) -> AsyncIterator[Pod]:
    write_collection(folder, "todos", {"properties": {}})
    config = config or collections_config(folder)
    command = (sys.executable, "-c", "")
    async with open_pod(config, keys=KEYS, dev=True, stress_command=command) as pod:
        yield pod


AFAR: Final = {
    **{sign: [(sign, "127.0.0.1")] for sign in SIGNS},
    "a rebound name": [("Host", "evil.example")],
    "a rebound name at the port": [("Host", "evil.example:{port}")],
    "its page": [("Host", "evil.example:{port}"), ("Origin", "http://evil.example:{port}")],
    "no port": [("Host", "localhost")],
    "another port": [("Host", "localhost:1")],
    "an address of the network": [("Host", "192.0.2.1:{port}")],
    "a foreign page": [("Origin", "https://evil.example")],
    "a page of nobody": [("Origin", "null")],
    "a foreign page, says the browser": [("Sec-Fetch-Site", "cross-site")],
}


@pytest.mark.parametrize("privilege", PRIVILEGES)
async def test_a_privilege_is_this_machines_and_nobody_elses(
    tmp_path: Path, privilege: str
) -> None:
    async with developing(tmp_path) as pod:
        for name, fields in AFAR.items():
            sent = [(key, value.replace("{port}", str(pod.port))) for key, value in fields]
            assert not await granted(pod, privilege, sent), name
        if PRIVILEGES[privilege][0] != "WS":
            assert not await granted(pod, privilege, [], "1.0")
        assert await granted(pod, privilege, [])


@pytest.mark.parametrize("proxy", [nginx, haproxy, forwarder])
async def test_a_proxy_of_this_machine_that_leaves_no_trace_is_known_all_the_same(
    tmp_path: Path, proxy: Callable[..., AbstractContextManager[int]]
) -> None:
    async with developing(tmp_path) as pod:
        with proxy(pod.port, tmp_path, quiet=True) as port:
            for privilege in PRIVILEGES:
                assert not await granted(pod, privilege, [], at=port), privilege
            assert await ask(pod, "GET", "/todos", b"", [], at=port) == 200
            assert await granted(pod, "actors", [])


async def test_a_browser_or_a_command_line_of_this_machine_is_a_developers_own(
    tmp_path: Path,
) -> None:
    script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).status)"
    server = f"import socket; s = socket.create_server(('127.0.0.1', 0)); {script}"
    async with developing(tmp_path) as pod:
        url = f"http://localhost:{pod.port}/_dashboard/api/actors"
        own = await trio.run_process([sys.executable, "-c", script, url], capture_stdout=True)
        assert own.stdout == b"200\n"
        other = await trio.run_process(
            [sys.executable, "-c", server, url], capture_stderr=True, check=False
        )
        assert b"HTTP Error 401" in other.stderr


@pytest.mark.parametrize("privilege", PRIVILEGES)
async def test_behind_proxies_that_are_trusted_nobody_is_of_this_machine(
    tmp_path: Path, privilege: str
) -> None:
    config = collections_config(tmp_path)
    proxied = evolve(config.server, trusted_proxies=("127.0.0.0/8",))
    async with developing(tmp_path, evolve(config, server=proxied)) as pod:
        assert not await granted(pod, privilege, [])
        assert not await granted(pod, privilege, [("X-Forwarded-For", "127.0.0.1")])


@pytest.mark.parametrize("privilege", PRIVILEGES)
async def test_without_dev_there_are_none(tmp_path: Path, privilege: str) -> None:
    write_collection(tmp_path, "todos", {"properties": {}})
    async with open_pod(collections_config(tmp_path), keys=KEYS) as pod:
        assert not await granted(pod, privilege, [])


async def test_root_makes_collections_from_anywhere_by_its_key(tmp_path: Path) -> None:
    async with developing(tmp_path) as pod:
        far = [("X-Forwarded-For", "192.0.2.1")]
        assert await ask(pod, "POST", "/fresh", b"{}", far) == 404
        assert await ask(pod, "POST", "/fresh", b"{}", [*far, KEY]) == 200


# -- what root wants done is said in JSON ------------------------------------------------------

FORMS: Final = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain; charset=application/json",
    "application/jsonp",
    "",
)
ACTS: Final = {
    "start a test": ("POST", STRESS, TEST),
    "make a user": ("POST", "/_admin/auth/create-user", b'{"userData":{}}'),
    "sign in": ("POST", "/auth/login", b'{"masterKey":"x"}'),
    "write a document": ("POST", "/todos", b"{}"),
    "change a document": ("PUT", "/todos/x", b"{}"),
    "make a collection": ("POST", "/fresh", b"{}"),
}


@pytest.mark.parametrize("act", ACTS)
async def test_whatever_root_wants_done_it_has_to_say_in_json(tmp_path: Path, act: str) -> None:
    method, path, body = ACTS[act]
    async with developing(tmp_path) as pod:
        for kind in FORMS:
            for standing in ([KEY], []):
                status = await ask(pod, method, path, body, [*standing, ("Content-Type", kind)])
                assert status in ((415,) if standing else (401, 415)), kind
        for kind in ("application/json", "Application/JSON; charset=utf-8", "application/x+json"):
            assert await ask(pod, method, path, body, [KEY, ("Content-Type", kind)]) != 415
        assert not (tmp_path / "resources" / "fresh").exists() or act == "make a collection"


# -- borrowed names ----------------------------------------------------------------------------


async def test_every_path_of_every_port_refuses_a_borrowed_name(tmp_path: Path) -> None:
    config = evolve(collections_config(tmp_path), metrics=MetricsSettings(bind="127.0.0.1:0"))
    write_collection(tmp_path, "todos", {"properties": {}})
    borrowed = [("Host", "evil.example:2403")]
    async with open_pod(config, keys=KEYS) as pod:
        for path in ("/", "/todos", "/health/live", "/dpd.js", "/_dashboard/", "/metrics", "/a.b"):
            assert await ask(pod, "GET", path, b"", borrowed) == 421
        assert await ask(pod, "POST", "/todos", b"{}", borrowed) == 421
        page = [*borrowed, ("Origin", "http://evil.example:2403")]
        assert await watch(pod, page) == 421
        assert await watch(pod, borrowed) == 401  # no browser: those say their origin
        assert await scrape(pod, borrowed) == 421


async def test_the_port_of_the_metrics_is_encrypted_by_nobody_and_has_names_of_its_own(
    tmp_path: Path,
) -> None:
    config = collections_config(
        tmp_path, metrics=MetricsSettings(bind="127.0.0.1:0"), tls=issued(tmp_path)
    )
    config = evolve(config, server=evolve(config.server, hosts=("pod.example",)))
    async with open_pod(config, keys=KEYS) as pod:
        assert await scrape(pod, [("Host", "evil.example")]) == 421
        assert await scrape(pod, [("Host", "127.0.0.1:9090")]) == 200


async def scrape(pod: Pod, fields: Fields) -> int:
    """Ask the port of the metrics for them, and return the status."""
    assert pod.metrics_port is not None
    async with await trio.open_tcp_stream("127.0.0.1", pod.metrics_port) as stream:
        await stream.send_all(head("GET /metrics HTTP/1.1", pod, fields))
        return int((await stream.receive_some())[9:12])


async def test_names_of_its_own_are_settings(tmp_path: Path) -> None:
    config = collections_config(tmp_path)
    named = evolve(config.server, hosts=("Straße.example",))
    async with developing(tmp_path, evolve(config, server=named)) as pod:
        own = [("Host", "xn--strae-oqa.example")]
        assert await ask(pod, "GET", "/todos", b"", own) == 200
        assert await ask(pod, "GET", "/todos", b"", [("Host", "evil.example")]) == 421
        assert await ask(pod, "GET", "/metrics", b"", own) == 401
