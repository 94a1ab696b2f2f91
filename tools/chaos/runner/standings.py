"""How pods stand, as they say themselves when they are asked: written down as it changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Final

import trio

from ...oracle import Linked, Met, Record, View
from ..targets import PodStanding
from .pods import RealPod

__all__ = ["LOOKED", "Standings"]

LOOKED: Final = 0.2
"""Seconds between looks at how pods stand: each is a request."""


class Standings:
    """Asks pods again and again, and writes into a history."""

    def __init__(self, pods: Sequence[RealPod], history: list[Record]) -> None:
        self._pods = pods
        self._history = history
        self._known: dict[int, PodStanding | None] = {}
        self._met: set[tuple[int, int]] = set()

    def are_well(self) -> bool:
        """Whether all links are closed, and all pods hear all others."""
        others = len(self._pods) - 1
        return all(self._known.get(pod.number) == ("closed", others) for pod in self._pods)

    async def watch(self) -> None:
        """Ask all, until cancelled."""
        while True:
            async with trio.open_nursery() as nursery:
                for pod in self._pods:
                    nursery.start_soon(self._look_at, pod)
            await trio.sleep(LOOKED)

    def write_down(self) -> None:
        """Note what each thinks in the end."""
        live = sum(pod.running for pod in self._pods)
        for pod in self._pods:
            link, peers = self._known.get(pod.number) or ("ended", 0)
            degraded = "" if link == "closed" else link
            self._history.append(View(trio.current_time(), pod.number, peers, live, degraded))

    async def _look_at(self, pod: RealPod) -> None:
        standing = await pod.standing()
        if standing is None and pod.running:
            return  # it sleeps, or is about to be there
        if standing != self._known.get(pod.number):
            self._known[pod.number] = standing
            link, peers = standing or ("ended", 0)
            self._history.append(Linked(trio.current_time(), pod.number, link, peers))
        if standing is None:
            self._met = {pair for pair in self._met if pod.number not in pair}
        elif standing.peers >= sum(other.running for other in self._pods) - 1:
            self._meet(pod.number)

    def _meet(self, pod: int) -> None:
        """Note that a pod knows all the others."""
        for one, other in permutations(range(len(self._pods)), 2):
            known = (one, other) in self._met
            if one == pod and not known and self._pods[other].running:
                self._met.add((one, other))
                self._history.append(Met(trio.current_time(), one, other))
