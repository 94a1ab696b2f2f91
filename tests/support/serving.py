"""`deployd serve` as a process of its own, and what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import trio

__all__ = ["PATIENCE", "Running", "Start", "get", "processes"]

PATIENCE: Final = 30.0
"""Seconds after which a test gives up on something that should have come long before."""


class Running:
    """A running `deployd`; what it prints is kept in one text, errors included."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.printed = ""

    async def says(self, pattern: str) -> re.Match[str]:
        """Read on until something matches; what was matched is not matched again."""
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while (found := re.search(pattern, self.printed)) is None:
                data = await self.process.stdout.receive_some()
                assert data, f"ended without saying {pattern!r}:\n{self.printed}"
                self.printed += data.decode()
        self.printed = self.printed[found.end() :]
        return found

    async def url(self) -> str:
        return (await self.says(r"http://localhost:\d+"))[0]

    async def ends(self) -> int:
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while data := await self.process.stdout.receive_some():
                self.printed += data.decode()
            return await self.process.wait()


Start = Callable[..., Awaitable[Running]]


@asynccontextmanager
async def processes() -> AsyncIterator[Start]:
    """Let a test start processes for the length of the block."""
    started: list[trio.Process] = []

    async def start(*arguments: str, module: str = "deployd.tools") -> Running:
        # -P: as for the installed command, Python itself does not look into this folder.
        command = [sys.executable, "-P", "-m", module, *arguments]
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        started.append(process)
        return Running(process)

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            await process.wait()


async def get(url: str, **headers: str) -> httpx.Response:
    with trio.fail_after(PATIENCE):
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(url, headers=headers)
