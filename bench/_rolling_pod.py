"""A pod as a process that is started and drained again and again, and whether it is ready."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import _brokers  # noqa: F401 - it knows where the tests' helpers are

from deployd.tools.chaos.servers import ServerProcess, free_port

__all__ = ["RollingPod", "ready"]


class RollingPod(ServerProcess):
    """One pod in a folder, on a port of its own."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.port = free_port()
        (folder / "pod.json").write_text(json.dumps(settings))
        command = [sys.executable, "-P", "-m", "deployd.tools", "serve", "--port", str(self.port)]
        command += ["--config", "pod.json", "--data", "data"]
        super().__init__(command, folder, lambda: ready(self.port))

    def drain(self) -> float:
        """Send SIGTERM, and return the seconds until it has ended."""
        began = time.monotonic()
        if self.terminate():
            sys.exit(f"a pod ended badly:\n{self.log[-2000:]}")
        return time.monotonic() - began


def ready(port: int) -> bool:
    """Ask whether a pod, or what stands before pods, takes clients."""
    with suppress(OSError):  # nobody there, or 503
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2).close()
        return True
    return False
