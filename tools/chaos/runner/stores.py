"""The databases of pods, and what befalls them.

Documents are written before, meanwhile and after: what is done to a database that nobody asks for
anything would show nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from ...common import ToolError
from ..scenario.steps import EndStep
from .pods import WITHIN, RealPod

__all__ = ["StoreDoesNotObey", "lock_stores", "stop_stores"]

OBEYS: Final = 10.0
"""Seconds until a database does as it is told."""
AGAIN: Final = 0.1
"""Seconds between two documents that are written."""


class StoreDoesNotObey(ToolError):
    """A pod's database takes documents, or takes none, and should not."""


async def stop_stores(pods: Sequence[RealPod]) -> EndStep:
    """Let all that pods ask of their databases fail. Raises `ToolError`s."""
    await _until_all(pods, take=True)
    for pod in pods:
        await pod.inject({"fault": "store.fail", "seconds": WITHIN, "share": 1.0})
    await _until_all(pods, take=False)

    async def start() -> None:
        for pod in pods:
            await pod.relieve()
        await _until_all(pods, take=True)

    return start


async def lock_stores(pods: Sequence[RealPod]) -> EndStep:
    """Hold the lock of each database, as another process may. Raises `ToolError`s."""
    await _until_all(pods, take=True)
    locks = [await trio.to_thread.run_sync(_locked, pod.database) for pod in pods]
    await _until_all(pods, take=False)

    async def unlock() -> None:
        for lock in locks:
            await trio.to_thread.run_sync(lock.close)
        await _until_all(pods, take=True)

    return unlock


def _locked(database: Path) -> sqlite3.Connection:
    """Open a database, and lock it until it is closed."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def _until_all(pods: Sequence[RealPod], *, take: bool) -> None:
    async with trio.open_nursery() as nursery:
        for pod in pods:
            nursery.start_soon(partial(_until, pod, take=take))


async def _until(pod: RealPod, *, take: bool) -> None:
    deadline = trio.current_time() + OBEYS
    while trio.current_time() < deadline:
        if await pod.write() is take:
            return
        await trio.sleep(AGAIN)
    found = "takes no documents" if take else "still takes documents"
    raise StoreDoesNotObey(f"The database of pod {pod.number} {found}; its log says why.")
