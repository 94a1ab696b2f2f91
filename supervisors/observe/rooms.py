"""The rooms of a pod: how many, how large, and which are the largest."""

from __future__ import annotations

from heapq import nlargest
from typing import Any, Final

from ...actors import Roster
from ...transport import JSON
from .census import cells
from .watched import Watched

__all__ = ["every_room", "rooms_at_a_glance", "rooms_by_pattern"]

LARGEST: Final = 10
MOST: Final = 1000
OTHER: Final = "other"
"""Stands for the pattern of rooms that none matches: their names are their clients' words."""


def rooms_by_pattern(pod: Watched) -> dict[str, dict[str, int]]:
    """Return by the pattern that rooms are bound by: how many, their members, the largest's."""
    patterns: dict[str, dict[str, int]] = {}
    for name, roster in pod.rooms.rosters.items():
        pattern = pod.rooms.pattern_of(name) or pod.access.pattern_of(name) or OTHER
        figures = patterns.setdefault(pattern, {"rooms": 0, "members": 0, "largest": 0})
        figures["rooms"] += 1
        figures["members"] += roster.present
        figures["largest"] = max(figures["largest"], roster.present)
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
    restarts = {cell.ref.name: max(0, cell.incarnation - 1) for _, cell in cells(pod.room_tree)}
    return [
        {
            "name": name,
            "members": roster.present,
            "events": roster.sequence,
            "deliveries": roster.deliveries,
            "lost": roster.lost,
            "restarts": restarts.get(name, 0),
        }
        for name, roster in _largest(pod, MOST)
    ]


def _largest(pod: Watched, count: int) -> list[tuple[str, Roster[Any]]]:
    return nlargest(count, pod.rooms.rosters.items(), key=lambda one: one[1].present)
