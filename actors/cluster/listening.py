"""What this pod owes those who say things in rooms that it hears: pure. The other end of `hearing`.

Who asks of a room in which nobody is here is promised to be told before somebody is. So a room's
first member is let in when all who were promised it have noted it, or cannot rely on it any more:
who does not hear this pod for that long takes it for missing, and who slept has forgotten.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from attrs import define

from ...transport import Event
from ...transport.brokers import AskHeard, Got, Unattended
from .membership import Peers

__all__ = ["LAPSE", "Listening"]

LAPSE: Final = 4.0
"""Beats' intervals after which a promise to a pod that does not answer has lapsed: by then it
knows that this pod is missing (`peer.SILENCE`, and a beat that was under way)."""
AGAIN: Final = 0.25
"""Seconds until a pod is told again that somebody comes, as long as it has not noted it."""
MOST_PROMISES: Final = 65_536
"""Pods in rooms that are promised to be told; those beyond ask anew each time."""
MOST_WANTED: Final = 65_536
"""Events that are to be acknowledged and not told yet; of more the oldest never are."""
MOST_REMEMBERED: Final = 4096
MOST_SPANS: Final = 64
"""Rooms, by who spoke there, of which is remembered what was told; and runs of events in each."""


@define
class _Coming:
    """A pod that is to note that somebody comes. `first` is the first message that said so."""

    began: float
    again_at: float
    first: int | None = None


class Listening:
    """What was promised and told. `now` is steady seconds.

    `counts` is whether this pod, too, has emits of a room wait: only then can it promise.
    `attends` is whether it listens to a room: for members, for who comes in, or for the room.
    """

    def __init__(
        self, peers: Peers, counts: Callable[[str], bool], attends: Callable[[str], bool]
    ) -> None:
        self._peers = peers
        self._counts = counts
        self._attends = attends
        self._promised: dict[str, dict[str, None]] = {}
        self._promises = 0
        self._coming: dict[str, dict[str, _Coming]] = {}
        self._entering: set[str] = set()
        self._wanted: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], deque[Got]] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody is to be told that somebody comes."""
        return not self._coming

    # Who is in -----------------------------------------------------------------------------

    def enters(self, room: str, now: float) -> bool:
        """Note that a room's first member comes; return whether anybody has to be told."""
        self._entering.add(room)
        promised = self._promised.pop(room, None)
        if promised is None:
            return False
        self._promises -= len(promised)
        there = [pod for pod in promised if pod in self._peers.known]
        self._coming[room] = {pod: _Coming(now, now) for pod in there}
        return True

    def owes(self, room: str, now: float) -> bool:
        """Whether somebody who relies on a promise has not noted yet that it is over."""
        return any(not self._lapsed(pod, one, now) for pod, one in self._coming_to(room).items())

    def entered(self, room: str) -> None:
        """Note that the first member may be let in: from now on events are told to somebody."""
        self._entering.discard(room)

    def left(self, room: str) -> None:
        """Note that nobody is in a room; who has not noted that somebody came is told of the next.

        It was promised so, and knows of no other.
        """
        self._entering.discard(room)
        for pod in self._coming.pop(room, ()):
            self._promise(room, pod)

    def noted(self, pod: str, room: str, number: int) -> bool:
        """Take a pod's word that it awaits this one since a message; return if all have noted."""
        coming = self._coming_to(room)
        one = coming.get(pod)
        if one is None or one.first is None or number < one.first:
            return False
        del coming[pod]
        if not coming:
            del self._coming[room]
        return not coming

    def to_say(self, now: float) -> list[tuple[str, str]]:
        """Return whom to tell by now that somebody comes: pods, and into which room."""
        due = []
        for room in list(self._coming):
            coming = self._coming[room]
            for pod in [pod for pod in coming if pod not in self._peers.known]:
                del coming[pod]
            if not coming:
                del self._coming[room]
            for pod, one in coming.items():
                if one.again_at <= now:
                    one.again_at = now + AGAIN
                    due.append((pod, room))
        return due

    def is_said(self, pod: str, room: str, number: int) -> None:
        """Note the number of the message that tells a pod so."""
        one = self._coming_to(room).get(pod)
        if one is not None and one.first is None:
            one.first = number

    # What is told --------------------------------------------------------------------------

    def wants(self, pod: str, room: str, numbers: Iterable[int]) -> None:
        """Note that a pod wants to know who hears these events of its own."""
        for number in numbers:
            self._wanted[pod, room, number] = None
        while len(self._wanted) > MOST_WANTED:
            self._wanted.popitem(last=False)

    def told(self, room: str, events: Iterable[Event], members: int) -> list[tuple[str, Got]]:
        """Note that events are told here; return what each pod is to know that wants to."""
        numbers: dict[str, list[int]] = {}
        for event in events:
            key = event.origin, room, event.sequence
            if key in self._wanted:
                del self._wanted[key]
                numbers.setdefault(event.origin, []).append(event.sequence)
        return [
            (pod, got)
            for pod, theirs in numbers.items()
            for got in self._remember(pod, room, theirs, members)
        ]

    def answer(self, pod: str, asked: AskHeard) -> list[Got | Unattended]:
        """Return what a pod is told of events of a room that it asks about; nothing is not yet."""
        room, first, last = asked
        if self._attends(room) and room not in self._entering:
            told = self._told.get((pod, room), ())
            return [got for got in told if got.first <= last and first <= got.last]
        attended = room in self._entering
        return [Unattended(room, first, last, not attended and self._promise(room, pod))]

    # Inside --------------------------------------------------------------------------------

    def _remember(self, pod: str, room: str, numbers: Sequence[int], members: int) -> list[Got]:
        got = [Got(room, first, last, members) for first, last in _runs(numbers)]
        key = pod, room
        remembered = self._told.get(key)
        if remembered is None:
            remembered = self._told[key] = deque(maxlen=MOST_SPANS)
            if len(self._told) > MOST_REMEMBERED:
                self._told.popitem(last=False)
        else:
            self._told.move_to_end(key)
        remembered += got
        return got

    def _promise(self, room: str, pod: str) -> bool:
        promised = self._promised.get(room)
        if promised is not None and pod in promised:
            return True
        if not self._counts(room) or self._promises >= MOST_PROMISES:
            return False
        if pod not in self._peers.known:
            return False
        self._promised.setdefault(room, {})[pod] = None
        self._promises += 1
        return True

    def _coming_to(self, room: str) -> dict[str, _Coming]:
        return self._coming.get(room, {})

    def _lapsed(self, pod: str, one: _Coming, now: float) -> bool:
        peer = self._peers.known.get(pod)
        if peer is None:
            return True
        patience = LAPSE * peer.beat.interval
        return now - min(one.began, peer.heard_at) >= patience


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of numbers that follow each other."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
