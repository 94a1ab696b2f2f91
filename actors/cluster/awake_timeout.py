"""Time-outs that do not run while the pod's own loop is held up.

A loop that was blocked for longer than a time-out finds it expired before it has looked at what
came meanwhile, and would blame the broker for its own stall.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from ...transport import BrokerUnavailable
from ...transport.brokers.contract import Broker
from .patience import Patience

__all__ = ["AwakeTimeouts"]

TICK: Final = 0.1
"""Seconds between looks at the clock at most."""
STALL: Final = 0.2
"""Seconds that a look may be late before the pod itself is taken for the slow one: less than the
time-out is longer than a pause that is none."""

T = TypeVar("T")


class AwakeTimeouts:
    """Limits what one incarnation of a link waits for; counts while `run` runs."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._stalled = 0.0
        self.slept = 0.0
        """Seconds in which this pod's loop was held up."""
        self._asleep_since: float | None = None
        self._next_look = math.inf
        self._began: dict[trio.CancelScope, float] = {}

    @property
    def seconds(self) -> float:
        """How long the broker may take, now, for anything that it is asked."""
        return self._patience.limit

    @property
    def heard_at(self) -> float:
        """When something came from the broker last, in the time of `awake`."""
        return self._patience.heard_at

    def awake(self) -> float:
        """Return the time (seconds) in which this pod was awake.

        Whoever asks first after the loop was held up notices it, so what was under way meanwhile
        took no longer for that.
        """
        if self._asleep_since is not None:
            return self._asleep_since - self._stalled
        now = trio.current_time()
        late = now - self._next_look
        if late > STALL:
            self._stalled += late
            self.slept += late
            self._next_look = now
            # What came while it was late was heard before it.
            self._patience.heard_at = min(self._patience.heard_at, now - self._stalled)
        return now - self._stalled

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Count the time in the block as one in which this pod was not awake."""
        self._asleep_since = began = trio.current_time()
        try:
            yield
        finally:
            self._asleep_since = None
            self._next_look = now = trio.current_time()
            self._stalled += now - began

    def heard(self) -> None:
        """Note that something came from the broker: it does not hang."""
        self._patience.heard_at = self.awake()

    async def answer_of(self, broker: Broker, call: Awaitable[T]) -> T:
        """Return what a call of the broker returns; raise `BrokerUnavailable` when it is late."""
        with self.limit():
            answer = await call
            self.heard()
            return answer
        raise BrokerUnavailable(
            f"{broker.endpoint} did not answer within {self.seconds:.2g} s; "
            "it hangs, or the way to it does."
        )

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Cancel what is in the block when the broker has kept it waiting for too long."""
        scope = trio.CancelScope()
        self._began[scope] = self.awake()
        try:
            with scope:
                yield
        finally:
            self._began.pop(scope, None)

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            now = trio.current_time()
            dues = map(self._due, self._began) if self._asleep_since is None else ()
            self._next_look = max(now, min([now + TICK, *dues]))
            await trio.sleep_until(self._next_look)
            if self._asleep_since is not None:
                continue
            self.awake()
            now = trio.current_time()
            for scope in [scope for scope in self._began if self._due(scope) <= now]:
                del self._began[scope]
                scope.cancel()

    def _due(self, scope: trio.CancelScope) -> float:
        return self._patience.due(self._began[scope]) + self._stalled
