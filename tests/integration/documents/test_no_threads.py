"""A system that starts no more threads: what needs one is refused, and all else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

from support import MASTER, connected, running_collections, write_collection

SCRIPT = "def run(ctx):\n    ctx.data['seen'] = True\n"


async def test_without_a_thread_the_pod_says_so_and_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {"properties": {}})
    write_collection(tmp_path, "scripted", {"properties": {}, "noStore": True}, {"get": SCRIPT})

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with structlog.testing.capture_logs():
        async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
            await client.join("tea")
            user = {"username": "ann", "password": "a password of ann"}
            assert (await http.post("/users", json=user, headers=MASTER)).status_code == 200
            with monkeypatch.context() as short:
                short.setattr("trio._threads.start_thread_soon", refuse)
                for path in ("/health/live", "/health/ready", "/metrics", "/_dashboard/api/actors"):
                    assert (await http.get(path, headers=MASTER)).status_code == 200, path
                refused = [
                    await http.get("/todos"),
                    await http.post("/todos", json={}),
                    await http.get("/scripted"),
                    await http.post("/auth/login", json=user),
                    await http.get("/nothing-of-this-name"),
                ]
                told = [(one.status_code, "Retry-After" in one.headers) for one in refused]
                assert told == [(503, True)] * len(refused)
                await client.send("emit", room="tea", event="said", data=1)
                await client.expect("emit", data=1)
                await trio.sleep(3)  # discovery looks three times, and is not given up
            assert (await http.post("/todos", json={})).status_code == 200
            assert (await http.post("/auth/login", json=user)).status_code == 200
            write_collection(tmp_path, "later", {"properties": {}})
            with trio.fail_after(20):
                while (await http.get("/later")).status_code != 200:  # noqa: ASYNC110
                    await trio.sleep(0.1)
            assert pod.connections() == 1
