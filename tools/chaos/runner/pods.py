"""A pod of any system, in a process of its own, which a scenario may kill."""

from __future__ import annotations

import resource
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import trio

from ..servers import LOCALHOST, ServerProcess
from ..targets import BenchTarget, PodPost, PodStanding

__all__ = ["WITHIN", "RealPod"]

STOPPED: Final = 30.0
"""Seconds in which a pod ends that is told to."""
WITHIN: Final = 300.0
"""Seconds after which a fault within a pod ends by itself, if nobody has ended it."""
FEW: Final = 4
"""Descriptors that a pod has left when it has none."""


class RealPod:
    """A pod, over all its lives: it is always at the same address, with the same data folder."""

    def __init__(self, target: BenchTarget, post: PodPost) -> None:
        self.number = post.number
        self.asleep = False
        self._ahead = self._born_ahead = 0.0
        self._target = target
        self._post = post
        self._limits: tuple[int, int] | None = None
        post.folder.mkdir()
        self._process = ServerProcess(
            target.command(post), post.folder, partial(target.answers, post)
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOCALHOST}:{self._post.port}"

    @property
    def running(self) -> bool:
        """Whether there is a process, awake or not."""
        return self._process.running

    @property
    def pid(self) -> int:
        """The id of its process. Raises `NotObeyed` where there is none."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written."""
        return self._process.log

    def ahead(self) -> float:
        """Return the seconds by which its clock is wrong."""
        return self._ahead

    async def start(self, ahead: float = 0.0) -> None:
        """Start, and return when it answers, its clock wrong from then on. Raises `ToolError`s."""
        self._ahead, self._born_ahead = 0.0, ahead
        await trio.to_thread.run_sync(self._process.start)
        await self.jump(ahead)

    async def jump(self, seconds: float) -> None:
        """Let its clock jump, until it is relieved. Raises `ToolError`s."""
        if seconds:
            await self.inject({"fault": "clock.skew", "seconds": WITHIN, "skew": seconds})
            self._ahead += seconds

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
        await trio.to_thread.run_sync(partial(self._target.inject, self._post, fault))

    async def relieve(self) -> None:
        """End all faults within it, but that its clock was wrong from the start."""
        if self.running:
            await trio.to_thread.run_sync(partial(self._target.relieve, self._post))
            self._ahead = 0.0
            await self.jump(self._born_ahead)

    async def write(self) -> bool:
        """Have it keep a document; say whether it does."""
        return await trio.to_thread.run_sync(
            partial(self._target.write, self._post), abandon_on_cancel=True
        )

    @property
    def database(self) -> Path:
        """Where it keeps documents."""
        return self._target.database(self._post)

    async def standing(self) -> PodStanding | None:
        """Return how it stands; None where it does not say."""
        if not self.running or self.asleep:
            return None
        return await trio.to_thread.run_sync(
            partial(self._target.standing, self._post), abandon_on_cancel=True
        )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send(number)
