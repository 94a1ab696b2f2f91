"""One stress test: a process of its own, which is heard out; it measures the pod, not itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

import orjson
import trio

from ...actors import Exit
from ...config import get_logger
from ...transport import JSON
from ..child import Service

__all__ = ["StressTest"]

LONGEST_LINE: Final = 64 * 1024
EXPECTED: Final = (0, 1)
"""How `deployd stress` exits: all was well, or the clients had errors, which it tells itself."""

_log = get_logger("realtime")


class StressTest(Service):
    """Runs `command` once, for so many seconds at most, and keeps what it says last of itself.

    `token` is what it shows to the pod; `tell` is told of its progress each second.
    """

    __slots__ = ("_command", "_over", "_progress", "_seconds", "_tell", "_token")

    def __init__(
        self,
        test_id: str,
        command: Sequence[str],
        token: str,
        seconds: float,
        tell: Callable[[str, JSON], None],
    ) -> None:
        super().__init__(f"pod/stress/{test_id}", self._test)
        self._command = command
        self._token = token
        self._seconds = seconds
        self._tell = tell
        self._progress: dict[str, JSON] = {"id": test_id, "done": False}
        self._over = trio.Event()

    def shown(self) -> dict[str, JSON]:
        """Return what it said last, and whether it still runs."""
        return {**self._progress, "running": not self._over.is_set()}

    async def ended(self) -> None:
        """Wait until it is over; who was asked to stop is killed, and soon gone."""
        await self._over.wait()

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Learn that the process has ended, however it did."""
        self._progress["done"] = True
        self._over.set()
        self._tell("stress", self.shown())

    async def _test(self, started: Callable[[], None]) -> None:
        started()
        try:
            with trio.move_on_after(self._seconds) as waiting:
                await self._attend()
            if waiting.cancelled_caught:
                self._failed(f"The test took longer than {self._seconds:g} s and was stopped.")
        except OSError as error:
            self._failed(f"The test could not be started: {error.strerror}.")

    async def _attend(self) -> None:
        """Hear the process out; it is killed when this is cancelled."""
        process = await trio.lowlevel.open_process(
            list(self._command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_environment(), "DEPLOYD_STRESS_TOKEN": self._token},
        )
        try:
            rest = b""
            if process.stdout is not None:
                async for data in process.stdout:
                    *lines, rest = (rest + data).split(b"\n")
                    rest = rest[-LONGEST_LINE:]
                    for line in lines:
                        self._heard(line)
            code = await process.wait()
            if code not in EXPECTED:
                self._failed(f"The test failed (exit {code}); run 'deployd stress' here.")
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                if process.stdout is not None:
                    await process.stdout.aclose()

    def _heard(self, line: bytes) -> None:
        try:
            progress = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if isinstance(progress, dict):
            self._progress.update(progress)
            self._tell("stress", self.shown())

    def _failed(self, sentence: str) -> None:
        self._progress["error"] = sentence
        _log.warning("a stress test failed", path=self.path, reason=sentence)


def _environment() -> dict[str, str]:
    """Return what a program needs to start; none of the pod's secrets."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
