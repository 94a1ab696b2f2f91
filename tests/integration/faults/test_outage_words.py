"""What clients are told when the broker or the database is away: that it is so, and never why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import pytest
import trio
from attrs import evolve

from deployd.config import Config, Metrics, ReadyPolicy
from deployd.documents import StoreError, StoreUnavailable, StoreUncertain
from deployd.documents.store import database as database_module
from deployd.supervisors import Pod, open_pod
from support import running_collections, write_collection
from support.clients import KEYS, Client, connected, pod_config, until
from support.fake_broker import FakeBus
from support.joined import FAKE, well

PLANTED: Final = "hunter2@cache.example:6379"
"""What no client may ever read: an address, a password, the text of a library."""
WHO: Final = ("anonymous", "user", "root")


def headers(pod: Pod, who: str) -> dict[str, str]:
    if who == "anonymous":
        return {}
    token = pod.tokens.sign(who, ttl=60, is_root=who == "root")
    return {"Authorization": f"Bearer {token}"}


async def sign_in(pod: Pod, client: Client, who: str) -> None:
    if who != "anonymous":
        await client.send("auth", token=headers(pod, who)["Authorization"].split()[1])
        await client.expect("auth")


async def everything(client: Client) -> list[dict[str, Any]]:
    """Return all that has been said to a client so far."""
    await client.send("leave", room="nowhere", id="the end")
    heard = []
    while (message := await client.receive()).get("id") != "the end":
        heard.append(message)
    return heard


# The broker ----------------------------------------------------------------------------------

PATHS: Final = (
    "/health/live",
    "/health/ready",
    "/health/links",
    "/metrics",
    "/_dashboard/api/actors",
    "/_dashboard/api/metrics/realtime",
    "/_dashboard/api/metrics/detailed",
    "/_dashboard/api/realtime/broker/health",
    "/_dashboard/api/realtime/connections",
    "/collections",
    "/openapi.json",
    "/",
)
WHY: Final = {
    "/_dashboard/api/actors",
    "/_dashboard/api/metrics/realtime",
    "/_dashboard/api/metrics/detailed",
    "/_dashboard/api/realtime/broker/health",
}
"""Where root reads why."""


def requiring(bound: str = "") -> Config:
    broker = evolve(FAKE, ready=ReadyPolicy.REQUIRE_BROKER)
    return evolve(pod_config(), broker=broker, metrics=Metrics(bind=bound))


@pytest.mark.parametrize("refused", [False, True])
async def test_nobody_but_root_reads_over_http_why_the_broker_is_away(refused: bool) -> None:
    bus = FakeBus()
    async with open_pod(requiring("127.0.0.1:0"), keys=KEYS, broker=bus.make) as pod:
        await until(lambda: well(pod))
        await lose(pod, bus, refused)
        ports = {pod.port: PATHS, pod.metrics_port: ("/health/ready", "/health/links", "/metrics")}
        for port, paths in ports.items():
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as http:
                for who in WHO:
                    for path in paths:
                        answer = await http.get(path, headers=headers(pod, who))
                        told = secret_of(refused) in answer.text
                        assert told == (who == "root" and path in WHY), (who, path, answer.text)
                ready = await http.get("/health/ready")
                assert (ready.status_code, ready.json()["reason"]) == (503, "the broker is away")
                links = (await http.get("/health/links")).json()["links"]
                assert links[0]["state"] in ("open", "half_open")  # nor that it is the password


def secret_of(refused: bool) -> str:
    return "broker.fake.password" if refused else PLANTED


async def lose(pod: Pod, bus: FakeBus, refused: bool) -> None:
    link = pod.link
    assert link is not None
    bus.refusing = refused
    bus.kill(PLANTED)
    await until(lambda: not link.state.breaker.closed)
    if refused:
        bus.start()
        await until(lambda: link.state.breaker.state.value == "auth")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("refused", [False, True])
async def test_nobody_but_root_hears_over_websocket_why_the_broker_is_away(
    who: str, refused: bool
) -> None:
    bus = FakeBus()
    config = evolve(pod_config(), broker=FAKE)
    async with (
        open_pod(config, keys=KEYS, broker=bus.make) as pod,
        connected(pod) as [early],
    ):
        await until(lambda: well(pod))
        await everything(early)
        await sign_in(pod, early, who)
        for room in ("tea", "strict-1", "kept-1"):
            await early.join(room)
        await lose(pod, bus, refused)
        notice = await early.expect("emit", event="system:degraded")
        assert notice["data"]["code"] == "cut_off"
        assert ("detail" in notice["data"]) == (PLANTED in json.dumps(notice)) == (who == "root")
        async with connected(pod) as [late]:
            await sign_in_late(pod, late, who)
            for room in ("tea", "strict-1", "kept-1"):
                await late.send("join", room=room)
            for client in (early, late):
                await client.send("emit", event="said", data=1, id="everyone")
                for room in ("tea", "strict-1", "kept-1", "elsewhere"):
                    await client.send("emit", event="said", data=1, id=room, room=room)
            for client in (early, late):
                heard = json.dumps(await everything(client))
                assert "cut_off" in heard
                for secret in (PLANTED, "fake:1", "broker.fake"):
                    assert secret not in heard


async def sign_in_late(pod: Pod, client: Client, who: str) -> None:
    notice = await client.expect("emit", event="system:degraded")
    assert notice["data"]["code"] in ("starting", "cut_off")
    assert "detail" not in notice["data"]
    await sign_in(pod, client, who)


async def test_before_the_first_connection_clients_are_told_so_and_not_where_to() -> None:
    bus = FakeBus()
    bus.freeze()
    async with (
        open_pod(evolve(pod_config(), broker=FAKE), keys=KEYS, broker=bus.make) as pod,
        connected(pod) as [ann],
    ):
        notice = await ann.expect("emit", event="system:degraded")
        assert set(notice["data"]) == {"code", "reason", "since"}
        assert notice["data"]["code"] == "starting"


# The database --------------------------------------------------------------------------------

FAILURES: Final[tuple[StoreError, ...]] = (StoreUnavailable(PLANTED), StoreUncertain(PLANTED))
ASKED: Final = (
    ("GET", "/todos"),
    ("GET", "/todos/a"),
    ("GET", "/todos/count"),
    ("POST", "/todos"),
    ("PUT", "/todos/a"),
    ("DELETE", "/todos/a"),
    ("GET", "/scripted"),
    ("POST", "/scripted"),
    ("POST", "/auth/login"),
    ("GET", "/auth/me"),
    ("POST", "/_admin/auth/create-user"),
)
BODIES: Final[Mapping[str, Any]] = {
    "/auth/login": {"username": "ann", "password": "a long password"},
    "/_admin/auth/create-user": {"userData": {"username": "ann", "password": "a long password"}},
}
SCRIPT: Final = "async def run(ctx):\n    await ctx.dpd.todos.get()\n"


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_nobody_but_root_reads_why_the_database_is_away(
    tmp_path: Path, failure: StoreError, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "scripted", {}, {"get": SCRIPT, "post": SCRIPT})
    write_collection(tmp_path, "users", {"properties": {}})

    async def fail(*_: object, **__: object) -> NoReturn:
        await trio.lowlevel.checkpoint()
        raise failure

    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await http.post("/todos", json={"id": "a"})
        with monkeypatch.context() as patch:
            patch.setattr(database_module.DatabaseStore, "_run", fail)
            told = set()
            for who in WHO:
                for method, path in ASKED:
                    body = BODIES.get(path, {"n": 1}) if method in ("POST", "PUT") else None
                    answer = await http.request(method, path, json=body, headers=headers(pod, who))
                    if PLANTED in answer.text:
                        assert who == "root", (method, path, answer.text)
                        assert PLANTED not in answer.json()["error"]
                        told.add(path)
            assert {"/todos", "/todos/a", "/todos/count"} <= told
            for room in ("collection:todos", "collections"):
                await client.send("join", room=room)
            assert PLANTED not in json.dumps(await everything(client))
