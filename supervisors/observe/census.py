"""Who lives in a pod, counted when somebody asks: actors by kind, rooms by pattern, clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import nlargest
from itertools import islice
from typing import Any, Final

from ...actors import ActorCell, Member, Roster
from ...actors.rooms import RoomActor
from ...transport import JSON
from ..base import BaseSupervisor
from ..supervisor import Supervisor
from .watched import Watched

__all__ = [
    "connections",
    "every_room",
    "holdings",
    "mailboxes",
    "restarts",
    "rooms_at_a_glance",
    "rooms_by_pattern",
    "supervisors",
]

KINDS: Final = {
    "pod/connections": "connection",
    "pod/rooms": "room",
    "pod/collections": "collection",
    "pod/broker": "broker",
}
"""What lives below each supervisor; elsewhere it is the room of everyone, and services."""

SERVICE: Final = "service"
"""What lives elsewhere."""

LARGEST: Final = 10
MOST: Final = 1000
OTHER: Final = "other"
"""Stands for the pattern of rooms that none matches: their names are their clients' words."""

_OF_A_PATTERN: Final = ("rooms", "members", "largest", "memory", "heaviest")

_OF_THE_ACTOR = (
    "connected_at",
    "last_received_seconds",
    "received_messages",
)
"""What only a connection's actor knows of it."""


# Actors --------------------------------------------------------------------------------------


def _cells(tree: BaseSupervisor) -> Iterator[tuple[str, ActorCell[Any]]]:
    """Yield each actor's kind and cell."""
    kind = KINDS.get(tree.path, "room")
    for child in tree.children.each():
        if isinstance(child, ActorCell):  # first, for there may be ten thousand
            yield kind, child
        elif isinstance(child, BaseSupervisor):
            yield from _cells(child)


def mailboxes(tree: BaseSupervisor) -> dict[str, dict[str, int]]:
    """Return by kind how much waits, together, and the most that ever waited for one that lives."""
    found: dict[str, dict[str, int]] = {}
    for kind, cell in _cells(tree):
        waiting, high_water = cell.mailbox.level
        figures = found.get(kind) or found.setdefault(kind, {"waiting": 0, "high_water": 0})
        figures["waiting"] += waiting
        figures["high_water"] = max(figures["high_water"], high_water)
    return found


def supervisors(tree: BaseSupervisor) -> Iterator[BaseSupervisor]:
    """Yield a supervisor and those below it; what a dynamic one has are no supervisors."""
    yield tree
    for child in tree.children.values() if isinstance(tree, Supervisor) else ():
        if isinstance(child, BaseSupervisor):
            yield from supervisors(child)


def restarts(tree: BaseSupervisor) -> Mapping[str, int]:
    """Return by kind how often what ended was started again, where it ever was."""
    found: Counter[str] = Counter()
    for one in supervisors(tree):
        found[KINDS.get(one.path, SERVICE)] += one.restarted
    return {kind: count for kind, count in found.items() if count}


# Rooms ---------------------------------------------------------------------------------------


def rooms_by_pattern(pod: Watched) -> dict[str, dict[str, int]]:
    """Return by the pattern that rooms are bound by: how many, their members, the largest's.

    `memory` is what they hold together, `heaviest` what one of them does at the most (bytes), as
    far as that was looked at.
    """
    patterns: dict[str, dict[str, int]] = {}
    for name, roster in pod.rooms.rosters.items():
        pattern = pod.rooms.pattern_of(name) or pod.access.pattern_of(name) or OTHER
        figures = patterns.setdefault(pattern, dict.fromkeys(_OF_A_PATTERN, 0))
        figures["rooms"] += 1
        figures["members"] += roster.present
        figures["largest"] = max(figures["largest"], roster.present)
        memory = pod.weights.of(name) or 0
        figures["memory"] += memory
        figures["heaviest"] = max(figures["heaviest"], memory)
    return patterns


def rooms_at_a_glance(pod: Watched) -> dict[str, JSON]:
    """Return how many rooms run and who is in them: in all, by pattern, and the ten largest."""
    patterns = rooms_by_pattern(pod)
    return {
        "count": len(pod.rooms.rosters),
        "members": sum(figures["members"] for figures in patterns.values()),
        "patterns": [{"pattern": pattern, **patterns[pattern]} for pattern in sorted(patterns)],
        "largest": [
            {"name": name, "members": roster.present, "events": roster.sequence}
            for name, roster in _largest(pod, LARGEST)
        ],
    }


def every_room(pod: Watched) -> list[JSON]:
    """Return the figures of each room, the largest first, and of 1000 at most."""
    cells = (cell for _, cell in _cells(pod.room_tree))
    restarted = {cell.ref.name: max(0, cell.incarnation - 1) for cell in cells}
    return [
        {
            "name": name,
            "members": roster.present,
            "events": roster.sequence,
            "deliveries": roster.deliveries,
            "lost": roster.lost,
            "restarts": restarted.get(name, 0),
            "memory": pod.weights.of(name),
        }
        for name, roster in _largest(pod, MOST)
    ]


def holdings(pod: Watched) -> dict[str, Callable[[], Iterable[object]]]:
    """Return by name what tells what each room that lives holds."""
    live = ((cell.ref.name, cell.live) for _, cell in _cells(pod.room_tree))
    return {name: actor.held for name, actor in live if isinstance(actor, RoomActor)}


def _largest(pod: Watched, count: int) -> list[tuple[str, Roster[Any]]]:
    return nlargest(count, pod.rooms.rosters.items(), key=lambda one: one[1].present)


# Clients -------------------------------------------------------------------------------------


def connections(
    pod: Watched, limit: int, offset: int, room: str | None, user: str | None
) -> dict[str, JSON]:
    """Return `limit` clients after the first `offset` of those in a room, and of a user.

    `total` counts all of these. What only a connection's actor knows is null in the moment in
    which it comes or goes. Tokens are never shown.
    """
    found = [
        member
        for member in pod.members.values()
        if (room is None or room in member.rooms) and (user is None or member.user_id == user)
    ]
    page = islice(found, offset, offset + limit)
    return {
        "pod": pod.pod_id,
        "total": len(found),
        "limit": limit,
        "offset": offset,
        "connections": [_client(pod, member) for member in page],
    }


def _client(pod: Watched, member: Member) -> JSON:
    cell = pod.clients.children.get(member.client_id)
    detail = cell.statistics().detail if isinstance(cell, ActorCell) else {}
    waiting_messages, waiting_bytes = member.sink.waiting
    return {
        "client": member.client_id,
        "address": member.address,
        "user": member.user_id,
        "root": member.is_root,
        "rooms": [*sorted(member.rooms)],
        **{name: detail.get(name) for name in _OF_THE_ACTOR},
        "written_messages": member.sink.written[0],
        "waiting_messages": waiting_messages,
        "waiting_bytes": waiting_bytes,
    }
