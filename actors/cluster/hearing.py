"""Who has heard an emit whose receipt says so, and for whom it waits still: pure.

An emit waits for each pod that has members in its room, or may have: all that are known here, but
those that have promised to tell this pod before they let somebody in (`Unattended`). Such a promise
is good as long as this pod hears the other and looks after what it hears; `listening` is how it is
kept, and for how long. Who is missing has not heard, whatever it promised: nobody knows whom it
lets in. That goes for those too whom only others have known.

Sources: the callback promises of the Andrew File System (Howard et al., 1988), and leases (Gray and
Cheriton, 1989).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from attrs import define, field

from ...transport import InDoubt, Outcome, Reach, Scope
from ...transport.brokers import Acks, AskHeard
from .membership import Peers

__all__ = ["PATIENCE", "Reached", "Receipts", "Tell", "Waiting"]

PATIENCE: Final = 3.0
"""Seconds after which an emit waits for no pod any more: enough to know who is missing."""
ACQUAINTED: Final = 2.0
"""Seconds that a link is up before a pod knows who else is there, and is known to them: each beats
about once in one, and answers a greeting at once."""
ASK_AFTER: Final = 0.2
"""Seconds after which a pod that is awaited is asked; and again, as often."""
FRESH: Final = 1.0
"""Seconds since a pod last looked after the others, beyond which it has slept: what it knew may
have been told to be otherwise meanwhile. Well below what a pod waits for another (`LAPSE`)."""
MOST_WAITING: Final = 16_384
"""Emits that wait at a time; those beyond wait for nobody, and say so."""
MOST_ROOMS: Final = 4096
"""Rooms of which is known who has members in them; all are asked anew about the others."""

Tell: TypeAlias = Callable[[Outcome], None]
"""Learns what became of an emit; called once, on trio's thread, and must not wait or raise."""


class Reached(NamedTuple):
    """An emit of which all is known that will be: whom to tell, and what."""

    tell: Tell
    outcome: Outcome


@define(eq=False)
class Waiting:
    """An emit that waits; `taken` is whether the broker has it. Times are steady seconds.

    Each pod is in one of these at most: `heard`, with its members, `excused`, for nobody is there
    who should have heard it, `awaited`, and `unheard`, which will not be waited for.
    """

    tell: Tell
    room: str = ""
    number: int = 0
    due: float = 0.0
    ask_at: float = 0.0
    taken: bool = False
    over: bool = False
    heard: dict[str, int] = field(factory=dict)
    excused: set[str] = field(factory=set)
    awaited: set[str] = field(factory=set)
    unheard: set[str] = field(factory=set)

    def reach(self, scope: Scope) -> Reach:
        """Return how many have heard it, of how many."""
        members = [count for count in self.heard.values() if count]
        of = len(members) + len(self.awaited) + len(self.unheard)
        return Reach(scope, len(members), of, sum(members))


