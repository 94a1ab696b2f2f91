"""Time-outs that do not run while the pod's own loop is held up.

A loop that was blocked for longer than a time-out finds it expired before it has looked at what
came meanwhile, and would blame the broker for its own stall.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from ...transport import BrokerUnavailable
from ...transport.brokers.contract import Broker

__all__ = ["AwakeTimeouts"]

TICK: Final = 0.1
"""Seconds between looks at the clock: what a time-out may be late."""
STALL: Final = 0.25
"""Seconds that a look may be late before the pod itself is taken for the slow one."""

T = TypeVar("T")


class AwakeTimeouts:
    """Limits what one incarnation of a link waits for; counts while `run` runs.

    `seconds` is how long the broker may take for anything it is asked.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._stalled = 0.0
        self._due: dict[trio.CancelScope, float] = {}

    async def answer_of(self, broker: Broker, call: Awaitable[T]) -> T:
        """Return what a call of the broker returns; raise `BrokerUnavailable` when it is late."""
        with self.limit():
            return await call
        raise BrokerUnavailable(
            f"{broker.endpoint} did not answer within {self.seconds:g} s; "
            "it hangs, or the way to it does."
        )

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Cancel what is in the block after so many seconds in which the pod was awake."""
        scope = trio.CancelScope()
        self._due[scope] = self._awake() + self.seconds
        try:
            with scope:
                yield
        finally:
            del self._due[scope]

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            began = trio.current_time()
            await trio.sleep(TICK)
            late = trio.current_time() - began - TICK
            if late > STALL:
                self._stalled += late
            now = self._awake()
            for scope in [scope for scope, due in self._due.items() if due <= now]:
                scope.cancel()

    def _awake(self) -> float:
        return trio.current_time() - self._stalled
