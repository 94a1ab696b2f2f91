"""What a pod is called while another one has its name: pure.

A name (`server.name`) tells the others that a pod is the one they know, back from its end. So no
two that live may have the same. The elder keeps it: who began first, by its own clock, and of two
that began in one millisecond the one whose id comes first. Both know that of each other from their
beats, so they decide alike without a word. The younger adds a number to it, and has its name back
when no elder is known by it: when that has said goodbye, or was given up. One that is only missing
keeps its name, for it may be cut off and no less alive.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import count
from typing import Final

from attrs import frozen

from ...transport.brokers import Beat
from .peer import PROVEN, Peer

__all__ = ["PodName", "Renamed", "borne"]

LONGEST: Final = 64
"""Characters of a name: as many as `server.name` may have, and the name in a beat."""


@frozen
class Renamed:
    """A pod is called `name` from now on; `holder` is the last beat of who has its own, if any.

    `times` is how often it was taken from it by now.
    """

    wanted: str
    name: str
    holder: Beat | None
    times: int


class PodName:
    """The name of one pod: what it was to be, and what it is. `epoch` is when it began."""

    def __init__(self, wanted: str, epoch: int, pod_id: str) -> None:
        self.wanted = self.name = wanted
        self.holder: Beat | None = None
        """The last beat of the pod that has the name, while it is not this one."""
        self._rank = epoch, pod_id
        self._times = 0

    def look(self, known: Mapping[str, Peer]) -> Renamed | None:
        """See who else is there; return what is to be told where this pod has another name now."""
        if not self.wanted:
            return None
        elders = {
            peer.beat.name: peer.beat
            for pod, peer in known.items()
            if peer.beats >= PROVEN and (peer.beat.epoch, pod) < self._rank
        }
        self.holder, name = elders.get(self.wanted), borne(self.wanted, elders)
        if name == self.name:
            return None
        self.name = name
        self._times += self.holder is not None
        return Renamed(self.wanted, name, self.holder, self._times)


def borne(wanted: str, taken: Container[str]) -> str:
    """Return the first that is not taken of a name, the name and 2, the name and 3, ….

    One is free among so many as are taken, and one more.
    """
    if wanted not in taken:
        return wanted
    ends = (f"-{number}" for number in count(2))
    names = (wanted[: LONGEST - len(end)] + end for end in ends)
    return next(name for name in names if name not in taken)
