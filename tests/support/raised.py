"""All kinds of exceptions that code which is not ours may raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

__all__ = ["RAISED", "Unshowable", "Untellable", "nothing_escapes"]


class Untellable(Exception):
    """Its text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unshowable(Untellable):
    """Its form raises too. Not for nurseries: trio 0.35 itself ends of it."""

    __repr__ = Untellable.__str__


class OwnBase(BaseException):
    """What somebody made for signalling past `except Exception`."""


async def _keep() -> BaseException:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as cancelled:
            kept = cancelled
            raise
    return kept


_KEPT: Final = trio.run(_keep)
"""A Cancelled that outlived its scope, as code has it that caught one."""


RAISED: Final[dict[str, Callable[[], BaseException]]] = {
    "value": lambda: ValueError("told to"),
    "memory": MemoryError,
    "recursion": RecursionError,
    "stop iteration": lambda: StopIteration(1),
    "stop async": StopAsyncIteration,
    "too slow": trio.TooSlowError,
    "would block": trio.WouldBlock,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator exit": GeneratorExit,
    "cancelled": lambda: _KEPT,
    "own": lambda: OwnBase("own"),
    "group": lambda: ExceptionGroup("two", [ValueError(1), KeyError(2)]),
    "base group": lambda: BaseExceptionGroup("one", [SystemExit(3)]),
    "mixed group": lambda: BaseExceptionGroup(
        "mixed", [ValueError(1), BaseExceptionGroup("inner", [_KEPT, KeyboardInterrupt()])]
    ),
    "untellable": Untellable,
    "unshowable": Unshowable,
    "half a character": lambda: ValueError("half \ud800"),
}


@contextmanager
def nothing_escapes() -> Iterator[None]:
    """Fail where anything is raised; pytest itself would end of some exceptions."""
    escaped = ""
    try:
        yield
    except AssertionError:
        raise
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        escaped = f"{type(error).__name__} escaped"
        if isinstance(error, BaseExceptionGroup):
            escaped += f": {[type(one).__name__ for one in error.exceptions]}"
    assert not escaped, escaped
