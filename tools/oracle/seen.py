"""A history, put in order: who was where and when, what each was told, what could be known."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

from .history import (
    Answered,
    Befell,
    Began,
    Calm,
    Carried,
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
)

__all__ = ["Outage", "Seen", "Stay"]

IN_TIME: Final = 3.0
"""Seconds within which those whom a hole concerns are told of it."""
KNOWN: Final = 1.5
"""Seconds after which a pod of which another could know is known there."""


@define
class Stay:
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
class Outage:
    """What a client was told: `told_at`, of the time from `since` to `until`."""

    room: str | None
    code: str
    told_at: float
    since: float
    until: float | None = None
    ended_at: float = math.inf
    """When it was told to be over."""


class Seen:
    """A history, put in order for the rules.

    `slack` is by how much (seconds) what different clients saw may be apart: it is nothing in a
    simulator, where they all see it at once.
    """

    def __init__(self, history: Sequence[Record], slack: float = 0.0) -> None:
        self.slack = slack
        self.history = history
        self.end = history[-1].at if history else 0.0
        self.stays: list[Stay] = []
        self.said: dict[tuple[str, int], Spoken] = {}
        self.answers: dict[tuple[str, int], list[Answered]] = defaultdict(list)
        self.outages: dict[str, list[Outage]] = defaultdict(list)
        self.calm = math.inf
        self.slow: list[Slow] = []
        self.befell: list[Befell] = []
        self.carried: dict[tuple[str, int], list[Carried]] = defaultdict(list)
        self.gone: dict[str, float] = {}
        self.pauses: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self.lives: dict[int, list[float]] = defaultdict(list)
        self.met: dict[tuple[int, int, int, int], float] = {}
        self.told: list[Told] = []
        self.strays: list[Hearing] = []
        self.heard: list[tuple[Stay, Hearing]] = []
        self._open: dict[tuple[str, str], Stay] = {}
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
            case Carried():
                self.carried[record.speaker, record.number].append(record)
            case Calm() | Slow() | Befell():
                self._go_wrong(record)
            case Began() | Met() | Paused() | Resumed():
                self._live(record)

    def _go_wrong(self, record: Calm | Slow | Befell) -> None:
        match record:
            case Calm():
                self.calm = record.at
            case Slow():
                self.slow.append(record)
            case Befell():
                self.befell.append(record)

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
            stay = Stay(joined.client, joined.pod, joined.room, joined.at, self.end, life)
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
            outages.append(Outage(told.room, told.code, told.at, told.since))
            return
        if not ongoing:
            outages.append(Outage(told.room, told.code, told.at, told.since, told.until, told.at))
        for outage in ongoing:
            outage.until, outage.ended_at = told.until, told.at

    def due(self, said: Spoken, stay: Stay) -> float:
        """Return by when a client is to be told that it did not hear something.

        Never where its pod could not know that there is one that says anything.
        """
        since = said.at
        if said.pod != stay.pod:
            since = max(since, self.known_at(stay.pod, stay.life, said.pod, said.at))
        due = self.awake(stay.pod, since, IN_TIME + self.slack)
        # The word of it goes to a server and from it, as the words themselves do.
        return due + max(
            (
                2 * slow.delay
                for slow in self.slow
                if slow.at < due and since < slow.at + slow.seconds
            ),
            default=0.0,
        )

    def knew(self, said: Spoken, stay: Stay) -> bool:
        """Whether the pod that said it could know, for a while, of that of a client."""
        life = sum(began <= said.at for began in self.lives[said.pod])
        known = self.known_at(said.pod, life, stay.pod, stay.begin)
        return said.pod == stay.pod or known + KNOWN < said.at

    def parts(self, stay: Stay, since: float, until: float) -> bool:
        """Whether a client left in some time, which its pod may have noticed only after it.

        A simulator's clients are gone at once, on their pods too: there none is on its way.
        """
        return self.slack > 0 and since - self.slack < stay.end < min(until, self.end)

    def apart(self, said: Spoken, stay: Stay, late: float) -> bool:
        """Whether a client, or one of the speaking pod, was told that something is wrong.

        That was before somebody said something, or as long as that may be on its way (s).
        """
        there = {
            one.client
            for one in self.stays
            if one.pod == said.pod and one.begin < said.at < one.end
        }
        return any(self._is_told(client, said.at, late) for client in (*there, stay.client))

    def is_over(self, said: Spoken, stay: Stay, late: float) -> bool:
        """Whether all faults were over, and a client was told so, before somebody said something.

        Its pod is to be heard too: `late` seconds later nothing else has gone wrong.
        """
        over = max((one.until for one in self.befell if one.at < said.at + late), default=0.0)
        return any(
            outage.room is None and over <= outage.ended_at < said.at
            for outage in self.outages[stay.client]
        )

    def is_unnoticed(self, at: float) -> bool:
        """Whether something is wrong at a time of which nobody can know yet."""
        return any(
            one.at <= at < one.until and (one.hidden or at - one.at < IN_TIME)
            for one in self.befell
        )

    def accounts(self, at: float, of: Callable[[Told], int]) -> bool:
        """Whether anybody was told of some that are lost, or not back, at a time or later."""
        return any(told.at >= at and of(told) for told in self.told)

    def lives_on(self, said: Spoken) -> bool:
        """Whether the pod that said something lives to the end, and the client is there."""
        began = self.lives[said.pod]
        return said.client not in self.gone and not any(at > said.at for at in began)

    def _is_told(self, client: str, at: float, late: float) -> bool:
        return any(
            outage.room is None and outage.told_at <= at + late and at < outage.ended_at
            for outage in self.outages[client]
        )

    def stayed(self, client: str, outage: Outage) -> bool:
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


def _same(outage: Outage, told: Told) -> bool:
    if told.room is not None or outage.room is not None:
        return outage.room == told.room
    # An outage of the link takes in what was told of pods that were missing: it ends both.
    return told.code != "partitioned" or outage.code == "partitioned"
