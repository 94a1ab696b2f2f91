"""Who fails to come in, and what root does, leaves one line each: every way there is."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from argon2 import PasswordHasher
from attrs import evolve, frozen
from websockets.exceptions import InvalidStatus

from deployd.config import AuthSettings, Config, MetricsSettings, OriginSettings
from deployd.documents.users import Passwords
from deployd.supervisors import Pod, open_pod
from deployd.supervisors.pod import collections
from support import KEYS, collections_config, connected, write_collection
from support.certificates import issued, trusting
from support.logs import logged

ROOT: Final = {"X-Master-Key": KEYS.master_key}
SCRAPER: Final = "the-token-of-the-scrapers"
SECRET: Final = "hunter2-hunter2-hunter2"
"""What is shown wherever something wrong can be: no line may hold it."""
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
STRESS: Final = "/_admin/test/websocket/stress"
SMALL: Final = {"connections": 1, "messagesPerSecond": 1, "duration": 1, "rooms": 1}


@frozen
class World:
    pod: Pod
    http: httpx.AsyncClient


Way = Callable[[World], Awaitable[object]]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=CHEAP))


@asynccontextmanager
async def world(
    folder: Path, change: Callable[[Config], Config] = lambda config: config, *, dev: bool = False
) -> AsyncIterator[World]:
    write_collection(folder, "todos", {"properties": {}})
    config = collections_config(
        folder,
        metrics=MetricsSettings(token=SCRAPER),
        origins=OriginSettings(allowed=("https://app.example",)),
    )
    command = (sys.executable, "-c", "")
    async with open_pod(change(config), keys=KEYS, dev=dev, stress_command=command) as pod:
        base = f"http://localhost:{pod.port}"
        async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as http:
            yield World(pod, http)


def asks(method: str, path: str, status: int, **options: Any) -> Way:
    """Return a way that sends a request, and expects its answer."""

    async def way(world: World) -> None:
        answer = await world.http.request(method, path, **options)
        assert answer.status_code == status, answer.text

    return way


def connects(status: int, **headers: str) -> Way:
    """Return a way that tries to open a WebSocket, and expects to be refused."""

    async def way(world: World) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with connected(world.pod, additional_headers=headers):
                pass
        assert caught.value.response.status_code == status

    return way


def says(token: Callable[[World], str], code: str | None) -> Way:
    """Return a way that signs in over a WebSocket, and expects an error or none."""

    async def way(world: World) -> None:
        async with connected(world.pod) as [client]:
            answer = await client.ask("auth", token=token(world))
            assert (answer.get("data") or {}).get("code") == code

    return way


def expired(world: World) -> str:
    return world.pod.tokens.sign("ada", is_root=True, ttl=-3600)


async def shows_expired(world: World) -> None:
    headers = {"Authorization": f"Bearer {expired(world)}"}
    assert (await world.http.get("/todos", headers=headers)).status_code == 401


PREFLIGHT: Final = {"Access-Control-Request-Method": "PUT"}
ROUTES: Final[dict[str, tuple[str, str, Any]]] = {
    "read": ("GET", "/todos", None),
    "count": ("GET", "/todos/count", None),
    "write": ("POST", "/todos", {}),
    "change": ("PUT", "/todos/x", {}),
    "remove": ("DELETE", "/todos/x", None),
    "nothing": ("GET", "/nothing", None),
    "actors": ("GET", "/_dashboard/api/actors", None),
    "realtime": ("GET", "/_dashboard/api/metrics/realtime", None),
    "detailed": ("GET", "/_dashboard/api/metrics/detailed", None),
    "health": ("GET", "/_dashboard/api/realtime/broker/health", None),
    "connections": ("GET", "/_dashboard/api/realtime/connections", None),
    "metrics": ("GET", "/metrics", None),
    "tests": ("GET", STRESS, None),
    "start": ("POST", STRESS, SMALL),
    "look": ("GET", f"{STRESS}/x", None),
    "stop": ("DELETE", f"{STRESS}/x", None),
    "users": ("POST", "/_admin/auth/create-user", {"userData": {}}),
    "me": ("GET", "/auth/me", None),
    "validate": ("GET", "/auth/validate", None),
}
"""Every kind of route that asks who one is."""


def shows(route: str, headers: Mapping[str, str]) -> Way:
    method, path, body = ROUTES[route]
    return asks(method, path, 401, json=body, headers=dict(headers))


BEARER: Final = {"Authorization": f"Bearer {SECRET}"}
KEY: Final = {"X-Master-Key": SECRET}
FAILURES: Final[dict[str, tuple[Way, str]]] = {
    "a wrong password": (
        asks("POST", "/auth/login", 401, json={"username": "ada", "password": SECRET}),
        "sign-in failed",
    ),
    "a wrong key to sign in with": (
        asks("POST", "/auth/login", 401, json={"masterKey": SECRET}),
        "wrong master key",
    ),
    **{f"a key: {route}": (shows(route, KEY), "wrong master key") for route in ROUTES},
    **{
        f"a token: {route}": (shows(route, BEARER), "token refused")
        for route in ROUTES
        if route != "metrics"
    },
    "a token of the metrics": (shows("metrics", BEARER), "wrong metrics token"),
    "the scraper's token elsewhere": (
        shows("actors", {"Authorization": f"Bearer {SCRAPER}"}),
        "token refused",
    ),
    "a key beside the scraper's token": (
        shows("metrics", {"Authorization": f"Bearer {SCRAPER}", **KEY}),
        "wrong master key",
    ),
    "a token that has expired": (shows_expired, "token expired"),
    "a token over the WebSocket": (says(lambda _: SECRET, "bad_token"), "token refused"),
    "an expired one there": (says(expired, "expired_token"), "token expired"),
    "a page over the WebSocket": (connects(403, Origin="https://evil.example"), "origin refused"),
    "a page of nobody there": (connects(403, Origin="null"), "origin refused"),
    "a page that asks": (
        asks("OPTIONS", "/todos", 403, headers={"Origin": "https://evil.example", **PREFLIGHT}),
        "origin refused",
    ),
    "a borrowed name": (
        asks("GET", "/todos", 421, headers={"Host": "evil.example"}),
        "host refused",
    ),
    "a page under a borrowed name": (
        asks("GET", "/", 421, headers={"Host": "app.evil", "Origin": "http://app.evil"}),
        "host refused",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_every_way_to_fail_leaves_one_line_without_the_secret(
    tmp_path: Path, name: str
) -> None:
    way, event = FAILURES[name]
    with logged() as log:
        async with world(tmp_path) as here:
            await way(here)
            [line] = log.lines(component="audit")
            assert line["event"] == event
            assert line["address"] in ("127.0.0.1", "::1")
            assert line["level"] == ("info" if event == "token expired" else "warning")
            assert line["pod"] == here.pod.pod_id
            assert here.pod.meters.audited.total() == 1
    for secret in (SECRET, SCRAPER, KEYS.master_key, KEYS.jwt_secret):
        assert secret not in log.text


async def test_a_client_without_an_origin_is_told_of_where_one_is_wanted(tmp_path: Path) -> None:
    def strict(config: Config) -> Config:
        return evolve(config, origins=OriginSettings(allow_missing=False))

    with logged() as log:
        async with world(tmp_path, strict) as here:
            await connects(403)(here)
    [line] = log.lines(component="audit")
    assert (line["event"], line["origin"]) == ("origin refused", "")


async def test_a_name_is_told_with_a_sign_in_that_failed(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path) as here:
            way, _ = FAILURES["a wrong password"]
            await way(here)
    assert log.lines(component="audit", user="ada", path="/auth/login")


LIMITED: Final[dict[str, tuple[Way, Way]]] = {
    "a key": (shows("actors", KEY), asks("GET", "/todos", 429, headers=ROOT)),
    "a token": (shows("actors", BEARER), asks("GET", "/todos", 429, headers=BEARER)),
    "the metrics": (
        shows("metrics", BEARER),
        asks("GET", "/metrics", 429, headers={"Authorization": f"Bearer {SCRAPER}"}),
    ),
    "the metrics after a key": (
        shows("actors", KEY),
        asks("GET", "/metrics", 429, headers={"Authorization": f"Bearer {SCRAPER}"}),
    ),
    "signing in": (
        FAILURES["a wrong key to sign in with"][0],
        asks("POST", "/auth/login", 429, json={"masterKey": KEYS.master_key}),
    ),
}


@pytest.mark.parametrize("name", LIMITED)
async def test_every_secret_that_can_be_guessed_is_not_even_looked_at_after_too_many(
    tmp_path: Path, name: str
) -> None:
    def impatient(config: Config) -> Config:
        return evolve(config, auth=AuthSettings(login_attempts=1))

    wrong, right = LIMITED[name]
    with logged() as log:
        async with world(tmp_path, impatient) as here:
            await wrong(here)
            await right(here)
            assert here.pod.meters.rate_limited.total() == 1
            token = here.pod.tokens.sign("root", is_root=True, ttl=60)
            signed = {"Authorization": f"Bearer {token}"}
            await asks("GET", "/metrics", 200, headers=signed)(here)  # it cannot be guessed
    events = [line["event"] for line in log.lines(component="audit")]
    assert events[1:] == ["too many guesses"]


async def test_the_scraper_reads_the_metrics_and_leaves_no_line(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path) as here:
            headers = {"Authorization": f"Bearer {SCRAPER}"}
            for _ in range(30):
                await asks("GET", "/metrics", 200, headers=headers)(here)
    assert not log.lines(component="audit")


# -- what root does ----------------------------------------------------------------------------


def as_root(method: str, path: str, body: object = None) -> Way:
    async def way(world: World) -> None:
        await world.http.request(method, path, json=body, headers=ROOT)

    return way


ACTS: Final[dict[str, tuple[Way, str, str]]] = {
    **{
        f"by key: {route}": (as_root(*ROUTES[route]), "root acted", "root")
        for route in ROUTES
        if ROUTES[route][0] != "GET"
    },
    "signs in": (
        asks("POST", "/auth/login", 200, json={"masterKey": KEYS.master_key}),
        "root signed in",
        "root",
    ),
    "signs in over the WebSocket": (
        says(lambda w: w.pod.tokens.sign("eve", is_root=True, ttl=60), None),
        "root signed in",
        "eve",
    ),
}


@pytest.mark.parametrize("name", ACTS)
async def test_what_root_does_leaves_one_line(tmp_path: Path, name: str) -> None:
    way, event, user = ACTS[name]
    with logged() as log:
        async with world(tmp_path) as here:
            await way(here)
    [line] = log.lines(component="audit")
    assert (line["event"], line["user"], line["level"]) == (event, user, "info")
    assert KEYS.master_key not in log.text


async def test_a_user_who_is_root_leaves_lines_and_another_none(tmp_path: Path) -> None:
    async def sign_in(http: httpx.AsyncClient, name: str) -> dict[str, str]:
        user = {"username": name, "password": SECRET}
        answer = (await http.post("/auth/login", json=user)).json()
        return {"Authorization": f"Bearer {answer['token']}"}

    with logged() as log:
        async with world(tmp_path) as here:
            for name, role in (("ada", "user"), ("eve", "admin")):
                data = {"userData": {"username": name, "password": SECRET, "role": role}}
                await here.http.post("/_admin/auth/create-user", json=data, headers=ROOT)
            seen = len(log.lines(component="audit"))
            for name in ("ada", "eve"):
                headers = await sign_in(here.http, name)
                await here.http.post("/todos", json={}, headers=headers)
            told = log.lines(component="audit")[seen:]
    assert [line["event"] for line in told] == ["root signed in", "root acted"]
    assert len({line["user"] for line in told}) == 1
    assert SECRET not in log.text


async def test_looking_leaves_none(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path) as here:
            for method, path, _ in ROUTES.values():
                if method == "GET":
                    await as_root("GET", path)(here)
    assert not log.lines(component="audit")


async def test_a_developer_in_roots_place_leaves_a_line(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path, dev=True) as here:
            await asks("POST", STRESS, 202, json=SMALL)(here)
    [line] = log.lines(component="audit")
    assert (line["event"], line["user"]) == ("root acted", "a developer of this machine")


async def test_over_tls_too_a_line_says_the_address_and_a_developer_is_known(
    tmp_path: Path,
) -> None:
    def encrypted(config: Config) -> Config:
        return evolve(config, tls=issued(tmp_path))

    with logged() as log:
        async with (
            world(tmp_path, encrypted, dev=True) as here,
            httpx.AsyncClient(verify=trusting(), trust_env=False) as http,
        ):
            base = f"https://localhost:{here.pod.port}"
            assert (await http.get(f"{base}/todos", headers=KEY)).status_code == 401
            assert (await http.get(f"{base}/metrics")).status_code == 200
            far = {"X-Forwarded-For": "192.0.2.1"}
            assert (await http.get(f"{base}/metrics", headers=far)).status_code == 401
    [line] = log.lines(component="audit")
    assert (line["event"], line["address"]) == ("wrong master key", "127.0.0.1")


# -- a storm -----------------------------------------------------------------------------------


async def test_a_storm_of_one_kind_is_limited_counted_and_hides_no_other(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path) as here:
            for _ in range(60):
                await here.http.get("/todos", headers=KEY)
            await FAILURES["a page that asks"][0](here)
            events = [line["event"] for line in log.lines(component="audit")]
            told = here.pod.meters.audited
            assert told["wrong_master_key"] + told["too_many_guesses"] == 60
            assert len(events) < 60
            assert events[-1] == "origin refused"
            answer = await here.http.get("/metrics", headers={"Authorization": f"Bearer {SCRAPER}"})
            assert answer.status_code == 429


async def test_what_others_write_into_a_line_is_short(tmp_path: Path) -> None:
    with logged() as log:
        async with world(tmp_path) as here:
            await connects(403, Origin="https://evil.example/" + "x" * 5000)(here)
            await here.http.get("/" + "y" * 5000, headers=KEY)
    lines = log.lines(component="audit")
    assert len(lines) == 2
    assert all(len(str(line)) < 700 for line in lines)
