"""One server's process: what waiting for it comes to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from deployd.tools.chaos.servers import ServerProcess, ServersError


class Booting:
    """A server that boots for ever; `asked` is set when somebody waits for it."""

    def __init__(self, folder: Path) -> None:
        self.asked = threading.Event()
        self.server = ServerProcess(["sleep", "600"], folder, self.answers)

    def answers(self) -> bool:
        self.asked.set()
        return False


@pytest.fixture
def booting(tmp_path: Path) -> Iterator[Booting]:
    booting = Booting(tmp_path)
    yield booting
    booting.server.remove()


@pytest.mark.parametrize("again", [False, True])
async def test_who_waits_for_a_server_that_is_killed_as_it_boots_is_let_go(
    booting: Booting, again: bool
) -> None:
    server = booting.server
    server.spawn()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, server.wait)
            await trio.to_thread.run_sync(booting.asked.wait)
            server.kill()
            if again:
                server.spawn()
    assert server.running is again


def test_who_comes_to_wait_for_one_that_was_killed_already_is_let_go(booting: Booting) -> None:
    booting.server.spawn()
    booting.server.kill()
    booting.server.wait()


def test_one_that_ends_by_itself_does_not_start(tmp_path: Path) -> None:
    server = ServerProcess(["sh", "-c", "echo no disk; exit 1"], tmp_path, lambda: False)
    server.spawn()
    with pytest.raises(ServersError, match=r"sh does not start.*\nno disk"):
        server.wait()
