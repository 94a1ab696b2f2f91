"""Keeps the places of members whose connection is lost, for as long as the room gives them.

Who comes back on another pod has its place fetched from the pod that keeps it: that gives it up,
once, and the member leaves the room there.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orjson
import trio

from ...config import get_logger
from ...transport import JSON, Event, encode_inner
from ...transport.brokers import PLACES
from ..cluster import Uplink
from ..runtime import Timer
from .handlers.payloads import plain_of
from .host import Host
from .place_words import PlaceAsked, PlaceGiven, answers_among, pod_of, read_place_words
from .roster import RoomEnvironment, Roster
from .seat import Seat
from .speech import Speech
from .standing import Knock

__all__ = ["Grace"]

LATE: Final = "did not come back"
ELSEWHERE: Final = "came back elsewhere"
FETCHED_WITHIN: Final = 1.0
"""Seconds that a client waits for its place on another pod; then it joins anew."""
MOST_FETCHED: Final = 1024
"""Places that are being fetched; who comes beyond that joins anew."""

DATA_BYTES: Final = 65_536
"""Bytes of JSON that `member.data` may take on its way to another pod."""

_log = get_logger("realtime")


class Grace:
    """For one incarnation of a room; who is away outlives it (`Roster.away`)."""

    def __init__(
        self, host: Host, roster: Roster[Any], environment: RoomEnvironment, speech: Speech
    ) -> None:
        self._host = host
        self._roster = roster
        self._speech = speech
        self._uplink: Uplink | None = environment.uplink
        self._timer: Timer | None = None
        self._fetched: dict[str, tuple[Seat, Timer]] = {}
        self.watch()

    def watch(self) -> None:
        """See to it that whoever is away too long leaves."""
        away = self._roster.away
        if away and (self._timer is None or not self._timer.active):
            due = min(seat.away_until for seat in away.values())
            wait = max(0.0, due - trio.current_time())
            self._timer = self._host.after(wait, self._look)

    async def _look(self) -> None:
        now = trio.current_time()
        for seat in list(self._roster.away.values()):
            if seat.away_until <= now:
                seat.leave(LATE)
        self.watch()

    # On this pod -----------------------------------------------------------------------------

    def place_of(self, knocking: Seat) -> Seat | None:
        """Return the place that somebody had who knocks with its word, and as the same user."""
        return self._place(knocking.resume, knocking.user_id)

    def _place(self, word: str | None, user: str | None) -> Seat | None:
        seat = None if word is None else self._roster.away.get(word)
        return None if seat is None or seat.user_id != user else seat

    # On another ------------------------------------------------------------------------------

    def elsewhere(self, knocking: Seat) -> bool:
        """Whether another pod, which is there, may keep the place of somebody who knocks."""
        word, uplink = knocking.resume, self._uplink
        if word is None or uplink is None or not self._roster.grace:
            return False
        return uplink.counts(pod_of(word)) and len(self._fetched) < MOST_FETCHED

    def fetch(self, knocking: Seat) -> None:
        """Ask that pod for it; somebody who withdraws meanwhile has lost it."""
        word = knocking.resume or ""
        anew = self._host.after(FETCHED_WITHIN, partial(self._in_vain, word))
        self._fetched[word] = knocking, anew
        self._say(PlaceAsked(word, knocking.user_id))

    async def _in_vain(self, word: str) -> None:
        seat, timer = self._fetched.pop(word)
        timer.cancel()
        seat.resume = None
        self._roster.signal(Knock(seat))

    async def heard(self, event: Event) -> tuple[Seat, PlaceGiven] | None:
        """Take what the room of this name on another pod says; return a place that has come."""
        words = read_place_words(orjson.loads(event.encoded))
        if isinstance(words, PlaceAsked):
            self._give(words)
        elif isinstance(words, PlaceGiven) and words.word in self._fetched:
            if words.member is None:
                await self._in_vain(words.word)
            else:
                seat, timer = self._fetched.pop(words.word)
                timer.cancel()
                return seat, words
        return None

    def _give(self, asked: PlaceAsked) -> None:
        if pod_of(asked.word) != self._roster.pod:
            return
        seat = self._place(asked.word, asked.user)
        if seat is None or seat.missed is None:
            self._say(PlaceGiven(asked.word))
            return
        away = self._roster.grace - (seat.away_until - trio.current_time())
        answers = answers_among(seat.missed.take(lambda _: None))
        missed = seat.events_missed
        self._say(
            PlaceGiven(asked.word, seat.client_id, self._data_of(seat), away, missed, answers)
        )
        seat.leave(ELSEWHERE)

    def _data_of(self, seat: Seat) -> JSON:
        """Return what the room keeps of a member as JSON, or None where it is nothing like that."""
        try:
            encoded = encode_inner(plain_of(seat.data))
            if len(encoded) > DATA_BYTES:
                raise ValueError(f"it takes {len(encoded)} bytes of {DATA_BYTES}")  # noqa: TRY301
            plain: JSON = orjson.loads(encoded)
        except Exception as error:  # noqa: BLE001 - whatever an author keeps may be made of
            _log.warning(
                "a member comes back on another pod without its data",
                room=self._roster.name,
                reason=f"{type(error).__name__}: {error}"[:200],
            )
            return None
        return plain

    def _say(self, words: PlaceAsked | PlaceGiven) -> None:
        self._speech.say_elsewhere(PLACES, words.encode())
