"""Faults over HTTP: who may, what bad input gets, and where it is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve
from structlog.testing import capture_logs

from deployd.config import Chaos, Config
from deployd.supervisors import Pod, open_pod
from deployd.supervisors.chaos import PodFault
from support import KEYS, collections_config, connected, pod_config, write_collection
from support.clients import until

ROOT = {"X-Master-Key": KEYS.master_key}
PATH = "/_dashboard/api/chaos"
HANG = {"fault": "actor.hang", "path": "pod/everyone", "seconds": 60}


@asynccontextmanager
async def asked(
    config: Config | None = None, *, enabled: bool = True
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    config = evolve(config or pod_config(), chaos=Chaos(enabled=enabled))
    async with (
        open_pod(config, keys=KEYS) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
    ):
        yield pod, client


async def metrics(client: httpx.AsyncClient) -> dict[str, float]:
    text = (await client.get("/metrics", headers=ROOT)).text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("deployd_chaos")]
    return {name: float(value) for name, value in lines}


async def test_a_fault_begins_is_looked_at_and_ended() -> None:
    with capture_logs() as lines:
        async with asked() as (pod, client):
            begun = await client.post(PATH, json=HANG, headers=ROOT)
            assert begun.status_code == 201
            shown = begun.json()
            assert shown | {"left": 0} == {
                "id": 1,
                "struck": 0,
                "left": 0,
                "says": "actor.hang pod/everyone",
                **HANG,
            }
            assert begun.headers["location"] == f"{PATH}/1"
            listed = (await client.get(PATH, headers=ROOT)).json()
            assert [one["id"] for one in listed["faults"]] == [1]
            assert listed["kinds"]["actor.slow"]["numbers"]["delay"]["most"] == 10
            assert (await client.get(f"{PATH}/1", headers=ROOT)).json()["fault"] == "actor.hang"
            assert (await client.delete(f"{PATH}/1", headers=ROOT)).status_code == 200
            assert (await client.delete(f"{PATH}/1", headers=ROOT)).status_code == 404
            assert pod.chaos is not None
            assert pod.chaos.active() == []
    acts = [line["method"] for line in lines if line["event"] == "root acted"]
    assert acts == ["POST", "DELETE", "DELETE"]
    said = [line["event"] for line in lines if line["event"].startswith("a fault")]
    assert said == ["a fault begins", "a fault is over"]


async def test_all_are_ended_at_once() -> None:
    async with asked() as (_, client):
        for _ in range(3):
            await client.post(PATH, json=HANG, headers=ROOT)
        assert (await client.delete(PATH, headers=ROOT)).json() == {"stopped": 3}
        assert (await client.delete(PATH, headers=ROOT)).json() == {"stopped": 0}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_it_is_for_root_whether_it_is_on_or_off(method: str) -> None:
    for enabled in (True, False):
        async with asked(enabled=enabled) as (pod, client):
            for path in (PATH, f"{PATH}/1") if method != "POST" else (PATH,):
                assert (await client.request(method, path)).status_code == 401
                token = pod.tokens.sign("ann", username="ann", is_root=False, ttl=60)
                headers = {"Authorization": f"Bearer {token}"}
                assert (await client.request(method, path, headers=headers)).status_code == 403


async def test_where_it_is_off_root_is_told_how_to_have_it() -> None:
    async with asked(enabled=False) as (_, client):
        for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", PATH), ("GET", f"{PATH}/1")):
            answer = await client.request(
                method, path, headers=ROOT | {"Content-Type": "application/json"}
            )
            assert answer.status_code == 404
            assert "deployd serve --chaos" in answer.json()["error"]
        assert await metrics(client) == {"deployd_chaos_allowed": 0}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[]", "Send {"),
        (b"{", "Send {"),
        (b"", "Name a fault"),
        (b'{"fault": "actor.hagn"}', "did you mean actor.hang?"),
        (b'{"fault": "actor.hang", "path": "pod/everyon"}', "did you mean pod/everyone"),
        (b'{"self": 1, "fault": "store.fail"}', "takes no 'self'"),
    ],
)
async def test_what_is_no_fault_is_answered_with_a_sentence(body: bytes, sentence: str) -> None:
    headers = ROOT | {"Content-Type": "application/json"}
    async with asked() as (_, client):
        answer = await client.post(PATH, content=body, headers=headers)
        assert answer.status_code == 400
        assert sentence in answer.json()["error"]


async def test_faults_are_counted_and_shown_at_a_glance() -> None:
    async with asked() as (_, client):
        await client.post(PATH, json=HANG, headers=ROOT)
        await client.post(PATH, json={"fault": "actor.crash", "path": "pod/everyone"}, headers=ROOT)
        found = await metrics(client)
        assert found["deployd_chaos_allowed"] == 1
        assert found['deployd_chaos_active{fault="actor.hang"}'] == 1
        assert found['deployd_chaos_active{fault="clock.skew"}'] == 0
        assert found['deployd_chaos_struck_total{fault="actor.crash"}'] == 1
        glance = (await client.get("/_dashboard/api/metrics/realtime", headers=ROOT)).json()
        assert [one["says"] for one in glance["chaos"]] == [
            "actor.hang pod/everyone",
            "actor.crash pod/everyone 1×",
        ]


async def test_a_database_that_is_failed_answers_as_one_that_is_away(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {"properties": {"title": {"type": "string"}}})
    with capture_logs():
        async with asked(collections_config(tmp_path)) as (_, client):

            async def written() -> int:
                answer = await client.post("/todos", json={"title": "tea"}, headers=ROOT)
                return answer.status_code

            await until_ready(client)
            assert await written() in (200, 201)
            await client.post(PATH, json={"fault": "store.fail", "seconds": 60}, headers=ROOT)
            assert await written() == 503
            assert (await client.get("/todos", headers=ROOT)).status_code == 503
            await client.delete(PATH, headers=ROOT)
            assert await written() in (200, 201)


async def until_ready(client: httpx.AsyncClient) -> Any:
    for _ in range(500):
        answer = await client.get("/todos", headers=ROOT)
        if answer.status_code == 200:
            return
    raise AssertionError("never ready")


async def test_a_client_is_told_nothing_of_faults() -> None:
    async with asked() as (pod, client), connected(pod) as [one]:
        await one.join("chat")
        await client.post(
            PATH, json={"fault": "actor.crash", "path": "pod/rooms/chat"}, headers=ROOT
        )
        await until(lambda: pod.chaos is not None and pod.chaos.struck[PodFault.CRASH] == 1)
        answer = await one.ask("emit", room="chat", event="said", data=1)
        assert "chaos" not in str(answer)
