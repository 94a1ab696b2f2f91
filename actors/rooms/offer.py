"""What a class of rooms offers to clients: what a join brings, events, and their answers."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from .handlers.answering import EventHandler
from .handlers.json_schema import Schema, Schemas
from .room import Room

__all__ = ["EventOffer", "RoomOffer", "class_made_by", "offer_of"]


@frozen
class EventOffer:
    """An event that a room handles: `takes` is its data, `gives` the answer; None where none."""

    event: str
    about: str
    takes: Schema | None
    gives: Schema | None


@frozen
class RoomOffer:
    """A class of rooms: `params` is what a join brings, `events` what is handled.

    None stands for a join that nothing is asked of. `others` says that any other event is taken.
    """

    name: str
    about: str
    params: Schema | None
    events: Sequence[EventOffer]
    others: bool


def offer_of(cls: type[Room[Any]], schemas: Schemas, *, speaks: bool = True) -> RoomOffer:
    """Read off a class what it offers to whoever `speaks`; types are described in `schemas`."""
    handlers = cls.__answers__ if speaks else {}
    plain = not cls.__answers__ or cls.on_message is not Room.on_message
    own = vars(cls).get("__doc__") or ""
    return RoomOffer(
        cls.__name__,
        inspect.cleandoc(own),
        None if cls.__params__ is None else schemas.sent(cls.__params__.kind),
        [_event(cls, handler, schemas) for handler in handlers.values()],
        others=speaks and plain,
    )


def class_made_by(factory: Callable[[], Room[Any]]) -> type[Room[Any]] | None:
    """Return the class of the rooms that a binding makes, where it says so.

    A function says it with the annotation of what it returns.
    """
    if isinstance(factory, type):
        return factory
    try:
        made = typing.get_type_hints(factory).get("return")
    except (NameError, TypeError):  # an annotation for the type checker alone, or none at all
        return None
    return made if isinstance(made, type) and issubclass(made, Room) else None


def _event(cls: type, handler: EventHandler, schemas: Schemas) -> EventOffer:
    method = getattr(cls, handler.name)
    return EventOffer(
        handler.event,
        inspect.cleandoc(method.__doc__ or ""),
        None if handler.build is None else schemas.sent(handler.build.kind),
        None if handler.gives in (None, type(None)) else schemas.answered(handler.gives),
    )
