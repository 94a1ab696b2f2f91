"""Which channels a pod wants to hear: those of its own rooms, and for a while those it had."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Final

from ...transport.brokers.contract import Channel

__all__ = ["Subscriptions"]

MOST_LINGERING: Final = 10_000
"""Channels that may be kept for rooms that are empty; beyond it the oldest are let go at once."""


class Subscriptions:
    """What is wanted and what is heard. Times are seconds of any steady clock, passed in.

    A room that empties is listened to for `linger` more seconds: whoever comes right back (a page
    that is reloaded) costs the broker nothing. Nothing here does I/O, and nothing looks through
    all channels: a link takes `missing` and `surplus` in pieces and reports what it has done.
    """

    def __init__(self, linger: float) -> None:
        self._linger = linger
        self._wanted: dict[Channel, None] = {}
        self._leaving: dict[Channel, float] = {}
        self._heard: set[Channel] = set()
        self._missing: dict[Channel, None] = {}

    def __len__(self) -> int:
        """Return how many channels are heard."""
        return len(self._heard)

    def want(self, channel: Channel) -> None:
        """Hear a channel."""
        self._leaving.pop(channel, None)
        self._wanted[channel] = None
        if channel not in self._heard:
            self._missing[channel] = None

    def unwant(self, channel: Channel, now: float) -> None:
        """Need a channel no longer."""
        if channel not in self._wanted:
            return
        del self._wanted[channel]
        self._missing.pop(channel, None)
        self._leaving[channel] = now + self._linger

    def wants(self, channel: Channel) -> bool:
        """Whether a channel is needed, heard or not."""
        return channel in self._wanted

    def hears(self, channel: Channel) -> bool:
        """Whether a channel is heard."""
        return channel in self._heard

    def missing(self, most: int) -> list[Channel]:
        """Return some of what is wanted and not heard yet."""
        return list(islice(self._missing, most))

    def heard(self, channels: Iterable[Channel]) -> None:
        """Note what is heard now; what is no longer wanted by now goes the way of all such."""
        for channel in channels:
            self._missing.pop(channel, None)
            self._heard.add(channel)

    def surplus(self, now: float, most: int) -> list[Channel]:
        """Take out some of what need not be heard any more."""
        surplus: list[Channel] = []
        while self._leaving and len(surplus) < most:
            if self.next_due() > now:
                break
            channel = next(iter(self._leaving))
            del self._leaving[channel]
            if channel in self._heard:
                self._heard.discard(channel)
                surplus.append(channel)
        return surplus

    def next_due(self) -> float:
        """Return when the next channel is to be let go; never is infinity."""
        if len(self._leaving) > MOST_LINGERING:
            return -math.inf
        return next(iter(self._leaving.values()), math.inf)

    def begin_anew(self) -> None:
        """Hear nothing: a new connection has no subscriptions."""
        self._heard.clear()
        self._missing = dict.fromkeys(self._wanted)
