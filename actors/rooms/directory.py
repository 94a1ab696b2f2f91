"""The directory: which rooms are listed, how many are in each, and what each says of itself.

Only rooms of classes that say so are in it (`Room.listed`). Here are those of this pod, and what
comes together when all pods are asked for theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import field, frozen

from ...config import matches
from ...transport import JSON
from ...transport.brokers import (
    MOST_LISTED,
    MOST_LISTED_BYTES,
    RoomAnswer,
    RoomEntry,
    RoomQuery,
)
from ..cluster import Uplink
from .roster import Roster

__all__ = ["ASKING", "ListedRoom", "RoomDirectory", "RoomListing"]

ASKING: Final = 0.5
"""Seconds that the other pods have to answer, where nothing else is said."""

_NOTHING: Final = object()


@frozen
class ListedRoom:
    """A room in the directory. `since` is unix seconds, `meta` what it says of itself."""

    name: str
    members: int
    since: float
    meta: Mapping[str, JSON] = field(factory=dict)


@frozen
class RoomListing:
    """Rooms in the order of their names, and who has been asked.

    `pods` have answered of the `of` that are known, this one included. `next` is there when there
    are more rooms: ask again for those after it. `degraded` is the code of the outage between the
    pods that is on, if there is one.
    """

    rooms: Sequence[ListedRoom]
    pods: int
    of: int
    next: str | None = None
    degraded: str | None = None


class RoomDirectory:
    """The rooms that are listed, on this pod and on all. `rosters` are the rooms of this one."""

    def __init__(self, rosters: Mapping[str, Roster[Any]], uplink: Uplink | None) -> None:
        self._rosters = rosters
        self._uplink = uplink

    def here(self, query: RoomQuery) -> RoomListing:
        """List the rooms of this pod."""
        return self._listing(query, [])

    async def everywhere(self, query: RoomQuery, timeout: float) -> RoomListing:
        """List the rooms of this pod, and of all that answer within `timeout` seconds."""
        answers = [] if self._uplink is None else await self._uplink.ask_rooms(query, timeout)
        return self._listing(query, answers)

    def _listing(self, query: RoomQuery, answers: Sequence[RoomAnswer]) -> RoomListing:
        rooms, next_ = merged([RoomAnswer("", 0, *rooms_of(self._rosters, query)), *answers])
        pods, of, degraded = 1 + len(answers), 1, None
        if self._uplink is not None:
            of, outage = 1 + self._uplink.others, self._uplink.degraded
            degraded = None if outage is None else outage.code.value
        return RoomListing(rooms, pods, max(pods, of), next_, degraded)


def rooms_of(rosters: Mapping[str, Roster[Any]], query: RoomQuery) -> tuple[list[RoomEntry], bool]:
    """Return the rooms of one pod that are asked for, and whether there are more after them."""
    found, nbytes = list[RoomEntry](), 0
    listed = [name for name, each in rosters.items() if each.listed and name > query.after]
    for name in sorted(listed):
        roster = rosters[name]
        if not _fits(roster.meta, query.where) or not matches(query.pattern, name):
            continue
        nbytes += len(orjson.dumps(roster.meta))
        if len(found) == MOST_LISTED or nbytes > MOST_LISTED_BYTES:
            return found, True
        since, described = roster.opened_at, roster.described_at
        found.append(RoomEntry(name, roster.present, since, described, roster.meta))
    return found, False


def merged(answers: Iterable[RoomAnswer]) -> tuple[list[ListedRoom], str | None]:
    """Return the rooms of all pods, and the name after which there are more.

    A room that several pods have is one: with the members of all, since the first of them has it,
    as it was described last. Where a pod has more than it has told, nothing is told that comes
    after its last: its members of those are not known.
    """
    ends, rooms = list[str](), dict[str, list[RoomEntry]]()
    for answer in answers:
        if answer.more and answer.rooms:
            ends.append(answer.rooms[-1].name)
        for entry in answer.rooms:
            rooms.setdefault(entry.name, []).append(entry)
    end = min(ends, default=None)
    names = [name for name in sorted(rooms) if end is None or name <= end]
    told = names[:MOST_LISTED]
    if told and (end is not None or len(told) < len(names)):
        end = told[-1]
    return [_one(rooms[name]) for name in told], end


def _one(entries: Sequence[RoomEntry]) -> ListedRoom:
    return ListedRoom(
        entries[0].name,
        sum(entry.members for entry in entries),
        min(entry.since for entry in entries),
        max(entries, key=lambda entry: entry.described).meta,
    )


def _fits(meta: Mapping[str, JSON], where: Mapping[str, JSON]) -> bool:
    """Say whether a room describes itself so; in JSON, unlike in Python, 1 is not true."""
    for key, value in where.items():
        own = meta.get(key, _NOTHING)
        if own != value or isinstance(own, bool) != isinstance(value, bool):
            return False
    return True
