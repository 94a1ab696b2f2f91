"""What a pod's beats say: of itself, whom it hears, and what it said since the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from ...transport.brokers import MOST_HEARD, MOST_MARKS, AskSince, Beat, Mark
from .link import Link
from .pace import interval

__all__ = ["BeatMaker", "MarkedBeat"]

HEARD_AGAIN: Final = 10
"""Beats after which a pod says again whom it hears, though that is as before: one may be lost."""


@frozen
class MarkedBeat:
    """A beat that stands in the outbox, behind all the events that it tells of, since `at`."""

    said: Beat
    at: float


class BeatMaker:
    """Makes the beats of one connection; `node` is the broker's server that this pod is with.

    `waiting` is the beat that stands in the outbox, or None.
    """

    def __init__(self, link: Link, node: str) -> None:
        self._link = link
        self.node = node
        self.waiting: MarkedBeat | None = None
        self._said = link.state.numbering.beat
        """The number of the last beat that told of rooms and was said, not only made: what a later
        one tells of may stand in the outbox still, and who is told of it would take it for lost."""
        self._all_said_at = link.clock()
        self._heard_said: tuple[str, ...] | None = None
        self._heard_again = 0

    def begin(self) -> None:
        """Count from now on how long words wait."""
        self._all_said_at = self._link.clock()

    @property
    def interval(self) -> float:
        """Seconds between two beats of this pod."""
        return interval(len(self._link.state.peers))

    def plain(self, word: str) -> Beat:
        """Return a beat that tells of no room: it shows who misses one that did."""
        made = self._made(word, number=self._said, after=self._said)
        return evolve(made, behind=self._behind())

    def next(self) -> MarkedBeat:
        """Return the next beat that tells of rooms, which waits from now on."""
        link, numbering = self._link, self._link.state.numbering
        marks = numbering.marks(link.clock(), MOST_MARKS, link.state.held)
        made = self._made("here", marks=marks, number=numbering.beat)
        self.waiting = MarkedBeat(evolve(made, hears=self._news_of_hearing()), link.clock())
        return self.waiting

    def said(self, marked: MarkedBeat) -> Beat:
        """Return a beat that stood in line as it is said now: all before it has been."""
        now = self._link.clock()
        self._said = max(self._said, marked.said.number)
        if marked is self.waiting:
            self.waiting, self._all_said_at = None, now
        stood = now - marked.at
        marks = tuple(
            Mark(room, first, last, first_age + stood, last_age + stood)
            for room, first, last, first_age, last_age in marked.said.marks
        )
        # What was said while it stood there it does not tell of.
        state = self._link.state
        behind = min(stood, state.numbering.untold(now, state.held)) - self._usual()
        return evolve(marked.said, marks=marks, clock=now, behind=max(0.0, behind))

    def since(self, question: AskSince) -> list[Beat]:
        """Return what tells a pod that missed beats of what they told."""
        state = self._link.state
        now = self._link.clock()
        marks = state.numbering.since(question.number, now, state.held, until=self._said)
        pieces: Sequence[Sequence[Mark]] = [
            marks[i : i + MOST_MARKS] for i in range(0, len(marks), MOST_MARKS)
        ] or [[]]
        beats = []
        for piece in pieces:
            number = self._said if piece is pieces[-1] else question.number
            made = self._made("here", marks=tuple(piece), number=number, after=question.number)
            beats.append(evolve(made, behind=self._behind()))
        return beats

    # Inside ----------------------------------------------------------------------------------

    def _behind(self) -> float:
        """Return for how long (s) something has been said of which no beat that was said tells.

        It is not heard yet, and a pod that says so may fall silent at once.
        """
        state, now = self._link.state, self._link.clock()
        waits = state.numbering.untold(now, state.held)
        if self.waiting is not None:
            waits = max(waits, now - self._all_said_at)
        return max(0.0, waits - self._usual())

    def _usual(self) -> float:
        """Return how long a beat stands in line anyway: two batches may go before it."""
        return 3 * self._link.round_trips.usual

    def _news_of_hearing(self) -> tuple[str, ...] | None:
        """Return whom this pod hears, or None where it has said so not long ago."""
        heard = self._heard()
        if heard == self._heard_said and self._heard_again > 0:
            self._heard_again -= 1
            return None
        self._heard_said, self._heard_again = heard, HEARD_AGAIN - 1
        return heard

    def _heard(self) -> tuple[str, ...]:
        return tuple(self._link.state.peers.hears[:MOST_HEARD])

    def _made(
        self, word: str, *, number: int, marks: tuple[Mark, ...] = (), after: int | None = None
    ) -> Beat:
        link = self._link
        about = link.about()
        return Beat(
            origin=link.pod_id,
            epoch=link.epoch,
            word=word,
            number=number,
            interval=self.interval,
            name=link.name.name,
            version=about.version,
            node=self.node,
            connections=about.connections,
            rooms=about.rooms,
            load=about.load,
            hears=self._heard(),
            misses=tuple(link.state.peers.misses(link.wall())[:MOST_HEARD]),
            clock=link.clock(),
            held=link.state.kept_for(link.clock()),
            after=after,
            marks=marks,
        )
