"""The directory of rooms for who asks over HTTP: what each may see of it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ...transport import JSON, Asker, Identity, Problem, WireError
from ..rooms import Hub, RoomListing
from .access import AccessPolicy
from .http_rates import HttpRates

__all__ = ["Lobby"]


class Lobby:
    """Lists the rooms of all pods, without those that a rule shows to others only."""

    def __init__(self, hub: Hub, access: AccessPolicy, rates: HttpRates) -> None:
        self._hub = hub
        self._access = access
        self._rates = rates

    async def rooms(
        self,
        pattern: str,
        where: Mapping[str, JSON],
        after: str,
        identity: Identity | None,
        asker: Asker,
    ) -> RoomListing | Problem:
        """List them, or say why not."""
        problem = self._access.list_any(identity) or self._rates.judge(asker)
        if problem is not None:
            return problem
        try:
            listing = await self._hub.rooms(pattern, where, after)
        except WireError as error:
            return Problem(error.code, error.sentence)
        may = self._access.list
        return evolve(listing, rooms=[each for each in listing.rooms if may(each.name, identity)])
