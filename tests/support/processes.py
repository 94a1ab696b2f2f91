"""A pod in a process of its own, as operators run it, which a test may kill."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import trio

__all__ = ["Served", "serving"]

_PATIENCE: Final = 60.0
"""Seconds for a process to say that it serves; a busy machine needs a few."""


class Served:
    """A running pod: `port` is where, `http` a client of its HTTP."""

    def __init__(self, process: trio.Process, port: int, http: httpx.AsyncClient) -> None:
        self._process = process
        self._port = port
        self.http = http

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        return self._process.pid

    async def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def serving(folder: Path, settings: Mapping[str, Any] | None = None) -> AsyncIterator[Served]:
    """Serve the collections below a folder on a free port; killed at the end, if not before."""
    (folder / "pod.json").write_text(json.dumps(settings or {}))
    command = [sys.executable, "-P", "-m", "deployd.tools", "serve", "--port", "0"]
    process = await trio.lowlevel.open_process(
        [*command, "--config", "pod.json", "--data", "data"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name in ("PATH", "LANG")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(_read, process)
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as http:
                yield Served(process, port, http)
            nursery.cancel_scope.cancel()
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _read(process: trio.Process, task_status: trio.TaskStatus[int]) -> None:
    """Report the port when the log tells it, and go on reading, or the pod would block."""
    assert process.stderr is not None
    text, started = "", False
    with trio.fail_after(_PATIENCE) as patience:
        async for data in process.stderr:
            if started:
                continue
            text += data.decode()
            found = re.search(r"http://localhost:(\d+)", text)
            if found:
                started, patience.deadline = True, float("inf")
                task_status.started(int(found[1]))
    assert started, f"it ended without serving:\n{text}"
