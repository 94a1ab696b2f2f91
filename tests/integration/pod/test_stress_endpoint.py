"""A pod that root puts under load over HTTP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.config import Config, StressSettings
from deployd.supervisors import Pod, open_pod
from support import KEYS, connected, pod_config
from support.certificates import issued, trusting

ROOT = {"X-Master-Key": KEYS.master_key}
PATH = "/_admin/test/websocket/stress"
COMMAND = (sys.executable, "-m", "deployd.tools", "stress")
SMALL = {"connections": 5, "messagesPerSecond": 20, "duration": 1, "rooms": 1}


@asynccontextmanager
async def open_to_tests(
    config: Config | None = None, command: tuple[str, ...] | None = COMMAND, *, dev: bool = False
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    config = config or pod_config()
    async with (
        open_pod(config, keys=KEYS, dev=dev, stress_command=command) as pod,
        httpx.AsyncClient(base_url=f"http://localhost:{pod.port}", trust_env=False) as client,
    ):
        yield pod, client


async def finished(client: httpx.AsyncClient, test_id: str) -> dict[str, Any]:
    with trio.fail_after(60):
        while True:
            answer: dict[str, Any] = (await client.get(f"{PATH}/{test_id}", headers=ROOT)).json()
            if not answer["running"]:
                return answer
            await trio.sleep(0.05)


async def test_a_test_runs_in_a_process_of_its_own_and_tells_what_it_came_to() -> None:
    async with open_to_tests() as (pod, client), connected(pod) as [watcher]:
        await watcher.ask("auth", token=pod.tokens.sign("eve", is_root=True, ttl=60))
        await watcher.join("_dashboard")
        started = await client.post(PATH, json=SMALL, headers=ROOT)
        assert started.status_code == 202
        test_id = started.json()["id"]
        assert started.headers["location"] == f"{PATH}/{test_id}"
        second = await client.post(PATH, json=SMALL, headers=ROOT)
        assert second.status_code == 409
        assert test_id in second.json()["error"]
        result = await finished(client, test_id)
        newest = (await client.get(PATH, headers=ROOT)).json()["tests"][0]
        with trio.fail_after(20):
            while (await watcher.receive()).get("event") != "stress":
                pass
    assert result["done"]
    assert (result["sent"], result["received"]) == (20, 100)
    assert newest == result
    assert result["errors"] == {}


async def test_a_test_can_be_stopped_and_the_next_started() -> None:
    async with open_to_tests() as (_, client):
        long = {**SMALL, "duration": 300}
        test_id = (await client.post(PATH, json=long, headers=ROOT)).json()["id"]
        stopped = (await client.delete(f"{PATH}/{test_id}", headers=ROOT)).json()
        assert (stopped["running"], stopped["done"]) == (False, True)
        assert (await client.post(PATH, json=SMALL, headers=ROOT)).status_code == 202


async def test_a_pod_that_stops_leaves_no_process_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    async with open_to_tests(command=(sys.executable, "-c", script)) as (_, client):
        assert (await client.post(PATH, json=SMALL, headers=ROOT)).status_code == 202
        with trio.fail_after(20):
            while not pid.exists() or not pid.read_text():  # noqa: ASYNC110 - a process has to be asked
                await trio.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"connections": 2001}, "connections be a number above 0 and of at most 2000"),
        ({"messagesPerSecond": 10_001}, "at most 10000"),
        ({"duration": 601}, "at most 600"),
        ({"duration": 0}, "above 0"),
        ({"connections": "many"}, "connections be a number"),
        ({"connections": True}, "connections be a number"),
        ({"connections": 0.4, "messagesPerSecond": 1}, "connections be a whole number"),
        ({"rooms": 2.5}, "rooms be a whole number"),
        ({"clients": 3}, "no 'clients'"),
        ({"connections": 1, "messagesPerSecond": 200}, "limits.messageRateLimit"),
    ],
)
async def test_beyond_a_limit_is_told_with_the_limit(
    wanted: Mapping[str, object], words: str
) -> None:
    async with open_to_tests() as (_, client):
        answer = await client.post(PATH, json=wanted, headers=ROOT)
        assert answer.status_code == 400
        assert words in answer.json()["error"]


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b"3"])
async def test_what_is_no_object_is_told(body: bytes) -> None:
    async with open_to_tests() as (_, client):
        kind = {"Content-Type": "application/json"}
        answer = await client.post(PATH, content=body, headers=ROOT | kind)
        assert answer.status_code == 400


async def test_only_root_may_and_in_development_this_machine_but_no_foreign_page() -> None:
    async with open_to_tests() as (_, client):
        assert (await client.post(PATH, json=SMALL)).status_code == 401
        assert (await client.get(PATH)).status_code == 401
        assert (await client.get(f"{PATH}/x")).status_code == 401
        assert (await client.delete(f"{PATH}/x")).status_code == 401
    async with open_to_tests(dev=True) as (_, client):
        foreign = {"Origin": "https://evil.example"}
        body = json.dumps(SMALL)
        assert (await client.post(PATH, content=body, headers=foreign)).status_code == 401
        kind = {"Content-Type": "application/json"}
        assert (await client.post(PATH, content=body, headers=kind)).status_code == 202


async def test_what_cannot_be_is_a_sentence() -> None:
    config = evolve(pod_config(), stress=StressSettings(enabled=False))
    async with open_to_tests(config) as (_, client):
        assert (await client.post(PATH, json=SMALL, headers=ROOT)).status_code == 403
    async with open_to_tests(command=None) as (_, client):
        answer = await client.post(PATH, json=SMALL, headers=ROOT)
        assert answer.status_code == 501
        assert "deployd stress" in answer.json()["error"]
        assert (await client.get(f"{PATH}/none", headers=ROOT)).status_code == 404


async def test_a_test_that_fails_says_so() -> None:
    async with open_to_tests(command=(sys.executable, "-c", "raise SystemExit(2)")) as (_, client):
        test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
        assert "exit 2" in (await finished(client, test_id))["error"]


async def test_a_test_that_takes_too_long_is_ended_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployd.supervisors.pod.stress.SLACK", 0.1)
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    async with open_to_tests(command=sleeping) as (_, client):
        wanted = {**SMALL, "duration": 0.1}
        test_id = (await client.post(PATH, json=wanted, headers=ROOT)).json()["id"]
        assert "longer than 0.2 s" in (await finished(client, test_id))["error"]


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_root_who_watches_hears_of_the_end_also_of_a_test_that_said_nothing() -> None:
    async with (
        open_to_tests(command=script("raise SystemExit(2)")) as (pod, client),
        connected(pod) as [watcher],
    ):
        await watcher.ask("auth", token=pod.tokens.sign("eve", is_root=True, ttl=60))
        await watcher.join("_dashboard")
        test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
        with trio.fail_after(20):
            while (heard := await watcher.receive()).get("event") != "stress":
                pass
    assert (heard["data"]["id"], heard["data"]["running"]) == (test_id, False)


async def test_a_program_that_is_not_there_is_a_sentence() -> None:
    async with open_to_tests(command=("/no/such/program",)) as (_, client):
        test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
        assert "could not be started: No such file" in (await finished(client, test_id))["error"]


async def test_the_program_gets_a_token_and_none_of_the_pods_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOYD_MASTER_KEY", "secret")
    say = "import json, os; print(json.dumps({'environment': dict(os.environ)}))"
    async with open_to_tests(command=script(say)) as (pod, client):
        test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
        environment = (await finished(client, test_id))["environment"]
        assert pod.tokens.verify(environment.pop("DEPLOYD_STRESS_TOKEN")).is_root
        assert set(environment) <= {"PATH", "LANG", "LC_CTYPE", "PYTHONPATH"}


async def test_a_line_without_end_is_not_kept() -> None:
    say = "import json; print(json.dumps({'pad': 'x' * 10**6})); print(json.dumps({'sent': 3}))"
    async with open_to_tests(command=script(say)) as (_, client):
        test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
        result = await finished(client, test_id)
        assert result["sent"] == 3
        assert "pad" not in result


async def test_the_last_ten_are_remembered_the_newest_first() -> None:
    async with open_to_tests(command=("/no/such/program",)) as (_, client):
        started = []
        for _ in range(12):
            test_id = (await client.post(PATH, json=SMALL, headers=ROOT)).json()["id"]
            await finished(client, test_id)
            started.append(test_id)
        recent = (await client.get(PATH, headers=ROOT)).json()["tests"]
        assert [test["id"] for test in recent] == started[:1:-1]
        assert (await client.get(f"{PATH}/{started[0]}", headers=ROOT)).status_code == 404


async def test_no_more_clients_are_sent_than_the_pod_takes() -> None:
    async with open_to_tests(pod_config(max_connections=3)) as (_, client):
        answer = await client.post(PATH, json=SMALL, headers=ROOT)
        assert (answer.status_code, "at most 3" in answer.json()["error"]) == (400, True)


async def test_a_pod_that_encrypts_says_how_it_is_tested(tmp_path: Path) -> None:
    config = evolve(pod_config(), tls=issued(tmp_path))
    async with (
        open_pod(config, keys=KEYS, stress_command=COMMAND) as pod,
        httpx.AsyncClient(verify=trusting(), trust_env=False) as client,
    ):
        url = f"https://localhost:{pod.port}{PATH}"
        answer = await client.post(url, json=SMALL, headers=ROOT)
        assert answer.status_code == 501
        assert "deployd stress" in answer.json()["error"]
