"""Scripts that take too long, or fail."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from deployd.documents import (
    ScriptFailed,
    ScriptTimeout,
)
from deployd.documents.scripts import (
    Script,
    ScriptRunner,
)

from .scripts import FakePod

__all__ = ["KINDS", "SECONDS", "failure", "late", "pass_time"]


SECONDS = 5.0
KINDS = ["def", "async def"]


async def failure(runner: ScriptRunner, script: Script, context: Any) -> ScriptFailed:
    with pytest.raises(ScriptFailed) as caught:
        await runner.run(script, context)
    return caught.value


async def pass_time(clock: MockClock, when: trio.Event, seconds: float = SECONDS) -> None:
    await when.wait()
    clock.jump(seconds)


async def late(
    runner: ScriptRunner, pod: FakePod, clock: MockClock, script: Script
) -> ScriptTimeout:
    """Run a script that emits "started" for longer than it may."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_time, clock, pod.event("started"))
        with pytest.raises(ScriptTimeout) as caught:
            await runner.run(script, pod.context(script))
    return caught.value
