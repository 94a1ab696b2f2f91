"""What other pods say of those that this one does not hear: pure.

Who begins while pods are cut off from each other knows of it only by those who hear both sides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

from .peer import PROVEN, Peer

__all__ = ["Hearsay"]

MOST_NAMED: Final = 1024
"""Pods that are known by others' words alone, and those that are known to have left."""
UNHEARD: Final = 1.5
"""Seconds after which a pod that others hear, and this one does not, is missing: it beats once in
them."""


class Hearsay:
    """Pods that only others know. `known` are those that this one hears, or has heard.

    `now` is steady seconds, `wall` unix seconds.
    """

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._left: OrderedDict[str, None] = OrderedDict()
        self._heard: dict[str, tuple[float, float]] = {}
        self._missed: dict[str, float] = {}

    def left(self, pod: str) -> None:
        """Note that a pod is gone, whatever others still say of it."""
        self._left[pod] = None
        if len(self._left) > MOST_NAMED:
            self._left.popitem(last=False)

    def came(self, pod: str) -> None:
        """Note that it is there, after all."""
        self._left.pop(pod, None)

    def note(self, peer: Peer, known: Mapping[str, Peer], now: float, wall: float) -> None:
        """Take whom a pod says that it hears, when it says so."""
        if peer.beats >= PROVEN and peer.beat.hears is not None:
            for pod in set(peer.beat.hears).difference(known, self._left, (self._pod_id,)):
                if len(self._heard) < MOST_NAMED:
                    self._heard.setdefault(pod, (now, wall))

    def look(self, known: Mapping[str, Peer], now: float) -> None:
        """See who is missing by now of whom others speak."""
        named = set(self._of(known, hears=True)) if self._heard else set()
        for pod in [pod for pod in self._heard if pod in known or pod not in named]:
            del self._heard[pod]
        missed = {pod: wall for pod, (at, wall) in self._heard.items() if now - at > UNHEARD}
        for peer in _speakers(known):
            for pod, age in peer.beat.misses:
                if len(missed) < MOST_NAMED and pod not in known:
                    missed.setdefault(pod, peer.heard_wall - age)
        self._missed = {
            pod: since
            for pod, since in missed.items()
            if pod not in self._left and pod != self._pod_id
        }

    @property
    def missed(self) -> Mapping[str, float]:
        """Who is missing, by the words of others, and since when (unix seconds): as last looked."""
        return self._missed

    @property
    def named(self) -> set[str]:
        """Who is not heard here, and may be any moment or is missing, by the words of others."""
        return {*self._heard, *self._missed}

    def vouches(self, pod: str, known: Mapping[str, Peer]) -> bool:
        """Whether anybody else hears a pod, or misses it: then it is one."""
        return pod in self._of(known, hears=True) or pod in self._of(known, hears=False)

    def _of(self, known: Mapping[str, Peer], *, hears: bool) -> Iterator[str]:
        for peer in _speakers(known):
            yield from peer.hears if hears else (miss.pod for miss in peer.beat.misses)


def _speakers(known: Mapping[str, Peer]) -> Iterator[Peer]:
    return (peer for peer in known.values() if not peer.missing and peer.beats >= PROVEN)
