"""A client of rooms without a connection: it knocks, and remembers what it is told."""

from __future__ import annotations

from typing import Any

import orjson
import trio

from deployd.actors import JSON, ActorRef, Exit, Member, Roster
from deployd.actors.rooms.replies import Replies, Reply
from deployd.actors.rooms.seat import Seat
from deployd.transport import NATIVE, Problem
from support.sinks import FakeSink

__all__ = ["Desk"]

NOW = 1_700_000_000.0


class Desk:
    """Stands for a client's session. `ended` are the seats whose rooms have ended."""

    def __init__(self, client_id: str, ref: ActorRef[Any], sink: FakeSink) -> None:
        self.sink = sink
        self.member = Member(client_id, ref, sink, "", NATIVE)
        self.replies = Replies(self.member, 5.0, lambda: NOW)
        self.ended: list[tuple[Seat, Exit]] = []
        self.out: list[str] = []

    def knock(
        self, roster: Roster[Any], request_id: int | None = None, params: JSON = None
    ) -> Seat:
        """Ask to be let in."""
        seat = self.member.seats.get(roster.name or "") or Seat(self.member, roster, self)
        seat.knock(self._owe(roster, request_id), params)
        return seat

    def owe(self, request_id: int | None, event_id: str = "") -> Reply:
        """Return a reply to something that this client asks."""
        now = trio.current_time()
        return self.replies.owe(request_id, "room", lambda _: Problem("late", ""), now, event_id)

    def _owe(self, roster: Roster[Any], request_id: int | None) -> Reply:
        name, now = roster.name or "", trio.current_time()
        return self.replies.owe(request_id, name, lambda _: Problem("late", ""), now)

    @property
    def told(self) -> list[tuple[str, Any]]:
        """What it was told but events: the type, or the code of an error, and the id."""
        messages = [orjson.loads(text) for text in self.sink.texts]
        return [
            (m["data"]["code"] if m["type"] == "error" else m["type"], m.get("id"))
            for m in messages
            if m["type"] != "emit"
        ]

    # SeatOwner --------------------------------------------------------------------------------

    def room_ended(self, seat: Seat, exit: Exit) -> None:  # noqa: A002
        self.ended.append((seat, exit))

    def tell_problem(self, problem: Problem) -> None:
        self.replies.refuse(problem)

    def put_out(self, name: str, reason: str) -> None:
        self.out.append(name)
