"""Handlers of events: what a client says in a room, typed, and what it is answered.

Judged when the class of the room is written: what is wrong is told with file and line.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final, TypeVar, get_args, get_origin

from attrs import frozen

from ....config import Limits
from ....transport import JSON, Problem, WireError, check_name, encode_inner, is_reserved_event
from ...runtime import ActorDefinitionError
from .annotations import NoPayload, check_annotation
from .hooks import where
from .payloads import Build, WrongPayload, plain_of

__all__ = ["EventHandler", "event_handlers", "misfit", "on", "params_of", "unknown_event"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__answers__"
LONGEST_NAME: Final = Limits().max_name_length
MOST_NAMED: Final = 8
"""Events that are named to whoever says one that nobody takes."""


def on(event: str) -> Callable[[F], F]:
    """Let a method handle an event that clients emit: `@on("bid")`.

    It is called with the member and, if it takes one more, with the data, built and checked as the
    annotation says. What it returns is the answer to who has emitted; it may be `async` or not.
    `Refuse` says no. Raises `ActorDefinitionError` for a name that no client can emit.
    """
    name: object = event
    if not isinstance(name, str):
        raise ActorDefinitionError(f"@on needs the name of an event, not {event!r}.")
    fault = check_name("event", event, LONGEST_NAME)
    if fault is not None:
        raise ActorDefinitionError(f"@on({event!r}): {fault}")
    if is_reserved_event(event):
        raise ActorDefinitionError(f"@on({event!r}): no client may emit that; take another name.")

    def mark(method: F) -> F:
        setattr(method, _MARK, event)
        return method

    return mark


@frozen
class EventHandler:
    """What handles one event, by its method's name; `build` is None where it takes no data.

    `gives` is the annotation of its answer.
    """

    event: str
    name: str
    build: Build | None
    gives: object

    async def run(self, room: object, member: object, data: JSON) -> bytes:
        """Build the payload, run the method and return its answer as JSON.

        Raises `WrongPayload`, what the method raises, and `ActorDefinitionError` for an answer that
        is not JSON: the method has returned, and no traceback would name it.
        """
        method = getattr(room, self.name)
        said = method(member) if self.build is None else method(member, self.build(data))
        answer = await said if inspect.isawaitable(said) else said
        try:
            return encode_inner(plain_of(answer))
        except WireError as error:
            cls = type(room)
            place = f"{cls.__qualname__}.{self.name}{where(getattr(cls, self.name), cls)}"
            raise ActorDefinitionError(f"{place} has answered: {error}") from error


def event_handlers(cls: type) -> Mapping[str, EventHandler]:
    """Collect the handlers of a class, each event's nearest in its MRO.

    Raises `ActorDefinitionError` for two of one event in one class, and for a method that cannot be
    one: the arguments, the annotation of the data, or that of the answer.
    """
    handlers: dict[str, EventHandler] = {}
    for base in reversed(cls.__mro__):
        own: dict[str, EventHandler] = {}
        for name, method in list(vars(base).items()):
            event = getattr(method, _MARK, None)
            if event is not None and event in own:
                other = getattr(base, own[event].name)
                raise ActorDefinitionError(
                    f"{base.__qualname__} handles '{event}' twice: in {own[event].name}"
                    f"{where(other, base)} and in {name}{where(method, base)}; keep one."
                )
            overridden = [one.event for one in handlers.values() if one.name == name]
            for known in overridden:
                del handlers[known]
            event = event or (overridden[0] if overridden else None)
            if event is not None:
                own[event] = _judged(cls, name, method, event)
        handlers |= own
    return handlers


def misfit(event: str, error: WrongPayload) -> Problem:
    """Say that what came with an event is not what its handler takes."""
    sentence = f"The data of '{event}' does not fit: {error}."
    return Problem("wrong_data", sentence, data={"path": error.path})


def unknown_event(event: str, known: Mapping[str, EventHandler]) -> Problem:
    """Say that a room has no handler for an event."""
    names = [f"'{name}'" for name in list(known)[:MOST_NAMED]]
    more = ", …" if len(known) > MOST_NAMED else ""
    return Problem("unknown_event", f"This room takes {', '.join(names)}{more} and not '{event}'.")


# -- judging ---------------------------------------------------------------------------------


def params_of(cls: type, method: object) -> Build | None:
    """Return what builds what a client says of its wish to join; None where the class is not told.

    Raises `ActorDefinitionError` for an annotation that cannot be built.
    """
    place = f"{cls.__qualname__}.authorize_join{where(method, cls)}"
    if not inspect.isfunction(method):
        return None
    return _build_of(cls, method, place)


def data_of(cls: type, base: type) -> Build | None:
    """Return what builds `member.data` again on another pod, of `Room[State, Data]`.

    None where the class does not say, or it is what only this process can hold: a member that
    comes back on another pod has none then.
    """
    for owner in cls.__mro__:
        for written in getattr(owner, "__orig_bases__", ()):
            arguments = get_args(written)
            if get_origin(written) is base and len(arguments) > 1:
                try:
                    return Build(arguments[1])
                except NoPayload:
                    return None
    return None


def _judged(cls: type, name: str, method: object, event: str) -> EventHandler:
    place = f"{cls.__qualname__}.{name}{where(method, cls)}"
    if not inspect.isfunction(method):
        raise ActorDefinitionError(f"{place} handles '{event}' and is no method; write one.")
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        raise ActorDefinitionError(f"{place} answers once; take its `yield` out.")
    build = _build_of(cls, method, place)
    gives = _hints(method, cls, place, ("return",)).get("return", object)
    try:
        check_annotation(gives)
    except NoPayload as error:
        sentence = f"{place} returns {_shown(gives)}: {error}; {_REMEDY}"
        raise ActorDefinitionError(sentence) from error
    return EventHandler(event, name, build, gives)


_TAKEN: Final = ("self", "member", "data")
_REMEDY: Final = (
    "use classes of attrs, dataclasses, TypedDicts, enums, JSON's own types, and lists and dicts "
    "of these."
)


def _build_of(cls: type, method: Callable[..., object], place: str) -> Build | None:
    payload = _payload_of(method, place)
    if payload is None:
        return None
    kind = _hints(method, cls, place, (payload,)).get(payload, object)
    try:
        return Build(kind)
    except NoPayload as error:
        raise ActorDefinitionError(f"{place} takes {_shown(kind)}: {error}; {_REMEDY}") from error


def _payload_of(method: Callable[..., object], place: str) -> str | None:
    """Return the name of the argument that takes the data, or None where none does."""
    signature = inspect.signature(method)
    for given in (len(_TAKEN), len(_TAKEN) - 1):
        try:
            bound = signature.bind(*range(given))
        except TypeError:
            continue
        names = [*list(bound.arguments)[2:], ""]  # "" where it goes into `*args`
        return names[0] if given == len(_TAKEN) else None
    takes = ", ".join(signature.parameters)
    raise ActorDefinitionError(
        f"{place} takes ({takes}); a handler takes (self, member) or ({', '.join(_TAKEN)})."
    )


def _hints(
    method: Callable[..., object], cls: type, place: str, names: Collection[str | None]
) -> Mapping[str, object]:
    """Read some annotations: the others may be there for the type checker alone."""
    written = inspect.unwrap(method)
    wanted = {name: kind for name, kind in written.__annotations__.items() if name in names}
    around = dict(_names_around(cls))
    try:
        read = SimpleNamespace(__annotations__=wanted)
        return typing.get_type_hints(read, written.__globals__, around)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ActorDefinitionError(
            f"{place} has an annotation that cannot be read: {error}; import it, and not only for "
            "the type checker."
        ) from error


def _names_around(cls: type) -> Iterator[tuple[str, object]]:
    """Yield what can be seen where a class is being written: it may stand in a function."""
    frame = inspect.currentframe()
    around = []
    while frame is not None:
        if frame.f_globals.get("__name__") == cls.__module__:
            around.append(frame.f_locals)
        frame = frame.f_back
    for names in reversed(around):
        yield from names.items()
    yield from vars(cls).items()


def _shown(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
