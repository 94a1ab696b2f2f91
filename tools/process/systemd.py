"""What a pod tells the service manager that started it: that it is up, stops, and lives.

Source: sd_notify(3), sd_watchdog_enabled(3). Where nobody listens (`NOTIFY_SOCKET` is not set)
nothing is said.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import trio

__all__ = ["ServiceManager"]

MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """Whoever started the process, if it wants to be told; `environ` is what it has left."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog = _watchdog(environ)

    def ready(self, status: str) -> None:
        """Say that the pod serves; also after `reloading`."""
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that settings are read anew."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, status: str) -> None:
        """Say that the pod lets its clients go."""
        self._say("STOPPING=1", f"STATUS={status}")

    async def feed_watchdog(self) -> None:
        """Say that the loop turns, twice in the time that `WatchdogSec=` allows, until cancelled.

        It is a task of the loop: where that stands still nothing is said, and the service manager
        ends the process, and starts another.
        """
        if self._watchdog is None:
            return
        while True:
            self._say("WATCHDOG=1")
            await trio.sleep(self._watchdog / 2)

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the null byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """Return how often the service manager wants to hear something (seconds), or None."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        return None
    return int(text) / MICROSECONDS if pid in ("", str(os.getpid())) else None
