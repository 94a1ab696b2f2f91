"""Each client bears its own weight: passwords, new users and queries, which few can do at once."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from argon2 import PasswordHasher
from attrs import evolve

from deployd.config import AuthSettings, Config, LimitSettings, ServerSettings
from deployd.documents.store import DatabaseStore
from deployd.documents.users import Passwords
from deployd.supervisors.pod import collections
from support import (
    MASTER,
    collections_config,
    running_collections,
    write_collection,
)
from support.clients import until

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OPEN = {"access": {"post": "anyone", "put": "anyone"}}

WAYS = {
    "a proxy names them": [{"X-Forwarded-For": f"192.0.2.{n}"} for n in (1, 1, 2)],
    "one lies": [
        {"X-Forwarded-For": f"203.0.113.{lie}, 192.0.2.{n}"} for lie, n in ((7, 1), (8, 1), (9, 2))
    ],
    "one has a /64": [
        {"X-Forwarded-For": address}
        for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    ],
}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> list[dict[str, str]]:
    """Return what two requests of a greedy client say of its address, and an honest one's."""
    return request.param  # type: ignore[no-any-return]


def behind_a_proxy(folder: Path, auth: AuthSettings | None = None, **limits: Any) -> Config:
    config = collections_config(folder, auth=auth or AuthSettings(max_hashing=8))
    server: ServerSettings = evolve(config.server, trusted_proxies=("127.0.0.1",))
    return evolve(config, server=server, limits=evolve(LimitSettings(), **limits))


class Held(PasswordHasher):
    """Hashes and checks nothing before it is let go; counts who is at work."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.at_work = 0
        self.go = threading.Event()

    def _wait(self) -> None:
        self.at_work += 1
        self.go.wait(20)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self._wait()
        return CHEAP.hash(password)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override] # noqa: A002
        self._wait()
        return CHEAP.verify(hash, password)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    hasher = Held()
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=hasher))
    try:
        yield hasher
    finally:
        hasher.go.set()


async def statuses(
    http: httpx.AsyncClient, requests: list[dict[str, Any]], found: list[int]
) -> None:
    """Send requests all at once; the statuses are found in the order in which the answers come."""

    async def send(request: dict[str, Any]) -> None:
        found.append((await http.request(**request, timeout=30)).status_code)

    async with trio.open_nursery() as nursery:
        for request in requests:
            nursery.start_soon(send, request)


def sign_up(name: str, headers: dict[str, str]) -> dict[str, Any]:
    data = {"username": name, "password": PASSWORD}
    return {"method": "POST", "url": "/users", "json": data, "headers": headers}


def sign_in(name: str, headers: dict[str, str]) -> dict[str, Any]:
    data = {"username": name, "password": "wrong one"}
    return {"method": "POST", "url": "/auth/login", "json": data, "headers": headers}


@pytest.mark.parametrize("make", [sign_up, sign_in])
async def test_one_address_cannot_take_all_places_where_passwords_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: list[dict[str, str]], make: Any
) -> None:
    write_collection(tmp_path, "users", OPEN)
    greedy = [make(f"eve-{n}", way[n % 2]) for n in range(7)]
    config = behind_a_proxy(tmp_path, AuthSettings(max_hashing=8, login_attempts=100))
    with held(monkeypatch) as hasher:
        async with running_collections(tmp_path, config) as (_, http):
            found: list[int] = []

            async with trio.open_nursery() as nursery:
                nursery.start_soon(statuses, http, greedy, found)
                # All of them have come: two are worked on, two wait, three had no place.
                await until(lambda: (hasher.at_work, found) == (2, [429] * 3))
                refused = await http.request(**make("eve", way[0]))
                hasher.go.set()
                honest = await http.request(**make("ann", way[2]))
            good = 200 if make is sign_up else 401
            assert [*found, refused.status_code].count(429) == 4
            assert (found.count(good), honest.status_code) == (4, good)


async def test_a_flood_of_new_users_holds_up_nobody_elses_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path, "users", OPEN)
    with held(monkeypatch) as hasher:
        async with running_collections(tmp_path, behind_a_proxy(tmp_path)) as (_, http):
            hasher.go.set()
            made = (await http.request(**sign_up("ann", {}))).json()
            hasher.go.clear()
            hasher.at_work = 0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(statuses, http, [sign_up(f"eve-{n}", {}) for n in range(4)], [])
                await until(lambda: hasher.at_work == 2)
                with trio.fail_after(5):
                    answer = await http.put(f"/users/{made['id']}", json={"nick": "x"})
                assert answer.status_code == 200
                hasher.go.set()


async def test_one_address_adds_so_many_users_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: list[dict[str, str]]
) -> None:
    monkeypatch.setattr(collections, "Passwords", partial(Passwords, hasher=CHEAP))
    write_collection(tmp_path, "users", OPEN)
    config = behind_a_proxy(tmp_path, AuthSettings(sign_ups=2))
    async with running_collections(tmp_path, config) as (_, http):
        told = [(await http.request(**sign_up(f"u{n}", way[n % 2]))).status_code for n in range(3)]
        assert told == [200, 200, 429]
        assert (await http.request(**sign_up("ann", way[2]))).status_code == 200
        assert (await http.request(**sign_up("root-made", {**way[0], **MASTER}))).status_code == 200


async def test_one_address_cannot_take_all_that_looks_through_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: list[dict[str, str]]
) -> None:
    write_collection(tmp_path, "notes", {"access": {"post": "anyone"}})
    config = behind_a_proxy(tmp_path, max_queries=4)
    async with running_collections(tmp_path, config) as (_, http):
        assert (await http.post("/notes", json={"text": "x"})).status_code == 200
        go, begun = trio.Event(), 0

        def slowed(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def slow(*args: Any) -> Any:
                nonlocal begun
                begun += 1
                if begun <= 2:
                    await go.wait()
                return await method(*args)

            return slow

        monkeypatch.setattr(DatabaseStore, "find", slowed(DatabaseStore.find))
        monkeypatch.setattr(DatabaseStore, "count", slowed(DatabaseStore.count))
        async with trio.open_nursery() as nursery:
            for n, url in enumerate(('/notes?text={"$regex":"x"}', "/notes/count")):
                nursery.start_soon(partial(http.get, url, headers=way[n]))
            await until(lambda: begun == 2)
            assert (await http.get("/notes", headers=way[0])).status_code == 429
            for url in ("/notes", "/notes/count"):
                assert (await http.get(url, headers=way[2])).status_code == 200
            go.set()
