"""Two pods as processes, joined by a broker, and clients on both."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import _brokers  # noqa: F401 - it knows where the tests' helpers are
import trio
from _ears import Ear, ears
from attrs import frozen

from support.processes import Served, serving

__all__ = ["KEPT", "OPEN", "Pair", "Resources", "pair", "resources"]

OPEN: Final = ("open-0", "open-1", "open-2", "open-3")
"""Rooms whose policy is `local_only`."""
KEPT: Final = ("kept-0",)
"""Rooms whose policy is `buffer`."""


@frozen
class Resources:
    """What a process has: descriptors, threads, resident bytes."""

    descriptors: int
    threads: int
    rss: int


def resources(pid: int) -> Resources:
    """Look at a process."""
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    return Resources(
        len(os.listdir(proc / "fd")),
        int(status["Threads"]),
        int(status["VmRSS"].split()[0]) * 1024,
    )


@frozen
class Pair:
    """Pod A with who emits and who hears, pod B with who hears, and others that only stay."""

    a: Served
    b: Served
    emitter: Ear
    near: Ear
    far: Ear
    others: list[Ear]

    @property
    def disconnected(self) -> int:
        """How many clients are gone."""
        return sum(ear.closed for ear in (self.emitter, self.near, self.far, *self.others))


def _settings(broker: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    policies = {"policies": {"kept-*": "buffer"}, "noticeWindow": 0.0}
    return {
        "broker": {**broker, **policies, **more},
        "limits": {"messageRateLimit": 0, "byteRateLimit": 0, "pingInterval": 3600},
        "drain": {"window": 0.0, "deadline": 3.0},
        "server": {"apiEnabled": False},
        # In these the emitter hears nothing: who hears it too would be served first.
        "access": {"rules": {room: {"emit": "anyone"} for room in ("across", "local")}},
    }


@asynccontextmanager
async def pair(
    broker: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> AsyncIterator[Pair]:
    """Serve two pods with clients in all rooms; both have found the broker and each other."""
    async with AsyncExitStack() as stack:
        pods: list[Served] = []
        for _ in range(2):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            pods.append(
                await stack.enter_async_context(serving(folder, _settings(broker, more or {})))
            )
        emitter, near, *others = await stack.enter_async_context(ears(pods[0].port, 12))
        far, *rest = await stack.enter_async_context(ears(pods[1].port, 11))
        both = Pair(pods[0], pods[1], emitter, near, far, [*others, *rest])
        for ear in (emitter, near, far):
            for room in (*OPEN, *KEPT):
                await ear.join(room)
        await _joined(both)
        yield both


async def _joined(both: Pair) -> None:
    """Emit until the other pod hears it with a receipt that says so."""
    with trio.fail_after(30):
        number = -1
        while True:
            await both.emitter.send("emit", room=OPEN[0], event="e", data={"n": number}, id=number)
            await both.emitter.until(lambda number=number: number in both.emitter.receipts)  # type: ignore[misc]
            with trio.move_on_after(0.2):
                await both.far.until(lambda: bool(both.far.heard))
                break
            number -= 1
    for ear in (both.emitter, both.near, both.far):
        ear.heard.clear()