class Receipts:
    """The emits of this pod that wait. `now` is steady seconds, `patience` is in seconds too."""

    def __init__(self, peers: Peers, patience: float = PATIENCE) -> None:
        self._peers = peers
        self._patience = patience
        self._waiting: dict[str, dict[int, Waiting]] = {}
        self._count = 0
        # By room and pod: whether it has members, or has promised to tell. Else it is not known.
        self._attended: OrderedDict[str, dict[str, bool]] = OrderedDict()
        self._there: set[str] = set()
        self._asking: dict[str, list[AskHeard]] = {}
        self._looked = self._acquainted_at = 0.0

    def __len__(self) -> int:
        """Return how many emits wait."""
        return self._count

    @property
    def idle(self) -> bool:
        """Whether there is nothing to look after."""
        return not self._count and not self._attended

    @property
    def asks(self) -> bool:
        """Whether a question is to be asked at once."""
        return bool(self._asking)

    def is_strange(self, now: float) -> bool:
        """Whether others may be there that do not know this pod, nor it them."""
        return now < self._acquainted_at

    # The link ------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """Begin: who else is there has to be found out."""
        self._looked = now
        self._acquainted_at = now + min(ACQUAINTED, self._patience)

    def lost(self) -> list[Reached]:
        """Wait for nobody any more: no answer comes over a link that is gone.

        What others promised is worth nothing: this pod does not hear when they take it back.
        """
        self._attended.clear()
        self._asking.clear()
        self._acquainted_at = 0.0
        everything = [one for room in self._waiting.values() for one in room.values()]
        return [self._end(one, Scope.PARTIAL) for one in everything if one.taken]

    # What is said --------------------------------------------------------------------------

    def begin(self, waiting: Waiting, room: str, number: int, now: float) -> None:
        """Wait for the pods that have members in a room, for an event that goes to the broker."""
        self._see_whether_it_slept(now)
        waiting.room, waiting.number, waiting.due = room, number, now + self._patience
        waiting.ask_at = now + ASK_AFTER
        if self._count >= MOST_WAITING:
            waiting.due = now
            self._await_all(waiting, ask=False)
            return
        self._waiting.setdefault(room, {})[number] = waiting
        self._count += 1
        if room in self._attended:
            self._attended.move_to_end(room)
        else:
            self._attended[room] = {}
            if len(self._attended) > MOST_ROOMS:
                self._attended.popitem(last=False)
        self._await_all(waiting, ask=True)

    def taken(self, waiting: Waiting, link: Scope | InDoubt, now: float) -> list[Reached]:
        """Note what the link has made of it: the broker has it, or no other pod will hear it."""
        if waiting.over:
            return []
        if link is not Scope.CLUSTER:
            # What is in doubt may have got there after all.
            heard = any(waiting.heard.values()) and link in (Scope.LOCAL, InDoubt())
            return [self._end(waiting, Scope.PARTIAL if heard else link)]
        waiting.taken = True
        return self._reached([waiting], now)

    # What comes ----------------------------------------------------------------------------

    def hears(self, said: Acks, now: float) -> list[Reached]:
        """Take what a pod that is known acknowledges; what nobody asked about changes nothing."""
        pod, changed = said.origin, dict[Waiting, None]()
        for room, first, last, members in said.got:
            if room in self._attended:
                self._attended[room][pod] = True
            for waiting in self._between(room, first, last):
                _answer(waiting, pod)
                waiting.heard[pod] = members
                changed[waiting] = None
        for room, first, last, promised in said.nobody:
            self._is_empty(room, pod, promised=promised)
            # A promise is of all that waits: this pod is told of whoever comes before it is in.
            first, last = (0, _END) if promised else (first, last)
            for waiting in self._between(room, first, last):
                if pod not in waiting.heard:
                    _answer(waiting, pod)
                    waiting.excused.add(pod)
                    changed[waiting] = None
        for room in said.coming:
            if room in self._attended:
                self._attended[room][pod] = True
        return self._reached(changed, now)

    def look(self, now: float) -> list[Reached]:
        """See who is missing or gone, and what is due; note who is to be asked."""
        self._see_whether_it_slept(now)
        self._looked = now
        self._see_who_is_there()
        everything = [one for room in self._waiting.values() for one in room.values()]
        for waiting in everything:
            if waiting.ask_at <= now:
                waiting.ask_at = now + ASK_AFTER
                self._ask(waiting, waiting.awaited)
        return self._reached(everything, now)

    def take_questions(self) -> dict[str, list[AskHeard]]:
        """Return what each pod is to be asked."""
        asking, self._asking = self._asking, {}
        return asking

    # Inside --------------------------------------------------------------------------------

    def _see_whether_it_slept(self, now: float) -> None:
        if now - self._looked > FRESH:
            self._attended.clear()
            self._looked = now

    def _await_all(self, waiting: Waiting, *, ask: bool) -> None:
        """Await each pod that is known and has not answered, nor promised."""
        attended = self._attended.get(waiting.room, {})
        unknown = set()
        for pod, peer in self._peers.known.items():
            if pod in waiting.heard or pod in waiting.excused or pod in waiting.awaited:
                continue
            if peer.missing:
                waiting.unheard.add(pod)
            elif attended.get(pod, True):
                waiting.unheard.discard(pod)
                waiting.awaited.add(pod)
                if pod not in attended:
                    unknown.add(pod)
        waiting.unheard.update(self._peers.rumoured)
        if ask:
            self._ask(waiting, unknown)

    def _ask(self, waiting: Waiting, pods: Iterable[str]) -> None:
        room, number = waiting.room, waiting.number
        for pod in pods:
            asked = self._asking.setdefault(pod, [])
            if asked and asked[-1].room == room and asked[-1].last == number - 1:
                asked[-1] = AskHeard(room, asked[-1].first, number)
            else:
                asked.append(AskHeard(room, number, number))

    def _between(self, room: str, first: int, last: int) -> Sequence[Waiting]:
        waiting = self._waiting.get(room)
        if not waiting:
            return ()
        if last - first < len(waiting):
            return [waiting[n] for n in range(first, last + 1) if n in waiting]
        return [one for number, one in waiting.items() if first <= number <= last]

    def _is_empty(self, room: str, pod: str, *, promised: bool) -> None:
        attended = self._attended.get(room)
        if attended is not None and promised:
            attended[pod] = False
        elif attended is not None:
            attended.pop(pod, None)

    def _see_who_is_there(self) -> None:
        known = self._peers.known
        there = {pod for pod, peer in known.items() if not peer.missing}
        gone, self._there = self._there - there, there
        if not gone:
            return
        for attended in self._attended.values():
            for pod in gone & attended.keys():
                del attended[pod]
        for room in self._waiting.values():
            for waiting in room.values():
                waiting.awaited -= gone

    def _reached(self, candidates: Iterable[Waiting], now: float) -> list[Reached]:
        """End those of which all is known that will be."""
        reached = []
        for waiting in candidates:
            if waiting.over or not waiting.taken:
                continue
            late = waiting.due <= now
            if not late and (waiting.awaited or self.is_strange(now)):
                continue
            self._await_all(waiting, ask=not late)  # who has come since, and who is missing
            if late or not waiting.awaited:
                whole = not (waiting.awaited or waiting.unheard or self.is_strange(now))
                reached.append(self._end(waiting, Scope.CLUSTER if whole else Scope.PARTIAL))
        return reached

    def _end(self, waiting: Waiting, link: Scope | InDoubt) -> Reached:
        waiting.over = True
        room = self._waiting.get(waiting.room)
        if room is not None and room.pop(waiting.number, None) is not None:
            self._count -= 1
            if not room:
                del self._waiting[waiting.room]
        if link in (Scope.CLUSTER, Scope.PARTIAL) and isinstance(link, Scope):
            return Reached(waiting.tell, waiting.reach(link))
        return Reached(waiting.tell, link)


_END: Final = 2**53


def _answer(waiting: Waiting, pod: str) -> None:
    waiting.awaited.discard(pod)
    waiting.unheard.discard(pod)
    waiting.excused.discard(pod)
