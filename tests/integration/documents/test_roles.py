"""Pods with half of their work switched off: only WebSockets, or only collections."""

from __future__ import annotations

from pathlib import Path

import httpx
from attrs import evolve

from deployd.config import Config, load
from support import (
    KEYS,
    MASTER,
    collections_config,
    connected,
    running_collections,
    running_pod,
    write_collection,
)
from support.fake_broker import FakeBus

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "SGVsbG8gV2ViU29ja2V0IQ==",
    "Sec-WebSocket-Version": "13",
}


def config_of(folder: Path, **environment: str) -> Config:
    """Return the configuration of the tests, with what the environment sets."""
    loaded = load(None, environ=environment).config
    config = collections_config(folder)
    return evolve(
        config,
        enabled=loaded.enabled,
        server=evolve(config.server, api_enabled=loaded.server.api_enabled),
    )


async def test_a_pod_without_websockets_serves_collections_and_says_so_at_the_socket(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    config = config_of(tmp_path, REALTIME_ENABLED="false")
    async with running_collections(tmp_path, config) as (_, http):
        for path, headers in (("/socket.io/", UPGRADE), ("/socket.io/", {})):
            answer = await http.get(path, headers=headers)
            assert answer.status_code == 404
            assert "switched off" in answer.json()["error"], (path, headers)
        made = (await http.post("/todos", json={"n": 1})).json()
        assert (await http.get("/todos")).json() == [made]


async def test_a_pod_without_collections_serves_websockets_and_says_so_at_each_path_of_theirs(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    config = config_of(tmp_path, API_ENABLED="false")
    async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
        for method, path in (
            ("GET", "/todos"),
            ("POST", "/todos"),
            ("PUT", "/todos/1"),
            ("DELETE", "/todos/1"),
            ("GET", "/collections"),
            ("GET", "/api/docs/openapi.json"),
        ):
            answer = await http.request(method, path, json={})
            assert answer.status_code == 404, (method, path)
            assert "no collections" in answer.json()["error"], (method, path)
            assert "API_ENABLED" in answer.json()["error"]
        await client.join("collection:todos")
        await client.join("lobby")
        await client.send("emit", room="lobby", event="hello", data=1)
        await client.expect("emit", event="hello")
        signed_in = await http.post("/auth/login", json={"masterKey": KEYS.master_key})
        token = signed_in.json()["token"]
        me = await http.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert me.json()["isRoot"] is True
        by_name = await http.post("/auth/login", json={"username": "ada", "password": "secret"})
        assert (by_name.status_code, "keeps no users" in by_name.text) == (404, True)
        assert (await http.get("/_dashboard/api/actors", headers=MASTER)).status_code == 200
    assert list((tmp_path / "data").glob("*.db*")) == []


async def test_a_joined_pod_that_only_hears_of_changes_serves_no_collections_either(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    config = config_of(tmp_path, API_ENABLED="false")
    async with running_pod(config, broker=FakeBus().make) as pod:
        assert pod.parts.tree.collections is not None  # it knows who may hear what
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{pod.port}/todos")
        assert (answer.status_code, "no collections" in answer.json()["error"]) == (404, True)
