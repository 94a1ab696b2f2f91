"""What is said in rooms over HTTP: judged like a client's emit, said as the pod's own code does."""

from __future__ import annotations

from ...config import Limits
from ...transport import JSON, Asker, Identity, Problem, WireError, check_name
from ..rooms import Hub, Receipt, Rooms
from ..runtime import RoomError
from .access import AccessPolicy
from .http_rates import HttpRates

__all__ = ["Publisher"]


class Publisher:
    """Says something in a room for who is in none, no faster than the `rates`.

    A bound room that does not run is opened on the account of who says it, as for a client that
    joins: it counts against `limits.maxClientRooms`, and makes place for others when it is empty.
    """

    def __init__(
        self,
        hub: Hub,
        rooms: Rooms,
        access: AccessPolicy,
        limits: Limits,
        rates: HttpRates,
    ) -> None:
        self._hub = hub
        self._rooms = rooms
        self._access = access
        self._limits = limits
        self._rates = rates

    def adopt(self, limits: Limits) -> None:
        """Go by these limits from now on."""
        self._limits = limits
        self._rates.adopt(limits)

    async def publish(
        self, room: str, event: str, data: JSON, identity: Identity | None, asker: Asker
    ) -> Receipt | Problem:
        """Say it, and wait for what becomes of it; or say why not, and nobody has heard it."""
        problem = self._refusal(room, event, identity) or self._rates.judge(asker)
        if problem is not None:
            return problem
        try:
            if self._rooms.find(room) is None and self._rooms.is_bound(room):
                self._rooms.open(room, asker)
            return await self._hub.send_to_room(room, event, data, self._limits.emit_timeout)
        except RoomError as error:
            return Problem("too_many_rooms", str(error))
        except WireError as error:
            return Problem(error.code, error.sentence)

    def _refusal(self, room: str, event: str, identity: Identity | None) -> Problem | None:
        longest = self._limits.max_name_length
        for sentence, code in (
            (check_name("room", room, longest), "bad_room"),
            (check_name("event", event, longest), "bad_event"),
        ):
            if sentence is not None:
                return Problem(code, sentence)
        return self._access.event(event) or self._access.publish(room, identity)
