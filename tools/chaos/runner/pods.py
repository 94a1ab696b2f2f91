"""A pod as operators run it, in a process of its own, which a scenario may kill."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Final

import orjson
import trio

from ...common import ToolError
from ...common.address import ask, parse_address
from ...common.keys import known_key
from ..servers import LOCALHOST, ServerProcess, free_port

__all__ = ["RealPod", "Standing"]

ASKED: Final = 2.0
"""Seconds for a pod to say how it stands; one that sleeps does not."""
STOPPED: Final = 30.0
"""Seconds in which a pod ends that is told to."""
CHAOS: Final = "/_dashboard/api/chaos"
FEW: Final = 4
"""Descriptors that a pod has left when it has none."""

Standing = tuple[str, int]
"""The state of a pod's link, and how many others it hears."""


class RealPod:
    """A pod, over all its lives: it is always at the same address, with the same data folder."""

    def __init__(self, number: int, folder: Path, settings: Mapping[str, object]) -> None:
        self.number = number
        self.port = free_port()
        self.asleep = False
        self._folder = folder
        self._limits: tuple[int, int] | None = None
        folder.mkdir()
        (folder / "pod.json").write_bytes(orjson.dumps(settings))
        command = [sys.executable, "-P", "-m", "deployd.tools", "serve", "--host", LOCALHOST]
        self._process = ServerProcess(
            [*command, "--port", str(self.port), "--config", "pod.json", "--data", "data"],
            folder,
            lambda: self._ask("/health/live") is not None,
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOCALHOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether there is a process, awake or not."""
        return self._process.running

    @property
    def log(self) -> str:
        """What it has written."""
        return self._process.log

    async def start(self) -> None:
        """Start, and return when it answers. Raises `ServersError`."""
        await trio.to_thread.run_sync(self._process.start)

    async def kill(self) -> None:
        """`kill -9`."""
        self.asleep = False
        await trio.to_thread.run_sync(self._process.kill)

    async def stop(self) -> None:
        """SIGTERM, and return when it has ended."""
        self.wake()
        await trio.to_thread.run_sync(self._process.terminate)

    def sleep(self) -> None:
        """SIGSTOP."""
        if self.running:
            self.asleep = True
            self._process.freeze()

    def wake(self) -> None:
        """SIGCONT."""
        if self.asleep and self.running:
            self._process.thaw()
        self.asleep = False

    def starve(self) -> None:
        """Let it have no more descriptors than it has, but a few."""
        used = len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))
        self._limits = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        few = min(used + FEW, self._limits[1])
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (few, self._limits[1]))

    def feed(self) -> None:
        """Let it have as many as before."""
        if self._limits is not None and self.running:
            resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, self._limits)
        self._limits = None

    async def inject(self, fault: Mapping[str, object]) -> None:
        """Let a fault begin within it. Raises `ToolError`s."""
        await trio.to_thread.run_sync(partial(self._demand, CHAOS, method="POST", body=dict(fault)))

    async def relieve(self) -> None:
        """End all faults within it."""
        if self.running:
            await trio.to_thread.run_sync(partial(self._demand, CHAOS, method="DELETE"))

    async def standing(self) -> Standing | None:
        """Return how it stands; None where it does not say."""
        if not self.running or self.asleep:
            return None
        answer = await trio.to_thread.run_sync(
            partial(self._ask, "/_dashboard/api/pods"), abandon_on_cancel=True
        )
        return None if answer is None else read_standing(answer)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send(number)

    def _demand(self, path: str, method: str = "GET", body: object = None) -> object:
        key = known_key(self._folder / "data", {})
        address = parse_address(self.url)
        return ask(address, path, key, method=method, body=body, timeout=ASKED)

    def _ask(self, path: str) -> object:
        try:
            return self._demand(path)
        except (ToolError, OSError, HTTPException):
            return None


def read_standing(answer: object) -> Standing | None:
    """Read what a pod says of itself and of those that it hears."""
    match answer:
        case {"breaker": str(link), "pods": list(pods)}:
            return link, sum(isinstance(pod, dict) and pod.get("state") == "heard" for pod in pods)
        case _:
            return None
