"""A room's hooks, held to their names and signatures when its class is written."""

from __future__ import annotations

import difflib
import enum
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeGuard

from ...runtime import ActorDefinitionError

__all__ = ["MARKS", "allows", "check_hooks", "check_numbers", "where"]

MARKS: Final = ("__handles__", "__answers__")
"""What methods are marked with that handle messages and events: they may have any free name."""

PREFIXES: Final = ("on_", "authorize_", "authorise_")
"""What names of hooks begin with; anything else that does is a slip of the pen."""


def check_hooks(cls: type, base: type) -> None:
    """Raise `ActorDefinitionError` for the first name of a class that `base` makes nothing of.

    That is: a name that looks like a hook or a setting and is none, a hook whose `async` was
    forgotten or that takes other arguments, and one in place of what rooms are offered
    (`broadcast`, `members`). The sentence names the class, the method, its file and the remedy.
    What a class inherits from one that is no room is judged with it.
    """
    offered = {name: value for name, value in vars(base).items() if not name.startswith("_")}
    for owner in cls.__mro__:
        if owner in base.__mro__ or (owner is not cls and issubclass(owner, base)):
            continue  # it is ours, or was judged when it was written
        for name, own in vars(owner).items():
            fault = None if name.startswith("_") else _fault_of_name(name, own, offered)
            if fault is None and name in offered and vars(base)[name] is not own:
                in_force = inspect.getattr_static(cls, name)
                fault = _overshadowed(owner, base) if in_force is vars(base)[name] else None
            if fault is not None:
                raise ActorDefinitionError(f"{cls.__qualname__}.{name}{where(own, cls)} {fault}")


def check_numbers(cls: type, names: Iterable[str]) -> None:
    """Raise `ActorDefinitionError` for a setting of a class that is no number, or below 0."""
    for name in names:
        value: object = getattr(cls, name)
        number = value if isinstance(value, int | float) and value is not True else -1
        if not 0 <= number < math.inf:
            place = f"{cls.__qualname__}.{name}{where(value, cls)}"
            raise ActorDefinitionError(f"{place} is {value!a}; give a number, 0 or more.")


def where(own: object, cls: type) -> str:
    """Say in which file and line something was written, or at least in which its class was."""
    written = getattr(inspect.unwrap(own), "__code__", None) if callable(own) else None
    if written is not None:
        return f" ({written.co_filename}:{written.co_firstlineno})"
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") != cls.__module__:
        frame = frame.f_back
    return "" if frame is None else f" ({frame.f_code.co_filename}:{frame.f_lineno})"


async def allows(room: object, rule: Awaitable[bool]) -> bool:
    """Say whether a hook allows something. What it forgot to await is no yes.

    Raises `ActorDefinitionError` for that.
    """
    says: object = await rule
    if inspect.isawaitable(says):
        if inspect.iscoroutine(says):
            says.close()  # it is told here, and not when it happens to be collected
        raise ActorDefinitionError(
            f"A rule of {type(room).__name__} returned {type(says).__name__} and not whether it "
            "allows this; write `await` before what it returns."
        )
    return bool(says)


def _fault_of_name(name: str, own: object, offered: Mapping[str, object]) -> str | None:
    """Say what is wrong with a name of an author's class, or None."""
    handles = any(hasattr(own, mark) for mark in MARKS)
    if name not in offered:
        return None if handles or isinstance(own, type) else _misspelt(name, own, offered)
    known = offered[name]
    if not _is_hook(known, name):
        setting = not callable(known) and not isinstance(known, property)
        return None if setting else "is what rooms are offered; give yours another name."
    if handles:
        return "is a hook, and cannot handle messages too; give the handler another name."
    if not inspect.isfunction(own):
        return f"is a hook, which is a method and not {type(own).__name__}; write a method."
    return _fault(own, known)


def _overshadowed(owner: type, base: type) -> str:
    return (
        f"is never called, for {base.__name__} has one of that name and comes first; write "
        f"{owner.__name__} before it among the bases."
    )


def _takes(own: Callable[..., object], given: Sequence[str]) -> bool:
    try:
        inspect.signature(own).bind(*given)
    except TypeError:
        return False
    return True


def _is_hook(value: object, name: str) -> TypeGuard[Callable[..., object]]:
    return inspect.isfunction(value) and name.startswith(("on_", "authorize_", "initial_"))


def _is_setting(value: object) -> bool:
    return isinstance(value, bool | int | float | enum.Enum) or value is None


def _fault(own: Callable[..., object], hook: Callable[..., object]) -> str | None:
    """Say what is wrong with a hook, or None."""
    asynchronous = inspect.iscoroutinefunction(hook)
    if inspect.isasyncgenfunction(inspect.unwrap(own)):
        return "is a hook that is awaited, and `yield` makes a generator of it; take that out."
    if asynchronous and not inspect.iscoroutinefunction(inspect.unwrap(own)):
        return "is a hook that is awaited; write `async def` before its name."
    if not asynchronous and inspect.iscoroutinefunction(own):
        return "is a hook that nobody awaits; write `def` before its name."
    parameters = inspect.signature(hook).parameters
    given = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    more = [name for name, one in parameters.items() if one.kind is one.VAR_POSITIONAL]
    if not (_takes(own, given) or (more and _takes(own, [*given, *more]))):
        kind = "async def" if asynchronous else "def"
        return (
            f"takes {_list(inspect.signature(own).parameters)} and is called with {_list(given)}; "
            f"write `{kind} {hook.__name__}({', '.join(given)})`."
        )
    return None


def _misspelt(name: str, own: object, offered: Mapping[str, object]) -> str | None:
    """Say why what rooms do not know must not be called so, or None."""
    hooks = [known for known, value in offered.items() if _is_hook(value, known)]
    if not callable(own):
        settings = [known for known, value in offered.items() if _is_setting(value)]
        close = _nearest(name, settings)
        return f"is no setting of a room; did you mean `{close}`?" if close else None
    close = _nearest(name, hooks)
    if close:
        return f"is no hook of a room; did you mean `{close}`? Else give it another name."
    if name.startswith(PREFIXES):
        known = ", ".join(sorted(hooks))
        return f"is no hook of a room and would never be called; the hooks are {known}."
    return None


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was meant: by its letters, whatever their case."""
    plain = {_plain(one): one for one in known}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.85)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _list(names: Iterable[str]) -> str:
    return f"({', '.join(names)})"
