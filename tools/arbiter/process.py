"""One pod as a child of the parent's supervisor: a process that serves, drains and comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final

import trio

from ...actors import Exit
from ...config import get_logger
from ..common import ToolError
from .outlived import PARENT
from .plan import PodPlan

__all__ = ["PodEnded", "PodProcess", "ask_pod"]

LOOKED: Final = 0.1
"""Seconds between looks at whether a pod is ready."""
ANSWERS: Final = 5.0
"""Seconds for an answer of a pod on this machine."""

_FOR_PARENTS: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What a service manager says to the process that it started, and to no other."""

_log = get_logger("serve")


class PodEnded(ToolError):
    """A pod's process has ended by itself."""


class PodProcess:
    """A pod of a plan, in a process of its own. `run` lives once; see `supervisors.Child`."""

    def __init__(self, path: str, plan: PodPlan, command: Sequence[str]) -> None:
        self.path = path
        self.plan = plan
        self._command = command
        self._process: trio.Process | None = None
        self._asked = False
        self._replaced: trio.Event | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Start it, and return when it has ended as it was asked to. Raises `PodEnded`."""
        self._asked = False
        reading, writing = os.pipe()  # closed when this process ends, however that is
        try:
            ours = {name: value for name, value in os.environ.items() if name not in _FOR_PARENTS}
            environ = {**ours, **self.plan.environ, PARENT: str(reading)}
            # A session of its own: Ctrl-C is for the parent, which lets the pods go.
            self._process = await trio.lowlevel.open_process(
                list(self._command), env=environ, pass_fds=[reading], start_new_session=True
            )
            os.close(reading)
            reading = -1
            await self._live(self._process, started)
        finally:
            await self._end()
            for end in (reading, writing):
                if end >= 0:
                    os.close(end)

    async def _live(self, process: trio.Process, started: Callable[[], None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_when_ready, started)
            code = await process.wait()
            nursery.cancel_scope.cancel()
        if not self._asked:
            raise PodEnded(f"The pod {self.plan.name} has ended with {code}.")

    async def _tell_when_ready(self, started: Callable[[], None]) -> None:
        while True:
            with suppress(OSError, HTTPException):
                status, _ = await ask_pod(self.plan.look, "/health/ready")
                if status == HTTPStatus.OK:
                    break
            await trio.sleep(LOOKED)
        started()
        if self._replaced is not None:
            self._replaced.set()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.kill()
            with trio.CancelScope(shield=True):  # it ends in milliseconds
                await process.wait()

    def request_stop(self, reason: str) -> None:
        """Let it drain and end."""
        del reason
        self._asked = True
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Do nothing: nobody monitors it."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    async def replace(self, seconds: float) -> bool:
        """Let it drain and end, and wait until its supervisor has another that is ready."""
        self._replaced = trio.Event()
        self.request_stop("replaced")
        with trio.move_on_after(seconds):
            await self._replaced.wait()
            return True
        _log.error("a pod that was replaced is not ready", pod_name=self.plan.name)
        return False


async def ask_pod(address: str, path: str) -> tuple[int, str]:
    """Get something from a pod's own address. Raises `OSError` or `HTTPException`."""
    return await trio.to_thread.run_sync(_get, address, path, abandon_on_cancel=True)


def _get(address: str, path: str) -> tuple[int, str]:
    connection = HTTPConnection(address, timeout=ANSWERS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
