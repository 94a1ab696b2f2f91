"""Rooms under development: a class that is refused keeps its rooms from starting, not the pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..actors import ActorDefinitionError, Room, RoomImportError, load_room_classes
from ..config import get_logger

__all__ = ["RefusedRoom", "load_what_goes"]

_log = get_logger("serve")


class RefusedRoom(Room):
    """Stands for a room whose class was refused: it cannot start, and says why each time."""

    why: ClassVar[str] = ""

    def __init__(self) -> None:
        raise RoomImportError(self.why)


def load_what_goes(
    bindings: Mapping[str, str],
) -> tuple[dict[str, type[Room[Any]]], list[RoomImportError]]:
    """Import room classes; return them by pattern, and what was refused as no room.

    A hook that is misspelt is an author's slip: the pages and the other rooms are there while it is
    mended. Raises `RoomImportError` for what cannot be imported for another reason.
    """
    loaded: dict[str, type[Room[Any]]] = {}
    refused: list[RoomImportError] = []
    for pattern, target in bindings.items():
        try:
            loaded |= load_room_classes({pattern: target})
        except RoomImportError as error:
            if not _is_refusal(error):
                raise
            _log.warning(
                "these rooms cannot start; mend the file and save it",
                rooms=pattern,
                reason=str(error),
            )
            loaded[pattern] = type("RefusedRoom", (RefusedRoom,), {"why": str(error)})
            refused.append(error)
    return loaded, refused


def _is_refusal(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ActorDefinitionError):
            return True
        error = error.__cause__
    return False
