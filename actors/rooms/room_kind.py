"""What is known of a class of rooms: which hooks it leaves as they are, and what it handles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from attrs import field, frozen

from ..runtime import Handler
from .handlers.answering import EventHandler
from .room import Room

__all__ = ["RoomKind", "kind_of"]


@frozen
class RoomKind:
    """The hooks that a class has left as they are (`plain`) cost nothing: they are not called."""

    plain_join: bool
    plain_emit: bool
    plain_server_emit: bool
    plain_remote_emit: bool
    plain_idle: bool
    plain_message: bool
    tracks: bool
    answers: Mapping[str, EventHandler]
    """What handles each event; where there is none, `on_message`."""
    handlers: dict[type, Handler | None] = field(factory=dict)
    """What handles each type of message, as far as it was looked for."""

    @property
    def hears_the_pod(self) -> bool:
        """Whether a hook hears what the pod says, though nobody is in the room."""
        return not self.plain_server_emit


_kinds: WeakKeyDictionary[type[Room[Any]], RoomKind] = WeakKeyDictionary()


def kind_of(cls: type[Room[Any]]) -> RoomKind:
    """Return what is known of a class; it is looked at once."""
    kind = _kinds.get(cls)
    if kind is None:
        kind = _kinds[cls] = RoomKind(
            plain_join=cls.authorize_join is Room.authorize_join,
            plain_emit=cls.on_message is Room.on_message
            and cls.authorize_emit is Room.authorize_emit
            and not cls.__answers__,
            plain_server_emit=cls.on_server_emit is Room.on_server_emit,
            plain_remote_emit=cls.on_remote_emit is Room.on_remote_emit,
            plain_idle=cls.on_idle is Room.on_idle,
            plain_message=cls.on_message is Room.on_message,
            tracks=cls.presence is not Room.presence,
            answers=cls.__answers__,
        )
    return kind
