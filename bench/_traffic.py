"""Numbered events that a client says on pod A, at a steady rate, and what became of them."""

from __future__ import annotations

import time
from typing import Final

import trio
from _ears import Ear
from _pair import KEPT, OPEN, Pair
from attrs import field, mutable

from support.crossing import Heard, Said, Verdict, gaps, judge

__all__ = ["Traffic"]

RATE: Final = 250.0
"""Events a second, to all rooms in turn."""
SETTLE: Final = 5.0
"""Seconds after the last event until what has not come is lost."""


@mutable
class Traffic:
    """What is said: by number, the room, the unix time and the steady time."""

    pair: Pair
    said: list[tuple[str, float, float]] = field(factory=list)
    going: bool = True

    async def run(self) -> None:
        """Say things until told to stop."""
        rooms = (*OPEN, *KEPT)
        began, sent = trio.current_time(), 0
        while self.going:
            number = len(self.said)
            room = rooms[number % len(rooms)]
            self.said.append((room, time.time(), trio.current_time()))
            data = {"n": number}
            await self.pair.emitter.send("emit", room=room, event="e", data=data, id=number)
            sent += 1
            await trio.sleep_until(began + sent / RATE)

    async def settle(self) -> None:
        """Stop, and wait for receipts and for what the other pod should still hear."""
        self.going = False
        await trio.sleep(1 / RATE)
        pair = self.pair
        with trio.move_on_after(SETTLE):
            await pair.emitter.until(lambda: all(n in pair.emitter.receipts for n in self._numbers))
            await pair.near.until(lambda: len(pair.near.heard) >= len(self.said))
            await pair.far.until(self._all_promised)

    @property
    def _numbers(self) -> range:
        return range(len(self.said))

    def _all_promised(self) -> bool:
        receipts = self.pair.emitter.receipts
        due = {n for n in self._numbers if receipts.get(n, ("",))[0] in ("cluster", "queued")}
        return due <= {data["n"] for _, data, _, _ in self.pair.far.heard}

    def history(self) -> list[Said]:
        """Return what was said with its receipts."""
        events = []
        for number, (room, began, _) in enumerate(self.said):
            scope, at = self.pair.emitter.receipts.get(number, (None, float("inf")))
            events.append(Said(room, number, began, at, scope, buffered=room in KEPT))
        return events

    def judge(self) -> Verdict:
        """Judge what the listener on pod B heard."""
        heard = [Heard(room, data["n"], again) for room, data, again, _ in self.pair.far.heard]
        return judge(self.history(), heard, gaps(self.pair.far.notices))

    def latencies(self, since: float, until: float, ear: Ear) -> list[float]:
        """Return the sorted seconds from emit to arrival, of what was said between (steady)."""
        delays = []
        for _, data, _, at in ear.heard:
            said = self.said[data["n"]][2]
            if since <= said < until:
                delays.append(at - said)
        return sorted(delays)
