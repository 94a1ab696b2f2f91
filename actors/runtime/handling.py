"""Typed handlers: which method of a class handles which type of message."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from .errors import ActorDefinitionError

__all__ = ["Handler", "Handling", "handler_of", "handles"]

A = TypeVar("A")
M = TypeVar("M")
R = TypeVar("R")

Handler = Callable[[Any, Any], Awaitable[object]]

_MARK = "__handles__"


class handles(Generic[M]):  # noqa: N801 - a decorator
    """Mark an async method as the handler of a message type: `@handles(Add)`.

    Of several that would do, the one for the nearest class in the message's MRO is called. A
    subclass may override the method (with or without the mark) or handle the type elsewhere.
    """

    def __init__(self, message_type: type[M]) -> None:
        if not isinstance(message_type, type):
            raise ActorDefinitionError(f"@handles needs a class, not {message_type!r}")
        self._message_type = message_type

    def __call__(
        self, method: Callable[[A, M], Coroutine[Any, Any, R]]
    ) -> Callable[[A, M], Coroutine[Any, Any, R]]:
        """Mark the method and return it. Raises ActorDefinitionError when it is not async."""
        if not inspect.iscoroutinefunction(method):
            raise ActorDefinitionError(f"{method.__qualname__} handles messages: make it async")
        setattr(method, _MARK, self._message_type)
        return method


class Handling:
    """A class whose methods handle messages; what is written down is the only name it takes."""

    __handlers__: ClassVar[Mapping[type, str]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Collect the handlers. Raises ActorDefinitionError for two handlers of one type."""
        super().__init_subclass__(**kwargs)
        cls.__handlers__ = _names_of(cls)


def handler_of(cls: type[Handling], message_type: type) -> Handler | None:
    """Return the function of a class that handles messages of a type, or None."""
    for base in message_type.__mro__:
        if base in cls.__handlers__:
            handler: Handler = getattr(cls, cls.__handlers__[base])
            return handler
    return None


def _names_of(cls: type) -> dict[type, str]:
    names: dict[type, str] = {}
    for base in reversed(cls.__mro__):
        own: dict[type, str] = {}
        for name, method in vars(base).items():
            message_type = getattr(method, _MARK, None)
            if message_type is None:
                continue
            if message_type in own:
                raise ActorDefinitionError(
                    f"{base.__name__} handles {message_type.__name__} in both "
                    f"{own[message_type]} and {name}; keep one."
                )
            own[message_type] = name
            # Re-marked for another type, an overridden method no longer takes the old one.
            names = {known: at for known, at in names.items() if at != name}
        names.update(own)
    return names
