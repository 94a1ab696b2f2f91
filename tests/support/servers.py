"""Servers of the tests' own: programs in a temporary folder, on free ports, gone afterwards.

Where a program is not installed the tests that want it are skipped, and fail in CI.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

__all__ = ["ServerProcess", "free_port", "not_installed"]

PATIENCE: Final = 60.0
"""Seconds for a server to answer, or to end; a busy machine needs a few."""

_LOWEST, _HIGHEST = 10_000, 32_000  # Linux hands out those from 32768 on


class ServerProcess:
    """One server, and what tests do to it. All its processes are one group, which signals reach.

    `command` is run anew by each `start`, in `folder`; `answers` says whether it serves.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        answers: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._folder = folder
        self._answers = answers
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises when it does not run."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and return when it answers."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Start, and return at once."""
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in self._command],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if self._environment is None else dict(self._environment),
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it answers."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self._command[0]} does not start:\n{self.log[-4000:]}")
            time.sleep(0.02)  # only the server's answer tells, and it has to be asked for

    def kill(self) -> None:
        """`kill -9`: cut its clients off at once, also when it is frozen."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int | None:
        """SIGTERM: let it end as its makers meant it to; return its exit code, None of none."""
        return self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open and nobody answers, from when this returns.

        The signal is sent at once and obeyed a moment later, in which a thread that runs may
        still answer: so it is waited for, and left to be waited for again.
        """
        os.killpg(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT: go on as if nothing had happened."""
        os.killpg(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on.

    It is none of those that the system hands out by itself: until the server is there, another
    test's client, or a server that asks for any port, could come by it. It is drawn, so that tests
    that run beside these draw others.
    """
    for _ in range(100):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("of 100 ports not one is free")


def not_installed(program: str, package: str) -> None:
    """Skip the test, or fail it in CI."""
    missing = f"{program} is not installed: {package}"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
