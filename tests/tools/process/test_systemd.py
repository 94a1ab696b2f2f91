"""What a service manager is told; one is played by a socket of datagrams."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from deployd.tools.process.systemd import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def told(manager: socket.socket) -> list[list[str]]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode().splitlines())
        except BlockingIOError:
            return found


def environ(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def test_it_is_told_that_the_pod_serves_reads_anew_and_stops(manager: socket.socket) -> None:
    service = ServiceManager(environ(manager))
    service.ready("serving on port 1")
    service.reloading()
    service.stopping("SIGTERM")
    ready, reloading, stopping = told(manager)
    assert ready == ["READY=1", "STATUS=serving on port 1"]
    assert reloading[0] == "RELOADING=1"
    assert reloading[1].removeprefix("MONOTONIC_USEC=").isdigit()
    assert stopping == ["STOPPING=1", "STATUS=SIGTERM"]


async def test_its_watchdog_is_fed_twice_in_its_time_as_long_as_the_loop_turns(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    service = ServiceManager(environ(manager, WATCHDOG_USEC="10000000"))
    with trio.move_on_after(21):
        await service.feed_watchdog()
    assert told(manager) == [["WATCHDOG=1"]] * 5  # at 0, 5, 10, 15 and 20 s


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-1"}, {"WATCHDOG_USEC": "a"},
             {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)  # fmt: skip
async def test_a_watchdog_that_is_not_asked_for_or_is_anothers_is_not_fed(
    manager: socket.socket, more: dict[str, str]
) -> None:
    await ServiceManager(environ(manager, **more)).feed_watchdog()
    assert told(manager) == []


@pytest.mark.parametrize("address", ["", "/no/such/socket", "@nobody-listens-here"])
def test_where_nobody_listens_nothing_fails(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}).ready("serving")
