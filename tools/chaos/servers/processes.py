"""One server's process, and what can be done to any process; free ports."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from .errors import DoesNotStart, NotObeyed, ServersError
from .guarded import GUARD

__all__ = ["LOCALHOST", "PATIENCE", "ServerProcess", "connects", "free_port", "wait_until"]

LOCALHOST: Final = "127.0.0.1"
PATIENCE: Final = 120.0
"""Seconds for a server to answer, or to end: RabbitMQ takes five, and sixty on a busy machine."""
LOG_SHOWN: Final = 4000
"""Characters of a server's log that are shown when it does not start."""

# Linux hands out those from 32768 on. Those of a Redis cluster's slots are left out: in its answers
# both are bare numbers (`readdress.py`).
_LOWEST, _HIGHEST = 16_384, 32_000
_TRIES: Final = 100
_drawn: deque[int] = deque(maxlen=1024)
"""Ports that were given away last: who has one may not listen on it yet."""


class ServerProcess:
    """One server, and what is done to it. All its processes are one group, which signals reach.

    `command` is run anew by each `start`, in `folder`; `answers` says whether it serves.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Path,
        answers: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [str(part) for part in command]
        self._folder = folder
        self._answers = answers
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.frozen = False

    @property
    def running(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id. Raises `NotObeyed` when it does not run."""
        if self._process is None:
            raise NotObeyed(f"{self._command[0]} does not run; start it first.")
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
            self._process = GUARD.start(self._command, self._folder, self._environment, output)

    def wait(self) -> None:
        """Return when it answers, or somebody has ended it meanwhile. Raises `DoesNotStart`."""
        process, deadline = self._process, time.monotonic() + PATIENCE
        while not self._answers():
            if process is None or self._process is not process:
                return  # a fault that came during the boot: what ends that fault starts it anew
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise DoesNotStart(
                    f"{self._command[0]} does not start; its log ends so:\n{self.log[-LOG_SHOWN:]}"
                )
            time.sleep(0.02)  # only the server's answer tells, and it has to be asked for

    def kill(self) -> None:
        """`kill -9`: cut its clients off at once, also when it is frozen."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int | None:
        """SIGTERM: let it end as its makers meant it to; return its exit code, None of none."""
        return self._end(signal.SIGTERM)

    def remove(self) -> None:
        """End all of its processes for good."""
        self.kill()

    def send(self, number: signal.Signals) -> None:
        """Send its process, and none of the others, a signal."""
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open and nobody answers, from when this returns.

        The signal is sent at once and obeyed a moment later, in which a thread that runs may
        still answer: so it is waited for, and left to be waited for again.
        """
        os.killpg(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: go on as if nothing had happened."""
        os.killpg(self.pid, signal.SIGCONT)
        self.frozen = False

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        self.frozen = False
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
            GUARD.ended(process)
        return process.returncode


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and nobody was given; it has five digits.

    It is none of those that the system hands out by itself: until the server is there, another
    client, or a server that asks for any port, could come by it. It is drawn, so that programs
    that run beside this one draw others.
    """
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port in _drawn:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOCALHOST, port))
            _drawn.append(port)
            return port
    raise ServersError(f"Of {_TRIES} ports not one is free; end what listens on so many.")


def connects(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    try:
        socket.create_connection((LOCALHOST, port), 1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], ServersError]) -> None:
    """Return when something holds, which nobody tells of; raise what `otherwise` makes if late."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise otherwise()
        time.sleep(0.05)
