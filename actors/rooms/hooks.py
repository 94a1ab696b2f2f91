"""A room's hooks, held to their names and signatures when its class is written."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from ..runtime import ActorDefinitionError

__all__ = ["allows", "check_hooks"]

PREFIXES: Final = ("on_", "authorize_", "authorise_")
"""What names of hooks begin with; anything else that does is a slip of the pen."""


def check_hooks(cls: type, base: type) -> None:
    """Raise `ActorDefinitionError` for the first method of a class that is no hook of `base`.

    That is: a name that looks like one and is none, `async` that was forgotten, or arguments that
    it would not be called with. The sentence names the class, the method, its file and the remedy.
    Methods that handle messages (`@handles`) may have any name.
    """
    hooks = {
        name: hook
        for name, hook in vars(base).items()
        if inspect.isfunction(hook) and name.startswith(("on_", "authorize_", "initial_"))
    }
    for name, own in vars(cls).items():
        if not inspect.isfunction(own) or hasattr(own, "__handles__"):
            continue
        fault = _fault(own, hooks[name]) if name in hooks else _misspelt(name, hooks)
        if fault is not None:
            written = inspect.unwrap(own).__code__
            where = f"{written.co_filename}:{written.co_firstlineno}"
            raise ActorDefinitionError(f"{cls.__qualname__}.{name} ({where}) {fault}")


async def allows(room: object, rule: Awaitable[bool]) -> bool:
    """Say whether a hook allows something. What it forgot to await is no yes.

    Raises `ActorDefinitionError` for that.
    """
    says: object = await rule
    if inspect.isawaitable(says):
        raise ActorDefinitionError(
            f"A rule of {type(room).__name__} returned {type(says).__name__} and not whether it "
            "allows this; write `await` before what it returns."
        )
    return bool(says)


def _fault(own: Callable[..., object], hook: Callable[..., object]) -> str | None:
    """Say what is wrong with a hook, or None."""
    asynchronous = inspect.iscoroutinefunction(hook)
    if asynchronous and not inspect.iscoroutinefunction(inspect.unwrap(own)):
        return "is a hook that is awaited; write `async def` before its name."
    if not asynchronous and inspect.iscoroutinefunction(own):
        return "is a hook that nobody awaits; write `def` before its name."
    given = list(inspect.signature(hook).parameters)
    try:
        inspect.signature(own).bind(*given)
    except TypeError:
        kind = "async def" if asynchronous else "def"
        return (
            f"takes {_list(inspect.signature(own).parameters)} and is called with {_list(given)}; "
            f"write `{kind} {hook.__name__}({', '.join(given)})`."
        )
    return None


def _misspelt(name: str, hooks: Iterable[str]) -> str | None:
    """Say why a method that is no hook must not be called so, or None."""
    close = difflib.get_close_matches(name, hooks, n=1, cutoff=0.85)
    if close:
        return f"is no hook of a room; did you mean `{close[0]}`? Else give it another name."
    if name.startswith(PREFIXES):
        known = ", ".join(sorted(hooks))
        return f"is no hook of a room and would never be called; the hooks are {known}."
    return None


def _list(names: Iterable[str]) -> str:
    return f"({', '.join(names)})"
