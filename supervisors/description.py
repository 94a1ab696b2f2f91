"""The live tree as a picture: one node a child, drawn when somebody asks."""

import enum
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs
import orjson

from ..actors import ActorStatistics, error_text
from ..transport import JSON
from .child import Child

__all__ = ["Node", "Status", "node_of", "node_to_json"]


class Status(enum.StrEnum):
    """What a child is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


@attrs.frozen
class Node:
    """One child in a picture of the tree. `detail` holds what its kind wants to add."""

    path: str
    kind: str
    status: Status = Status.STOPPED
    incarnation: int = 0
    restarts: int = 0
    statistics: ActorStatistics | None = None
    children: tuple["Node", ...] = ()
    detail: Mapping[str, JSON] = attrs.field(factory=dict)


def node_to_json(node: Node) -> dict[str, JSON]:
    """Return the picture of a tree as JSON: one object a node, with the names of `Node`."""
    statistics = None
    if node.statistics is not None:  # its detail is the node's
        statistics = attrs.asdict(node.statistics, filter=attrs.filters.exclude("detail"))
    return {
        "path": node.path,
        "kind": node.kind,
        "status": node.status.value,
        "incarnation": node.incarnation,
        "restarts": node.restarts,
        "statistics": statistics,
        "children": [node_to_json(child) for child in node.children],
        "detail": _as_json(node.detail),
    }


def _as_json(detail: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what an actor says of itself, or why it cannot be shown: the others' can."""
    try:
        orjson.dumps(detail)
    except TypeError as error:
        return {"describe": error_text(error)}
    return dict(detail)


@runtime_checkable
class Measured(Protocol):
    """A child that says how it is doing, as actors do."""

    def statistics(self) -> ActorStatistics:
        """Return its counters."""


@runtime_checkable
class Describable(Protocol):
    """A child that draws its own node, as supervisors do."""

    def describe(self) -> "Node":
        """Return its node; its supervisor fills in status and incarnation."""


def node_of(child: Child) -> Node:
    """Draw a child, or say why it cannot be drawn."""
    try:
        return _drawn(child)
    except BaseException as error:  # noqa: BLE001 - whoever looks at the tree must see the rest
        return Node(child.path, type(child).__name__, detail={"describe": error_text(error)})


def _drawn(child: Child) -> Node:
    if isinstance(child, Describable):
        return child.describe()
    if isinstance(child, Measured):
        statistics = child.statistics()
        return Node(child.path, statistics.kind, statistics=statistics, detail=statistics.detail)
    return Node(path=child.path, kind=type(child).__name__)
