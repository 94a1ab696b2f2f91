"""Who lives in a pod's tree: each cell with its kind, and how often each kind was restarted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...actors import ActorCell
from ..dynamic import DynamicSupervisor
from ..supervisor import Supervisor

__all__ = ["cells", "mailboxes", "restarts"]

Tree = Supervisor | DynamicSupervisor

KINDS: Final = {
    "pod/connections": "connection",
    "pod/rooms": "room",
    "pod/collections": "collection",
    "pod/broker": "broker",
}
"""What lives below each supervisor; elsewhere it is the room of everyone, and services."""


def cells(tree: Tree) -> Iterator[tuple[str, ActorCell[Any]]]:
    """Yield each actor's kind and cell."""
    kind = KINDS.get(tree.path, "room")
    for child in tree.children.each():
        if isinstance(child, ActorCell):  # first, for there may be ten thousand
            yield kind, child
        elif isinstance(child, Supervisor | DynamicSupervisor):
            yield from cells(child)


def mailboxes(tree: Tree) -> dict[str, dict[str, int]]:
    """Return by kind how much waits, together, and the most that ever waited for one that lives."""
    found: dict[str, dict[str, int]] = {}
    for kind, cell in cells(tree):
        waiting, high_water = cell.mailbox.level
        figures = found.get(kind) or found.setdefault(kind, {"waiting": 0, "high_water": 0})
        figures["waiting"] += waiting
        figures["high_water"] = max(figures["high_water"], high_water)
    return found


def restarts(tree: Tree) -> Mapping[str, int]:
    """Return by kind how often what ended was started again, where it ever was."""
    found = Counter({KINDS.get(tree.path, "service"): tree.restarted})
    children = tree.children.values() if isinstance(tree, Supervisor) else ()
    for child in children:  # those of a dynamic supervisor are no supervisors
        if isinstance(child, Supervisor | DynamicSupervisor):
            found.update(restarts(child))
    return {kind: count for kind, count in found.items() if count}
