"""Every endpoint and flag for operators that the specification names answers as it says.

What `LOG_LEVEL` and `REALTIME_DEBUG` do to a real process stands in
tests/tools/test_serve_process.py, every setting of its examples in tests/config/test_specified.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from deployd.config import Config, DrainSettings, load
from deployd.supervisors import open_pod
from support import KEYS

ROOT = {"X-Master-Key": KEYS.master_key}


def settings(folder: Path, **environ: str) -> Config:
    """Return what a pod in this folder is configured to by these variables."""
    config = load(None, environ=environ).config
    server = evolve(config.server, port=0, data=str(folder), public=str(folder / "public"))
    collections = evolve(config.collections, folder=str(folder / "resources"))
    drain = DrainSettings(window=0.0, deadline=5.0)
    return evolve(config, server=server, collections=collections, drain=drain)


async def answers(config: Config, *requests: tuple[str, str, Any], dev: bool = True) -> list[Any]:
    """Send requests as the specification's bare `curl` lines do, and return the answers."""
    found = []
    async with (
        open_pod(config, keys=KEYS, dev=dev) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
    ):
        for method, path, body in requests:
            found.append(await client.request(method, path, json=body))
    return found


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/_dashboard/api/metrics/detailed", ["connections", "messages", "rooms", "links"]),
        ("/_dashboard/api/metrics/realtime", ["connections", "messages", "rooms", "links"]),
        ("/_dashboard/api/realtime/connections", ["total", "connections"]),
        ("/_dashboard/api/realtime/broker/health", ["links"]),
    ],
)
async def test_diagnostics_answer_to_bare_curl_lines_in_development(
    tmp_path: Path, path: str, keys: list[str]
) -> None:
    [answer] = await answers(settings(tmp_path), ("GET", path, None))
    assert answer.status_code == 200
    assert [key for key in keys if key not in answer.json()] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/self-test.html", "text/html"),
        ("/_dashboard/", "text/html"),
        ("/dpd.js", "text/javascript"),
        ("/collections", "application/json"),
    ],
)
async def test_pages_are_where_they_are_named(tmp_path: Path, path: str, kind: str) -> None:
    [answer] = await answers(settings(tmp_path), ("GET", path, None), dev=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


async def test_the_health_check_of_the_websocket_is_answered_with_an_upgrade(
    tmp_path: Path,
) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "SGVsbG8gV2ViU29ja2V0IQ==",
        "Sec-WebSocket-Version": "13",
    }
    async with (
        open_pod(settings(tmp_path), keys=KEYS) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
        client.stream("GET", "/socket.io/", headers=headers) as answer,
    ):
        assert answer.status_code == 101
        assert answer.headers["sec-websocket-accept"]


async def test_in_development_a_stress_test_is_started_without_a_key(
    tmp_path: Path,
) -> None:
    wanted = {"connections": 1000, "messagesPerSecond": 100, "duration": 300}
    command = (
        sys.executable,
        "-c",
        "",
    )  # test_stress_endpoint.py runs real ones
    async with (
        open_pod(settings(tmp_path), keys=KEYS, dev=True, stress_command=command) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
    ):
        answer = await client.post(
            "/_admin/test/websocket/stress",
            content=json.dumps(wanted),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 202
        look = await client.get(answer.headers["location"])
        assert look.json()["id"] == answer.json()["id"]


async def test_root_signs_in_and_makes_users(tmp_path: Path) -> None:
    user = {"username": "ada", "email": "ada@example.org", "password": "correct horse"}
    async with (
        open_pod(settings(tmp_path), keys=KEYS) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
    ):
        login = await client.post("/auth/login", json={"masterKey": KEYS.master_key})
        assert login.json()["isRoot"] is True
        bearer = {"Authorization": f"Bearer {login.json()['token']}"}
        assert (await client.get("/auth/validate", headers=bearer)).json()["valid"] is True
        assert (await client.get("/auth/me", headers=bearer)).json()["isRoot"] is True
        made = await client.post("/_admin/auth/create-user", json={"userData": user}, headers=ROOT)
        assert made.status_code == 201


async def test_api_pods_take_no_websockets_and_websocket_pods_no_api(tmp_path: Path) -> None:
    page, socket = ("GET", "/collections", None), ("GET", "/socket.io/", None)
    api = settings(tmp_path, REALTIME_ENABLED="false")
    assert [a.status_code for a in await answers(api, socket, page)] == [404, 200]
    alone = settings(tmp_path, REALTIME_ENABLED="true", API_ENABLED="false")
    assert [a.status_code for a in await answers(alone, socket, page)] == [426, 404]


def test_variables_reach_the_settings_that_they_are_named_for(tmp_path: Path) -> None:
    file = tmp_path / "realtime.json"
    file.write_text('{"broker": {"type": "redis", "redis": {"password": "${REDIS_PASSWORD}"}}}')
    environ = {"REDIS_PASSWORD": "hunter2", "LOG_LEVEL": "DEBUG", "REALTIME_DEBUG": "true"}
    config = load(file, environ=environ).config
    assert config.broker.redis.password == "hunter2"
    assert config.logging.level == "DEBUG"
    assert config.logging.realtime_debug
