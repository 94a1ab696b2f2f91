"""Judges what was seen of a run: pure. Each rule returns what breaks it, in sentences."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field, frozen

from .history import (
    Answered,
    Began,
    Calm,
    Entered,
    Gone,
    Hearing,
    Met,
    Paused,
    Record,
    Resumed,
    Slow,
    Spoken,
    Told,
    View,
)

__all__ = ["RULES", "Violation", "judge"]

IN_TIME: Final = 3.0
"""Seconds within which those whom a hole concerns are told of it."""
ANSWERED: Final = 8.0
"""Seconds within which an emit is answered, whatever becomes of it."""
KNOWN: Final = 1.5
"""Seconds after which a pod of which another could know is known there."""
LATE: Final = 1.0
"""Seconds that an event may be on its way when nothing is wrong."""
ROUNDED: Final = 0.002
"""Seconds by which what is written in milliseconds may be off, twice."""
ALL_HEAR: Final = frozenset({"cluster", "partial", "queued", "local"})


@frozen
class Violation:
    """A rule that is broken, and how; `at` is seconds since the run began."""

    rule: str
    at: float
    sentence: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.at:6.3f} s {self.rule}: {self.sentence}"


@define
class _Stay:
    """A client in a room, from the acknowledgement on. `heard` is when it first heard what.

    `life` is which of its pod's it is.
    """

    client: str
    pod: int
    room: str
    begin: float
    end: float
    life: int
    heard: dict[tuple[str, int], float] = field(factory=dict)


@define
class _Outage:
    """What a client was told: `told_at`, of the time from `since` to `until`."""

    room: str | None
    code: str
    told_at: float
    since: float
    until: float | None = None


class _Seen:
    """A history, put in order for the rules."""

    def __init__(self, history: Sequence[Record]) -> None:
        self.history = history
        self.end = history[-1].at if history else 0.0
        self.stays: list[_Stay] = []
        self.said: dict[tuple[str, int], Spoken] = {}
        self.answers: dict[tuple[str, int], list[Answered]] = defaultdict(list)
        self.outages: dict[str, list[_Outage]] = defaultdict(list)
        self.calm = math.inf
        self.slow: list[Slow] = []
        self.gone: dict[str, float] = {}
        self.pauses: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self.lives: dict[int, list[float]] = defaultdict(list)
        self.met: dict[tuple[int, int, int, int], float] = {}
        self.told: list[Told] = []
        self.strays: list[Hearing] = []
        self.heard: list[tuple[_Stay, Hearing]] = []
        self._open: dict[tuple[str, str], _Stay] = {}
        self._paused: dict[int, float] = {}
        for record in history:
            self._take(record)
        for pod, at in self._paused.items():
            self.pauses[pod].append((at, self.end))
        self.taken = {key: self._taken(said) for key, said in self.said.items()}
        """All that was said, as of when its pod's room took it: it may wait behind a join."""

    def _taken(self, said: Spoken) -> Spoken:
        key = said.client, said.number
        heard = [
            stay.heard[key] for stay in self.stays if stay.pod == said.pod and key in stay.heard
        ]
        return Spoken(max(said.at, min(heard, default=said.at)), *said[1:])

    def _take(self, record: Record) -> None:
        match record:
            case Entered():
                self._join(record)
            case Gone():
                self._part(record)
            case Spoken():
                self.said[record.client, record.number] = record
            case Answered():
                self.answers[record.client, record.number].append(record)
            case Hearing():
                self._hear(record)
            case Told():
                self._tell(record)
            case Calm():
                self.calm = record.at
            case Slow():
                self.slow.append(record)
            case Began() | Met() | Paused() | Resumed():
                self._live(record)

    def _live(self, record: Began | Met | Paused | Resumed) -> None:
        match record:
            case Began():
                self.lives[record.pod].append(record.at)
            case Met():
                pod, other = record.pod, record.other
                lives = len(self.lives[pod]), len(self.lives[other])
                self.met.setdefault((pod, lives[0], other, lives[1]), record.at)
            case Paused():
                self._paused[record.pod] = record.at
            case Resumed():
                self.pauses[record.pod].append((self._paused.pop(record.pod), record.at))

    def _join(self, joined: Entered) -> None:
        key = joined.client, joined.room
        if key not in self._open:
            life = len(self.lives[joined.pod])
            stay = _Stay(joined.client, joined.pod, joined.room, joined.at, self.end, life)
            self._open[key] = stay
            self.stays.append(stay)

    def _part(self, gone: Gone) -> None:
        if gone.room is None:
            self.gone[gone.client] = gone.at
        for key in [key for key in self._open if key[0] == gone.client]:
            if gone.room is None or key[1] == gone.room:
                self._open.pop(key).end = gone.at

    def _hear(self, heard: Hearing) -> None:
        stay = self._open.get((heard.client, heard.room))
        if stay is None:
            self.strays.append(heard)
        else:
            self.heard.append((stay, heard))
            stay.heard.setdefault((heard.speaker, heard.number), heard.at)

    def _tell(self, told: Told) -> None:
        self.told.append(told)
        outages = self.outages[told.client]
        ongoing = [o for o in outages if o.until is None and _same(o, told)]
        if told.until is None:
            outages.append(_Outage(told.room, told.code, told.at, told.since))
            return
        if not ongoing:
            outages.append(_Outage(told.room, told.code, told.at, told.since, told.until))
        for outage in ongoing:
            outage.until = told.until

    def due(self, said: Spoken, stay: _Stay) -> float:
        """Return by when a client is to be told that it did not hear something.

        Never where its pod could not know that there is one that says anything.
        """
        since = said.at
        if said.pod != stay.pod:
            since = max(since, self.known_at(stay.pod, stay.life, said.pod, said.at))
        due = self.awake(stay.pod, since, IN_TIME)
        # The word of it goes to a server and from it, as the words themselves do.
        return due + max(
            (
                2 * slow.delay
                for slow in self.slow
                if slow.at < due and since < slow.at + slow.seconds
            ),
            default=0.0,
        )

    def knew(self, said: Spoken, stay: _Stay) -> bool:
        """Whether the pod that said it could know, for a while, of that of a client."""
        life = sum(began <= said.at for began in self.lives[said.pod])
        known = self.known_at(said.pod, life, stay.pod, stay.begin)
        return said.pod == stay.pod or known + KNOWN < said.at

    def stayed(self, client: str, outage: _Outage) -> bool:
        """Whether a client is still in the room of which it was told, or it was of all."""
        return outage.room is None or any(
            stay.client == client and stay.room == outage.room
            for stay in self.stays
            if stay.begin <= outage.told_at and stay.end >= self.end
        )

    def known_at(self, pod: int, life: int, other: int, at: float) -> float:
        """Return when a pod could first know of the life that another leads at some time."""
        lives = sum(began <= at for began in self.lives[other])
        return self.met.get((pod, life, other, lives), math.inf)

    def awake(self, pod: int, at: float, seconds: float) -> float:
        """Return when a pod has been awake for so many seconds since a time."""
        due = at + seconds
        for begin, end in self.pauses[pod]:
            if end > at and begin < due:
                due += end - max(begin, at)
        return due


