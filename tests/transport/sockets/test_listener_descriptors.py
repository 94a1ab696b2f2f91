"""The listener when there are no more file descriptors."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from deployd.transport import (
    Listener,
    shortage,
)
from deployd.transport.sockets.descriptors import KEPT, LAST, is_scarce
from deployd.transport.sockets.listener import (
    EXHAUSTED_PAUSE,
)
from support.listeners import GET, HEALTH, HELLO, UPGRADE, begins, listening, status
from support.raw import ask


@pytest.fixture
def take_all_files() -> Iterator[Callable[[], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def take() -> None:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))

    yield take
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connecting(listener: Listener, request: bytes) -> socket.socket:
    """Connect and send, without a task of its own: descriptors are short."""
    client = socket.socket()
    client.connect(("127.0.0.1", listener.address[1]))
    client.setblocking(False)
    client.send(request)
    return client


async def test_without_file_descriptors_health_is_answered_and_others_are_told_so(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    async with listening() as listener:
        with capture_logs() as logs:
            clients = [connecting(listener, asked) for asked in (HEALTH, UPGRADE, GET, HEALTH)]
            take_all_files()
            await trio.sleep(10 * EXHAUSTED_PAUSE)
            answers = [client.recv(1000) for client in clients]
            for client in clients:
                client.close()
        assert [int(answer[9:12]) for answer in answers] == [200, 503, 503, 200]
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "ulimit" in logs[0]["event"]


async def test_who_takes_what_was_kept_and_says_nothing_gives_it_up_to_the_next(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    async with listening() as listener:
        silent = [connecting(listener, b"") for _ in range(3 * LAST)]
        asking = connecting(listener, HEALTH)
        take_all_files()
        await trio.sleep(20 * EXHAUSTED_PAUSE)
        assert asking.recv(1000).startswith(b"HTTP/1.1 200 ")
        for client in (*silent, asking):
            client.close()


async def test_once_there_are_file_descriptors_again_all_are_let_in(
    take_all_files: Callable[[], None], autojump_clock: trio.testing.MockClock
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with listening() as listener:
        take_all_files()
        await trio.sleep(EXHAUSTED_PAUSE)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert (await ask(listener, GET)).endswith(HELLO)
        assert status(await ask(listener, UPGRADE)) == 403


async def test_the_last_descriptors_are_kept_for_those_who_ask_how_the_pod_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as listener, AsyncExitStack() as stack:
        assert (await ask(listener, GET)).endswith(HELLO)
        monkeypatch.setattr("deployd.transport.sockets.listener.is_scarce", lambda descriptor: True)
        assert status(await ask(listener, GET)) == 503
        assert status(await ask(listener, UPGRADE)) == 503
        for _ in range(2 * LAST):
            await begins(listener, stack)
        assert listener.statistics().open_connections == LAST
        assert (await ask(listener, HEALTH)).endswith(HELLO)


def test_a_quarter_of_the_descriptors_is_kept_and_a_few_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def first_scarce(limit: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
        return next(number for number in range(limit) if is_scarce(number))

    assert [first_scarce(limit) for limit in (64, 128, 1024)] == [48, 96, 1024 - KEPT]


def test_who_may_have_more_clients_than_files_is_told_how_many_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert shortage(1024 - KEPT, 1) is None
    told = shortage(10_000, 3)
    assert told is not None
    for part in ("1024 files", "some 320 connections", "30064 or more", "limits.maxConnections"):
        assert part in told
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert shortage(10_000, 3) is None
