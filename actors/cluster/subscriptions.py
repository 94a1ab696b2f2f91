"""Which channels a pod wants to hear: those of its own rooms, and for a while those it had."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Final

import trio

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
        self.wanted: dict[Channel, str | None] = {}
        """Which room each channel is wanted for; None is everyone."""
        self._linger = linger
        self._leaving: dict[Channel, float] = {}
        self._heard: set[Channel] = set()
        self._missing: dict[Channel, None] = {}
        self._denied: dict[Channel, float] = {}
        self._awaited: dict[Channel, trio.Event] = {}
        self._changed = trio.Event()

    def __len__(self) -> int:
        """Return how many channels are heard."""
        return len(self._heard)

    # What rooms want -------------------------------------------------------------------------

    def want(self, channel: Channel, room: str | None) -> None:
        """Hear a channel, for a room."""
        self._leaving.pop(channel, None)
        self.wanted[channel] = room
        if channel not in self._heard:
            self._missing[channel] = None
            self._awaited.setdefault(channel, trio.Event())
        self._changed.set()

    def unwant(self, channel: Channel, now: float) -> None:
        """Need a channel no longer."""
        if channel in self.wanted:
            del self.wanted[channel]
            self._missing.pop(channel, None)
            self._leaving[channel] = now + self._linger
        self._let_go([channel])
        self._changed.set()

    def wants(self, channel: Channel) -> bool:
        """Whether a channel is needed, heard or not."""
        return channel in self.wanted

    def hears(self, channel: Channel) -> bool:
        """Whether a channel is heard."""
        return channel in self._heard

    async def until_heard(self, channel: Channel) -> None:
        """Return when a channel that is wanted is heard, or need not be waited for any more."""
        event = self._awaited.get(channel)
        if event is not None:
            await event.wait()

    # What a link does about it ---------------------------------------------------------------

    def next_change(self) -> trio.Event:
        """Return what is set when rooms want something else than now; for one link at a time."""
        self._changed = trio.Event()
        return self._changed

    def missing(self, most: int, now: float) -> list[Channel]:
        """Return some of what is wanted, not heard yet, and not denied a while ago."""
        while self._denied and next(iter(self._denied.values())) <= now:
            channel = next(iter(self._denied))
            del self._denied[channel]
            if channel in self.wanted and channel not in self._heard:
                self._missing[channel] = None
        return list(islice(self._missing, most))

    def denied(self, channels: Iterable[Channel], until: float) -> None:
        """Note what the broker does not let this pod hear: to be tried again then."""
        for channel in channels:
            self._missing.pop(channel, None)
            self._heard.discard(channel)
            self._denied[channel] = until

    def subscribed(self, channels: Iterable[Channel]) -> None:
        """Note what the broker brings from now on, where it is not at a distance from others."""
        for channel in channels:
            self._missing.pop(channel, None)
            self._heard.add(channel)

    def proven(self, channels: Iterable[Channel]) -> None:
        """Note what is proven to be heard from the other pods: nobody need wait for it."""
        self._let_go(channels)

    def unheard(self, channels: Iterable[Channel]) -> None:
        """Note that a broker has ended these by itself: what is wanted of them is missing again."""
        for channel in channels:
            self._heard.discard(channel)
            if channel in self.wanted:
                self._missing[channel] = None
        self._changed.set()

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

    def next_look(self) -> float:
        """Return when there is something to let go or to try again; never is infinity."""
        return min(self.next_due(), next(iter(self._denied.values()), math.inf))

    def begin_anew(self) -> None:
        """Hear nothing: a new connection has no subscriptions."""
        self._heard.clear()
        self._denied.clear()
        self._missing = dict.fromkeys(self.wanted)

    def give_up(self) -> None:
        """Let all go on who wait: nobody may wait for a broker that is away."""
        self._let_go(list(self._awaited))

    def _let_go(self, channels: Iterable[Channel]) -> None:
        for channel in channels:
            event = self._awaited.pop(channel, None)
            if event is not None:
                event.set()
