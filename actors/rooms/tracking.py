"""Tells who is in a room: the members here, and the rooms of its name on other pods."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any, Final

import orjson
import trio

from ...config import get_logger
from ...transport import JSON, Event, WireError, encode_data
from ...transport.brokers import PRESENCE
from ..cluster import Degraded, OutageCode, Uplink
from ..runtime import NotAMember, Timer
from .host import Host
from .member import Member
from .pages import MOST_PEOPLE
from .people import People
from .person import META_BYTES, Mistold, PageWord, Person, portions, weight
from .presence import PRESENCE_EVENT
from .roster import RoomEnvironment, Roster
from .seat import Seat
from .speech import Speech

__all__ = ["Tracking"]

TOLD_EVERY: Final = 0.2
"""Seconds between two times that others are told: who comes in between is told together."""
ASKED_AGAIN: Final = 1.0
"""Seconds after which a page is asked for again that has not come, doubled from the fourth on."""
PATIENT: Final = 4
ASKED_SELDOM: Final = 16.0
CUT_OFF: Final = 8.0
"""Seconds without a broker after which nobody on other pods is there any more."""

_numbers = count(1)
_log = get_logger("realtime")


class Tracking:
    """For one incarnation of a room; who is in outlives it (`Roster.people`)."""

    def __init__(
        self, host: Host, roster: Roster[Any], environment: RoomEnvironment, speech: Speech
    ) -> None:
        uplink = environment.uplink
        if roster.people is None:
            pod = "" if uplink is None else uplink.pod_id
            roster.people = People(pod, next(_numbers))
            roster.farewell = partial(_farewell, roster, environment)
        self.people = roster.people
        self._host = host
        self._roster = roster
        self._env = environment
        self._speech = speech
        self._uplink: Uplink | None = uplink
        self._timer: Timer | None = None
        self._again: Timer | None = None
        self._told_at = -TOLD_EVERY
        self._overfull = 0
        self._cut_off: Timer | None = None
        self._asks = True
        self._asked = 0
        self._asked_at = -ASKED_SELDOM
        if roster.members:
            self._soon()

    # Who is here -----------------------------------------------------------------------------

    def came(self, seat: Seat) -> None:
        """Note who comes in, and tell it who is there."""
        if not self._roster.present:
            self._asks = True
        self.is_somebody(seat)

    def tell_who_is_there(self, seat: Seat) -> None:
        """Tell somebody who has come in: the first of them where they are too many."""
        here = next(portions(self.people.told(seat.client_id), _weight), [])
        self._speech.send([seat], PRESENCE_EVENT, self._told(here=here))

    def went(self, seat: Seat) -> None:
        """Note that somebody is out."""
        self.people.remove(seat.client_id)
        if not self._roster.members:  # nobody here hears what others say: it is asked for anew
            self.people.forget_others()
            self.people.nobody_listens()
            self._asks = True
        self._soon()

    def is_away(self, seat: Seat, *, away: bool) -> None:
        """Note that a member's connection is lost, or that it is back."""
        self.people.away(seat.client_id, away=away)
        self._soon()

    def is_somebody(self, seat: Seat) -> None:
        """Note who a member is, perhaps another than before: it has signed in, or out."""
        user = seat.user_id or seat.client_id
        self.people.place(seat.client_id, user, seat.username, self._env.wall())
        self._soon()

    def track(self, member: Member, meta: Mapping[str, JSON]) -> None:
        """See `Presence.track`."""
        if self._roster.members.get(member.client_id) is not member:
            raise NotAMember(self._roster.name or "", member)
        encoded = encode_data({**self.people.meta_of(member.client_id), **meta})
        if len(encoded) > META_BYTES:
            sentence = f"What is tracked of a person takes {META_BYTES} bytes at most."
            raise WireError("too_large", sentence, room=self._roster.name)
        told: dict[str, JSON] = orjson.loads(encode_data(dict(meta)))
        self.people.track(member.client_id, told, self._env.wall())
        self._soon()

    # What other pods say -----------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """Take what the room of this name on another pod says of its members."""
        uplink = self._uplink
        if uplink is None or not uplink.counts(event.origin):
            return  # when it is counted it is asked
        try:
            if self.people.hear(event.origin, PageWord.read(orjson.loads(event.encoded))):
                self._asks = True
        except Mistold as error:
            _log.warning("passed over", what="people of another pod", reason=str(error))
        if self.people.overfull > self._overfull:
            self._overfull = 2 * self.people.overfull
            _log.warning(
                "a room knows no more people of other pods",
                room=self._roster.name,
                most=MOST_PEOPLE,
                left_out=self.people.overfull,
            )
        self._soon()

    def missed(self) -> None:
        """Ask everybody: something of what others said has not come."""
        self._asks = True
        self._soon()

    def counts(self, pods: frozenset[str]) -> None:
        """Forget who is on pods that are not there any more, and ask those that are new."""
        if self.people.count_only(pods):
            self._asks = True
        self._soon()

    def degraded(self, outage: Degraded) -> None:
        """Keep those on other pods for a while: the broker may be back before anybody notices."""
        if outage.code is not OutageCode.PARTITIONED and self._cut_off is None:
            self._cut_off = self._host.after(CUT_OFF, self._forget_others)

    def healed(self) -> None:
        """Hear the others again."""
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        self.missed()

    async def _forget_others(self) -> None:
        self._cut_off = None
        self.people.forget_others()
        self._tell_members()

    # What is told ------------------------------------------------------------------------------

    def _soon(self) -> None:
        """Tell what is new, at once or when it is time again."""
        if self._timer is None or not self._timer.active:
            wait = self._told_at + TOLD_EVERY - trio.current_time()
            self._timer = self._host.after(max(0.0, wait), self._tell)

    async def _tell(self) -> None:
        now = self._told_at = trio.current_time()
        self._tell_members()
        if self._uplink is None:
            return
        for said in self.people.changes():
            self._say(said)
        for said in self.people.answers():
            self._say(said)
        self._ask(now)

    def _ask(self, now: float) -> None:
        """Ask for what is missing: once for a reason, and again while a page is known to be newer.

        Nobody here listens where nobody is in.
        """
        if not self._roster.members:
            return
        due = self._asked_at + min(ASKED_AGAIN * 2 ** max(0, self._asked - PATIENT), ASKED_SELDOM)
        if self._asks:
            self._asks, self._asked = False, 0
        elif not self.people.behind:
            return
        elif now < due:
            self._again_at(due - now)
            return
        self._asked += 1
        self._asked_at = now
        self._say(self.people.question(now))
        self._tell_members()  # who was asked in vain is forgotten
        if self.people.behind:
            self._again_at(ASKED_AGAIN)

    def _again_at(self, wait: float) -> None:
        if self._again is None or not self._again.active:
            self._again = self._host.after(wait, self._tell)

    def _say(self, said: PageWord) -> None:
        self._speech.say_elsewhere(PRESENCE, said.encode())

    def _tell_members(self) -> None:
        if not self._roster.members:
            return
        news = self.people.news()
        for came in portions(news.came, _weight):
            self._broadcast(came=came)
        for went in portions(news.went, _weight):
            self._broadcast(went=went)
        for changed in portions(news.changed, _weight):
            self._broadcast(changed=changed)

    def _broadcast(self, **people: list[Person]) -> None:
        told = encode_data(self._told(**people))
        self._speech.broadcast_encoded(PRESENCE_EVENT, told, local=True)

    def _told(self, **people: list[Person]) -> JSON:
        told: dict[str, JSON] = {
            what: [person.to_json() for person in some] for what, some in people.items()
        }
        return {**told, "count": len(self.people)}


def _weight(person: Person) -> int:
    return weight(person.user, person.name, person.meta)


def _farewell(roster: Roster[Any], environment: RoomEnvironment) -> None:
    """Tell the other pods that nobody is here any more: the room has ended, whoever was in."""
    people, uplink = roster.people, environment.uplink
    if people is None or uplink is None:
        return
    people.nobody_here()
    for said in people.changes():
        event_id, now = environment.event_ids(), environment.wall()
        uplink.publish(Event(roster.name, PRESENCE, said.encode(), event_id, 0, now))
