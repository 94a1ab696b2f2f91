"""When binding again does not help: pure.

Servers of a cluster that have lost each other may disagree for good on which queues there are: one
that was told that another is gone forgets that one's queues, and binding a queue again where it is
known changes nothing where it is not. A queue of another name is known to all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..contract import Channel

__all__ = ["Renewals"]

TRIES: Final = 2
"""Times that a channel is bound again until that is in vain."""
LATELY: Final = 10.0
"""Seconds after which an earlier time counts no more."""
APART: Final = 10.0
LONGEST_APART: Final = 300.0
"""Seconds between two queues, doubled each time: it may be the other pods that are gone."""
MOST_COUNTED: Final = 4096
"""Channels whose times are counted: the last ones."""


class Renewals:
    """Counts how often channels are bound again. `now` is steady seconds."""

    def __init__(self) -> None:
        self._times: dict[Channel, tuple[int, float]] = {}
        self._due = 0.0
        self._apart = APART

    def in_vain(self, channels: Iterable[Channel], now: float) -> bool:
        """Count channels that are bound again; say whether it is time for another queue."""
        most = 0
        for channel in channels:
            count, last = self._times.pop(channel, (0, now))
            count = count + 1 if now - last <= LATELY else 1
            self._times[channel] = count, now
            most = max(most, count)
            if len(self._times) > MOST_COUNTED:
                del self._times[next(iter(self._times))]
        if most < TRIES or now < self._due:
            return False
        self._times.clear()
        self._apart = APART if now > self._due + LONGEST_APART else self._apart
        self._due = now + self._apart
        self._apart = min(2 * self._apart, LONGEST_APART)
        return True