def _same(outage: _Outage, told: Told) -> bool:
    if told.room is not None or outage.room is not None:
        return outage.room == told.room
    # An outage of the link takes in what was told of pods that were missing: it ends both.
    return told.code != "partitioned" or outage.code == "partitioned"


# The rules ------------------------------------------------------------------------------------

_Rule: TypeAlias = Callable[[_Seen], Iterator[tuple[float, str]]]


def _order(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Hear what one client says in a room in its order."""
    last: dict[tuple[int, str], int] = {}
    for stay, heard in seen.heard:
        key = id(stay), heard.speaker
        if heard.number < last.get(key, 0):
            yield heard.at, f"{_what(heard)} came to {heard.client} after {last[key]}"
        last[key] = max(heard.number, last.get(key, 0))


def _duplicates(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Hear nothing twice."""
    known: set[tuple[int, str, int]] = set()
    for stay, heard in seen.heard:
        key = id(stay), heard.speaker, heard.number
        if key in known:
            yield heard.at, f"{_what(heard)} came twice to {heard.client}"
        known.add(key)


def _inventions(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Hear what was said, before, in that room, by who is in it."""
    for heard in seen.strays:
        yield heard.at, f"{_what(heard)} came to {heard.client}, who is not in {heard.room}"
    for _, heard in seen.heard:
        said = seen.said.get((heard.speaker, heard.number))
        if said is None or said.room != heard.room or said.at > heard.at:
            yield heard.at, f"{_what(heard)} came to {heard.client} and was never said there"


def _receipts(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Answer each emit once, in time."""
    for key, said in seen.said.items():
        answers = seen.answers.get(key, ())
        if len(answers) > 1:
            scopes = ", ".join(answer.scope for answer in answers)
            yield answers[1].at, f"{_what(said)} was answered {len(answers)} times: {scopes}"
        due = seen.awake(said.pod, said.at, ANSWERED)
        if due < min(seen.end, seen.gone.get(said.client, seen.end)) and (
            not answers or answers[0].at > due
        ):
            yield due, f"{_what(said)} has no answer after {ANSWERED:g} s"


def _false_receipts(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Let nobody hear what was rejected; and all hear of the cluster's, or be told."""
    for _, heard in seen.heard:
        for answer in seen.answers.get((heard.speaker, heard.number), ()):
            if answer.scope == "rejected":
                yield heard.at, f"{_what(heard)} was rejected, and came to {heard.client}"
    for said, stay, declared in _holes(seen):
        if declared is None and _scope(seen, said) == "cluster":
            yield said.at, f"{_what(said)} is 'cluster', and {stay.client} is told nothing"


def _unheard(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Let those have heard of whom a receipt says so: all in the room, or as many as it says."""
    by_room = _by_room(seen)
    for key, said in seen.said.items():
        for answer in seen.answers.get(key, ()):
            if answer.members < 0:
                continue
            stays = by_room[said.room]
            heard = sum(stay.heard.get(key, seen.end) <= answer.at for stay in stays)
            if heard < answer.members:
                yield answer.at, f"{heard} had heard {_what(said)}, and not {answer.members}"
            if answer.scope != "cluster":
                continue
            for stay in stays:
                in_it = stay.begin < said.at and answer.at < stay.end
                missed = in_it and stay.heard.get(key, seen.end) > answer.at
                if missed and not _is_alone(seen, said, stay) and seen.knew(said, stay):
                    yield answer.at, f"{stay.client} had not heard {_what(said)}"


def _undeclared(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Tell somebody of what it should have heard, and did not."""
    for said, stay, declared in _holes(seen):
        if declared is None:
            scope = _scope(seen, said)
            yield said.at, f"{_what(said)} ({scope}) never came to {stay.client} on pod {stay.pod}"


def _late(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Tell it in time."""
    for said, stay, declared in _holes(seen):
        due = seen.due(said, stay) + ROUNDED
        if declared is not None and declared > due:
            seconds = declared - said.at
            yield due, f"{stay.client} was told of {_what(said)} only after {seconds:.3f} s"


def _reach(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Reach everybody, when nothing has been wrong for a while."""
    by_room = _by_room(seen)
    for key, said in seen.said.items():
        scope = _scope(seen, said)
        for stay in by_room[said.room] if said.at > seen.calm and scope in ALL_HEAR else ():
            there = stay.begin < said.at and stay.end > said.at + LATE
            if there and key not in stay.heard:
                yield said.at, f"{_what(said)} did not reach {stay.client}, though all is well"
        refused = scope.startswith("error:")  # and told so
        if (
            said.at > seen.calm
            and scope != "cluster"
            and said.client not in seen.gone
            and not refused
        ):
            yield said.at, f"{_what(said)} is {scope!r}, though all is well"


def _membership(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Know all the other pods in the end, and no more."""
    for view in seen.history:
        if isinstance(view, View) and view.peers != view.live - 1:
            yield view.at, f"pod {view.pod} counts {view.peers} others of {view.live - 1}"


def _healing(seen: _Seen) -> Iterator[tuple[float, str]]:
    """Tell nothing to be wrong any more in the end."""
    for view in seen.history:
        if isinstance(view, View) and view.degraded:
            yield view.at, f"pod {view.pod} is still degraded: {view.degraded}"
    for client, outages in seen.outages.items():
        for outage in outages:
            if outage.until is None and client not in seen.gone and seen.stayed(client, outage):
                where = "everything" if outage.room is None else outage.room
                yield seen.end, f"{client} is not told that {where} is well again ({outage.code})"


RULES: Final[Mapping[str, _Rule]] = {
    "order": _order,
    "duplicate": _duplicates,
    "invention": _inventions,
    "receipt": _receipts,
    "false receipt": _false_receipts,
    "unheard": _unheard,
    "undeclared": _undeclared,
    "late": _late,
    "reach": _reach,
    "membership": _membership,
    "healing": _healing,
}
"""What must hold, by name."""


def judge(history: Sequence[Record], rules: Collection[str] = RULES.keys()) -> list[Violation]:
    """Return all that breaks these rules, in the order of time."""
    seen = _Seen(history)
    found = [Violation(name, at, sentence) for name in rules for at, sentence in RULES[name](seen)]
    return sorted(found, key=lambda violation: violation.at)


def _holes(seen: _Seen) -> Iterator[tuple[Spoken, _Stay, float | None]]:
    """Yield what a client in the room should have heard and did not, and when it was told of it.

    None is for never. Whoever did not stay long enough to be told is passed over, and so is what
    was refused.
    """
    by_room = _by_room(seen)
    for said in seen.taken.values():
        if _scope(seen, said) not in ALL_HEAR:
            continue
        for stay in by_room[said.room]:
            if not stay.begin < said.at < stay.end or (said.client, said.number) in stay.heard:
                continue
            if stay.end > seen.due(said, stay) + LATE:
                yield said, stay, _declared(seen, said, stay)


def _is_alone(seen: _Seen, said: Spoken, stay: _Stay) -> bool:
    """Whether a client had been told that its own pod does not hear the others."""
    return any(
        outage.code in ("starting", "cut_off")
        and outage.told_at <= said.at
        and (outage.until is None or said.at <= outage.until + ROUNDED)
        for outage in seen.outages[stay.client]
    )


def _by_room(seen: _Seen) -> Mapping[str, list[_Stay]]:
    by_room: dict[str, list[_Stay]] = defaultdict(list)
    for stay in seen.stays:
        by_room[stay.room].append(stay)
    return by_room


def _declared(seen: _Seen, said: Spoken, stay: _Stay) -> float | None:
    times = [
        outage.told_at
        for outage in seen.outages[stay.client]
        if outage.room in (None, said.room)
        and outage.since <= said.at + ROUNDED
        and (outage.until is None or said.at <= outage.until + ROUNDED)
    ]
    return min(times, default=None)


def _scope(seen: _Seen, said: Spoken) -> str:
    answers = seen.answers.get((said.client, said.number))
    # Who has no answer, for its pod has died, may have been heard or not: nobody was promised it.
    return answers[0].scope if answers else "unanswered"


def _what(record: Spoken | Hearing) -> str:
    speaker = record.speaker if isinstance(record, Hearing) else record.client
    return f"{record.number} of {speaker} in {record.room}"
