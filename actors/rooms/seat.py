"""Who is where: a client's place in one room, from the knock to the goodbye.

A seat is the one truth of it, shared by the client's session and the room: both change it by the
methods below and nothing else, on trio's thread, so both always agree. What a client's session
decides (it leaves, it is gone, its rights are) takes effect at once, whatever the room is doing:
the seat's sink is cut, and the room learns of it by a signal, which no full mailbox loses. What is
the room's to decide (who comes in, who stays) it decides in its own turn.

What a room sees of its members changes only in its turn, as everything in a room does: who has gone
stands in `members` and hears nothing until `on_leave` has its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from ...transport import JSON, Identity, Joined, KeptPlace, Problem, RequestId, TokenBucket
from ..runtime import Exit, RoomError
from .handlers.refusal import check_code
from .member import FrameSink, Member
from .place_words import new_word
from .replies import MissedAnswers, Reply
from .standing import Departed, Identified, Knock, SeatOwner, Standing, Vanished

if TYPE_CHECKING:
    from .roster import Roster

__all__ = ["Seat", "same_person"]

MOST_ASKING: Final = 16
"""Joins of one client that may wait for the same room's answer."""


class Seat(Member):
    """A client's place in one room. Hooks are given it as the member.

    `client` is the connection, to which answers go in any case; `sink` is the way of the room's
    words, and leads nowhere once the client is out.
    """

    __slots__ = (
        "_asking",
        "_newest",
        "_signalled",
        "_since",
        "away_until",
        "client",
        "doubt",
        "missed",
        "owner",
        "pace",
        "params",
        "place",
        "resume",
        "roster",
        "spoke_in",
        "standing",
    )

    def __init__(self, client: Member, roster: Roster[object], owner: SeatOwner) -> None:
        super().__init__(
            client.client_id,
            client.ref,
            client.sink,
            client.address,
            client.protocol,
            local=client.local,
        )
        self.identity = self._newest = client.identity
        self.seats = client.seats
        self.client = client
        self.roster = roster
        self.owner = owner
        self.pace: TokenBucket | None = None
        """How fast it may speak in this room, where that is limited and it has spoken."""
        self.params: JSON = None
        """What the client has said of its wish to come in."""
        self.resume: str | None = None
        """The place that it had, as it says, and wants back."""
        self.place = ""
        """What brings it back here, where the room keeps places."""
        self.away_until = 0.0
        """Until when its place is kept while it is away (trio's seconds)."""
        self.missed: MissedAnswers | None = None
        self.standing = Standing.OUT
        self.spoke_in = False
        """Whether what it said may be heard although it is out: it left of its own accord."""
        self.doubt: Reply | None = None
        """Reminds of the room's answer whether it stays."""
        self._asking: list[Reply] = []
        self._signalled = False
        self._since = 0

    @property
    def name(self) -> str:
        """The room's name."""
        return self.roster.name or ""

    @property
    def taken(self) -> bool:
        """Whether the client is in the room."""
        return self.standing in _TAKEN

    @property
    def away(self) -> bool:
        """See `Member.away`."""
        return self.standing is Standing.AWAY

    @property
    def events_missed(self) -> int:
        """How many of the room's events it has not heard since it is away, or in doubt."""
        return self.roster.sequence - self._since

    @property
    def open_to_join(self) -> bool:
        """Whether another join may wait for the room's answer."""
        return len(self._asking) < MOST_ASKING

    # What the client's session does ---------------------------------------------------------

    def knock(self, reply: Reply, params: JSON = None, resume: str | None = None) -> None:
        """Ask to come in, or wait for the answer of a room that was asked already."""
        self._asking.append(reply)
        self.params, self.resume = params, resume
        if self.standing is Standing.OUT:
            self.standing = Standing.KNOCKING
            self.seats[self.name] = self
            self.roster.knocking[self] = None
            self.roster.signal(Knock(self))
        elif self.standing is Standing.WITHDRAWN:  # the knock has not been heard yet: it holds
            self.standing = Standing.KNOCKING
            self.roster.withdrawn -= 1

    def withdraw(self, problem: Problem) -> None:
        """Ask no longer. The knock cannot be taken out of the mailbox; the room passes it over."""
        if self.standing is Standing.KNOCKING:
            self.standing = Standing.WITHDRAWN
            self.roster.withdrawn += 1
        self.answer(problem)

    def leave(self, reason: str, *, freely: bool = False) -> None:
        """Be out, from this moment; the room runs `on_leave` when it comes to it."""
        if not self.taken:
            self.withdraw(Problem("left", f"The room '{self.name}' was left meanwhile."))
            return
        self._vacate()
        self.spoke_in = freely
        self.roster.leaving[self] = reason
        self.roster.signal(Departed(self, reason))

    def drop(self, now: float) -> MissedAnswers | None:
        """Be away, if the room keeps the place of who vanishes; return what it will have missed.

        `now` is trio's seconds. None is out of the room, or never was in it.
        """
        if self.standing is not Standing.IN or not self.roster.grace:
            return None
        self.standing, self.sink, self._since = Standing.AWAY, _NOWHERE, self.roster.sequence
        self.away_until = now + self.roster.grace
        self.roster.away[self.place] = self
        if self.seats.get(self.name) is self:
            del self.seats[self.name]
        self.missed = MissedAnswers()
        self.roster.signal(Vanished(self))
        return self.missed

    def identify(self, identity: Identity | None) -> None:
        """Be somebody else: the room is to say whether it stays.

        Who was somebody hears nothing until then. Who was not could have stayed what it was.
        """
        was, self._newest = self._newest, identity
        if same_person(was, identity) and not self._signalled:
            self.identity = identity
            return
        if self.standing is Standing.IN and was is not None:
            self.standing = Standing.DOUBTED
            self.sink, self._since = _NOWHERE, self.roster.sequence
        if not self._signalled:
            self._signalled = True
            self.roster.signal(Identified(self))

    # What the room does ---------------------------------------------------------------------

    def heard(self) -> bool:
        """Note that the room has come to the knock; False when it was withdrawn."""
        if self.standing is Standing.KNOCKING:
            return True
        if self.standing is Standing.WITHDRAWN:
            self._vacate()
        return False

    def admit(self) -> list[Reply]:
        """Be a member, and return the joins that are to be acknowledged: they are taken."""
        self.roster.knocking.pop(self, None)
        self.roster.members[self.client_id] = self
        self.standing = Standing.IN
        if self.roster.grace:
            self.place = new_word(self.roster.pod)
        if self._signalled and self.identity is not None:  # somebody else since it knocked
            self.standing = Standing.DOUBTED
            self.sink, self._since = _NOWHERE, self.roster.sequence
        return [reply for reply in self._asked() if reply.take()]

    def come_back(self, knocking: Seat, now: float) -> tuple[list[Reply], int, float]:
        """Be there again, by the connection of one that has asked with this place's word.

        Returns the joins that are to be acknowledged, how many of the room's events it missed, and
        for how many seconds it was away; `now` is trio's.
        """
        self.roster.away.pop(self.place, None)
        self.roster.knocking.pop(knocking, None)
        knocking.standing = Standing.OUT
        client = self.client = knocking.client
        self.owner, self.ref, self.sink = knocking.owner, client.ref, client.sink
        self.address, self.protocol, self.local = client.address, client.protocol, client.local
        self.identity = self._newest = client.identity
        self.seats = client.seats
        self.seats[self.name] = self
        self.standing, self.place = Standing.IN, new_word(self.roster.pod)
        asked = [reply for reply in knocking._asked() if reply.take()]
        away = now - (self.away_until - self.roster.grace)
        return asked, self.roster.sequence - self._since, away

    def acknowledgement(
        self, time: float, request_id: RequestId, *, returned: bool = False
    ) -> Joined:
        """Return what tells the client that it is in; `time` is unix seconds."""
        place = None
        if self.place:
            place = KeptPlace(self.place, self.roster.grace, self.client_id, returned)
        return Joined(self.name, time, request_id, place)

    def be_called(self, client_id: str | None) -> None:
        """Be what the room called it on another pod, unless somebody is called so here."""
        if client_id is not None and client_id not in self.roster.members:
            self.client_id = client_id

    def turn_away(self, problem: Problem) -> None:
        """Do not come in, and be told why."""
        self._vacate()
        self.answer(problem)

    def reconsidered(self) -> bool:
        """Take on the newest identity, for the room to look at; False when it is out by now."""
        self.identity, self._signalled = self._newest, False
        return self.taken

    def stay(self) -> int:
        """Be a member as whom it is now; return how many of the room's events it missed."""
        if self.standing is not Standing.DOUBTED or self._signalled:
            return 0
        self._believe()
        self.standing, self.sink = Standing.IN, self.client.sink
        return self.roster.sequence - self._since

    def kick(self, code: str, sentence: str) -> None:
        """See `Member.kick`."""
        check_code(code)
        if self.standing in (Standing.KNOCKING, Standing.WITHDRAWN):
            raise RoomError(f"{self!r} is not in yet; raise Refuse to keep it out.")
        if self.taken:
            say_now = self.roster.voice()
            if say_now is not None:
                say_now()
            self.expel(Problem(code, sentence), "kicked")

    def expel(self, problem: Problem, reason: str) -> None:
        """Be out because the room says so, and be told; `on_leave` is due."""
        self.leave(reason)
        self.put_out(problem, reason)

    def put_out(self, problem: Problem, reason: str) -> None:
        """Tell the client that it is out, and then why: one that may come back knows from where."""
        self.owner.put_out(self.name, reason)
        self.owner.tell_problem(evolve(problem, room=self.name))

    def depart(self) -> bool:
        """Stand in `members` no longer; say whether `on_leave` is due, which it is once."""
        due = self.roster.leaving.pop(self, None) is not None
        if self.roster.members.get(self.client_id) is self:
            del self.roster.members[self.client_id]
        return due

    def fail(self, problem: Problem) -> None:
        """Be out because coming in failed; tell the joins that wait. `on_leave` is not due."""
        self._vacate()
        self.answer(problem)
        self.roster.leaving.pop(self, None)
        if self.roster.members.get(self.client_id) is self:
            del self.roster.members[self.client_id]

    def end(self, exit: Exit) -> None:  # noqa: A002
        """Be out because the room has ended, and be told."""
        self.roster.leaving.pop(self, None)
        self.roster.members.pop(self.client_id, None)
        if self.standing is Standing.OUT:
            return
        stood = self.standing
        self._vacate()
        if stood is not Standing.WITHDRAWN:
            self.owner.room_ended(self, exit)

    def waiting(self) -> list[Reply]:
        """Hand over the joins that still wait for an answer."""
        return [reply for reply in self._asked() if reply.open]

    def answer(self, problem: Problem) -> None:
        """Tell those joins why not that wait for an answer."""
        for reply in self._asked():
            reply.refuse(problem)

    # Inside ---------------------------------------------------------------------------------

    def _asked(self) -> list[Reply]:
        asking, self._asking = self._asking, []
        return asking

    def _vacate(self) -> None:
        if self.standing is Standing.WITHDRAWN:
            self.roster.withdrawn -= 1
        self.standing, self.sink = Standing.OUT, _NOWHERE
        self.roster.knocking.pop(self, None)
        if self.roster.away.get(self.place) is self:
            del self.roster.away[self.place]
        if self.seats.get(self.name) is self:
            del self.seats[self.name]
        self._believe()

    def _believe(self) -> None:
        doubt, self.doubt = self.doubt, None
        if doubt is not None:
            doubt.take()


_TAKEN: Final = frozenset({Standing.IN, Standing.DOUBTED, Standing.AWAY})


def same_person(one: Identity | None, other: Identity | None) -> bool:
    """Say whether two tokens show the same user with the same rights, for however long."""
    if one is None or other is None:
        return one is other
    return (one.user_id, one.username, one.is_root) == (
        other.user_id,
        other.username,
        other.is_root,
    )


class _Nowhere:
    """Where the words go for one who is out."""

    deflates = lagging = False
    written = waiting = (0, 0)

    def write(self, data: bytes, messages: int = 1) -> None:
        """Forget them."""

    async def flushed(self) -> None:
        """Be done."""


_NOWHERE: Final[FrameSink] = _Nowhere()
