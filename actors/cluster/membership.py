"""The other pods, as far as this one hears them: pure.

Each pod beats about once a second on the channel that all hear. Who is not heard for a while is
missing: it may be dead, or cut off from this pod, and that cannot be told from here. After a longer
while it is not counted any more, but remembered as missing until it is heard again, has said
goodbye, or another pod has come under its name.

    heard ──SILENCE──► missing ──FORGOTTEN──► missing, and not counted ──REMEMBERED──► given up
      ▲ └──bye, replaced──► gone ◄──────────────┴────────────────┘
      └── a beat ──────────────┘
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from ...transport.brokers import Beat, Miss
from ...transport.protocols import Degraded, Healed, OutageCode
from .hearsay import Hearsay
from .peer import PROVEN, Peer

__all__ = ["FORGOTTEN", "Peers"]

MOST_KNOWN: Final = 1024
"""Pods that are known. With more, who comes takes the place of one that is not proven, or else is
passed over: nobody pushes a real one out, and those that somebody made up make room."""
FORGOTTEN: Final = 8.0
"""Seconds after which a pod that is missing is not counted any more."""
REMEMBERED: Final = 600.0
"""Seconds after which it is not even missing any more."""


@frozen
class Heard:
    """What a beat was news of: a pod that is new or back, and marks that were missed before it.

    `after` is the number of the last beat whose marks are known, where some were missed since.
    `late` is how much longer (seconds) it was on its way than the fastest of a while.
    """

    peer: Peer
    came: bool
    after: int | None
    late: float


class Peers:
    """Who is there, who is missing, who is awaited, and who is owed a beat in return.

    `now` is steady seconds in which this pod was awake, `wall` unix seconds.
    """

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._known: dict[str, Peer] = {}
        self._unproven: dict[str, None] = {}
        self._awaited: set[str] = set()
        self._began = -math.inf
        self._owed: dict[str, None] = {}
        self._hearsay = Hearsay(pod_id)
        self._told: Degraded | None = None
        self._given_up = 0

    def __len__(self) -> int:
        """Return how many other pods are taken to be there."""
        return sum(peer.counted for peer in self._known.values())

    @property
    def known(self) -> Mapping[str, Peer]:
        """Every pod that is heard or missing, by its id; to look at."""
        return self._known

    @property
    def heard(self) -> list[str]:
        """The ids of those that are heard."""
        return [pod for pod, peer in self._known.items() if not peer.missing]

    @property
    def counted(self) -> frozenset[str]:
        """The ids of those that are taken to be there."""
        return frozenset(pod for pod, peer in self._known.items() if peer.counted)

    @property
    def hears(self) -> list[str]:
        """The ids of those for whose being there this pod stands: they were heard twice."""
        return [
            pod for pod, peer in self._known.items() if not peer.missing and peer.beats >= PROVEN
        ]

    def misses(self, wall: float) -> list[Miss]:
        """Return those that were heard and are not any more, for other pods to know."""
        return [
            Miss(pod, max(0.0, wall - peer.missing_since))
            for pod, peer in self._known.items()
            if peer.missing
        ]

    @property
    def rumoured(self) -> list[str]:
        """The ids of those of whom others speak and that were never heard here."""
        return [pod for pod in self._hearsay.named if pod not in self._known]

    @property
    def partition(self) -> Degraded | None:
        """What was told last of pods that are missing, while any is."""
        return self._told

    @property
    def complete(self) -> bool:
        """Whether all that were known when the link closed hear this pod again, as far as they say.

        Those that are not expected do not count.
        """
        return not self._awaited

    @property
    def acquainted(self) -> bool:
        """Whether anybody is heard, and everybody whom they hear."""
        heard = [peer for peer in self._known.values() if not peer.missing]
        named = {pod for peer in heard for pod in peer.hears}
        return bool(heard) and named <= {self._pod_id, *self._known}

    @property
    def owed(self) -> bool:
        """Whether somebody said hello and has no answer yet."""
        return bool(self._owed)

    def take_owed(self) -> list[str]:
        """Return who said hello and has no answer yet."""
        owed, self._owed = list(self._owed), {}
        return owed

    # The link ------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Await all that are known: our link has just closed, and theirs may not have yet.

        Those too that were missing before: what cut them off may be what cut this pod off.
        """
        self._began = now
        self._awaited = {pod for pod, peer in self._known.items() if peer.expected}
        for peer in self._known.values():
            if not peer.missing:
                peer.heard_at = now

    def lost(self, wall: float) -> float:
        """Tell nothing more of who is missing: nobody is heard over a link that is gone.

        Returns since when (unix seconds, `wall` at the latest) what others said may have been
        missed: what was told of it is a part of the outage that begins, and nobody has said yet
        what came before a pod's last beat.
        """
        told, self._told = self._told, None
        since = wall if told is None else told.since
        for peer in self._known.values():
            if peer.counted:
                since = min(since, peer.heard_wall - peer.interval)
                peer.missing = False
        return since

    def give_up(self) -> int:
        """Await nobody any more; return how many do not hear this pod, who were awaited before too.

        Whoever is heard, and says that it does not hear, is one of them, and none that is missing.
        """
        gone, self._awaited = self._awaited, set()
        deaf = [pod for pod in gone if self._known[pod].last_at >= self._began]
        for pod in gone.difference(deaf):
            peer = self._known[pod]
            peer.counted = peer.expected = False
            self._miss(peer)
        return len(deaf) + sum(peer.missing for peer in self._known.values())

    def excuse(self, seconds: float, now: float) -> None:
        """Hold it against nobody that this pod itself has slept so long, until now."""
        for peer in self._known.values():  # what came since it woke is heard by now, and no later
            peer.heard_at = min(peer.heard_at + seconds, now)

    # What is heard -------------------------------------------------------------------------

    def note(self, beat: Beat, now: float, wall: float, *, answers: bool = False) -> Heard | None:
        """Take a beat; None where it tells of no pod that is there.

        One that `answers` this pod was said by who has just heard it.

        A pod draws its id at its start, so under one id there is one epoch: what comes with another
        is nobody's word against a pod that is heard, however late it says that it began.
        """
        pod = beat.origin
        if pod == self._pod_id:
            return None
        peer = self._known.get(pod)
        if peer is not None and beat.epoch != peer.beat.epoch:
            if not peer.silent(now):
                return None
            peer.number = None
        if beat.word == "bye":
            if peer is not None:
                self._leave(pod)
            return None
        if beat.word == "hello" and len(self._owed) < MOST_KNOWN:
            self._owed[pod] = None
        if answers or all(miss.pod != self._pod_id for miss in beat.misses):
            self._awaited.discard(pod)
        came = peer is None or peer.missing
        if peer is None:
            peer = self._let_in(beat, now, wall)
            if peer is None:
                return None
        else:
            self._unproven.pop(pod, None)
            peer.take(beat, now)
        peer.hears = peer.hears if beat.hears is None else beat.hears
        self._hearsay.note(peer, self._known, now, wall)
        late = peer.late(beat, now)
        peer.last_at = now - late  # what a server kept while it was frozen is of the dead
        # Until then all that it said has come, or is known to be missing.
        peer.heard_wall = wall - late - max(beat.behind, beat.held)
        return Heard(peer, came, self._follow(peer, beat), late)

    def look(self, now: float, wall: float) -> list[Degraded | Healed]:
        """See who has fallen silent and who is back; return what is to be told of it."""
        silences = [(pod, peer, peer.silent(now)) for pod, peer in self._known.items()]
        silences = [each for each in silences if each[2]]
        youngest = self._youngest() if silences else {}
        for pod, peer, silent in silences:
            replaced = peer.last_at < youngest.get(peer.beat.name, -math.inf)
            if replaced and (peer.missing or peer.beats < PROVEN):
                self._leave(pod)
                continue
            # Who has died and is back is missed all the same, once: its last words may be lost.
            if not replaced and peer.beats < PROVEN and not self._hearsay.vouches(pod, self._known):
                self._drop(pod)  # a voice that nobody else heard, once
                continue
            self._miss(peer)
            if silent > FORGOTTEN:
                peer.counted = False  # though a replay may wait longer for it
            if silent > REMEMBERED:
                self._leave(pod)
                self._given_up += 1
        if len(self._known) >= MOST_KNOWN:
            self._make_room()
        self._hearsay.look(self._known, now)
        return self._tell(wall)

    # Inside ----------------------------------------------------------------------------------

    def _let_in(self, beat: Beat, now: float, wall: float) -> Peer | None:
        """Know one more, if there is place; who takes a missing one's name is no mere voice."""
        pod = beat.origin
        if len(self._known) >= MOST_KNOWN:
            if not self._unproven:
                return None
            self._drop(next(iter(self._unproven)))
        peer = self._known[pod] = Peer(beat, now, wall, came_at=now, last_at=now)
        self._hearsay.came(pod)
        if self._replace(beat):
            peer.beats = PROVEN
        else:
            self._unproven[pod] = None
        return peer

    def _follow(self, peer: Peer, beat: Beat) -> int | None:
        """Note whose marks are known; return after which beat some are missing, or None."""
        known = peer.number
        if known is None:
            peer.number = beat.number
            return 0
        if beat.after is None and beat.number < known:  # what was known so far was made up
            peer.number = beat.number
            return None
        begins = beat.number - 1 if beat.after is None else beat.after
        if begins <= known < beat.number:
            peer.number = known = beat.number
        return known if beat.number > known else None

    @staticmethod
    def _miss(peer: Peer) -> None:
        """Note that a pod is missing, and since when."""
        if not peer.missing:
            peer.missing, peer.missing_since = True, peer.heard_wall - peer.interval

    def _youngest(self) -> dict[str, float]:
        """Return when the last of each name came: one that was silent before is replaced by it.

        When it says that it began proves nothing: its clock may be wrong.
        """
        youngest: dict[str, float] = {}
        for peer in self._known.values():
            name = peer.beat.name
            if name:
                youngest[name] = max(peer.came_at, youngest.get(name, peer.came_at))
        return youngest

    def _make_room(self) -> None:
        """Give up the missing pod that was heard least: there is no place for those that come."""
        missing = [(peer.beats, pod) for pod, peer in self._known.items() if peer.missing]
        if missing:
            self._leave(min(missing)[1])
            self._given_up += 1

    def _drop(self, pod: str) -> None:
        self._known.pop(pod, None)
        self._unproven.pop(pod, None)
        self._awaited.discard(pod)
        self._owed.pop(pod, None)

    def _leave(self, pod: str) -> None:
        self._drop(pod)
        self._hearsay.left(pod)

    def _replace(self, beat: Beat) -> bool:
        """Miss nobody in whose place another has come; say whether anybody was missed."""
        replaced = False
        if not beat.name or self._told is None:  # else there is nobody that is missed
            return replaced
        for pod, peer in list(self._known.items()):
            if peer.missing and peer.beat.name == beat.name:
                self._leave(pod)
                replaced = True
        return replaced

    def _tell(self, wall: float) -> list[Degraded | Healed]:
        missing = [peer for peer in self._known.values() if peer.missing]
        rumoured = self._hearsay.missed
        told = self._told
        count = len(missing) + len(rumoured)
        if not count:
            if told is None:
                return []
            self._told = None
            given_up, self._given_up = self._given_up, 0
            seconds = max(0.0, wall - told.since)
            return [Healed(told.since, seconds, 0, 0, 0, OutageCode.PARTITIONED, given_up=given_up)]
        if told is not None and told.missing == count:
            return []
        since = min([*rumoured.values(), *(peer.missing_since for peer in missing)])
        if told is not None:
            since = min(since, told.since)
        names = [*(peer.beat.name or peer.beat.origin for peer in missing), *rumoured]
        self._told = Degraded(OutageCode.PARTITIONED, since, _shown(names), missing=count)
        return [self._told]


def _shown(names: Iterable[str]) -> str:
    names = sorted(names)
    shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    return f"not heard: {shown}; dead or cut off, that cannot be known here"
