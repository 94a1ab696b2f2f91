"""Which systems there are on the bench."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from .contract import BenchTarget, TargetError
from .deployd import OurTarget
from .socketio import PythonSocketIo, SocketIoRedis, SocketIoStreams

__all__ = ["TARGETS", "find_target", "spelled"]

_SHIPPED: Final = (OurTarget, SocketIoRedis, SocketIoStreams, PythonSocketIo)
TARGETS: Final[Mapping[str, type[BenchTarget]]] = {kind.name: kind for kind in _SHIPPED}
"""Those that are shipped, by name."""


def find_target(name: str) -> BenchTarget:
    """Return the system of a name, or of one's own: `package.module:Class`.

    Raises `TargetError` where there is none, and `NotInstalled`: its version is asked for, so that
    what is missing is told before anything is started.
    """
    target = (_own(name) if ":" in name else _shipped(name))()
    target.version  # noqa: B018 - raises
    return target


def spelled(target: BenchTarget) -> str:
    """Return the name under which a system is found."""
    kind = type(target)
    return kind.name if TARGETS.get(kind.name) is kind else f"{kind.__module__}:{kind.__name__}"


def _shipped(name: str) -> type[BenchTarget]:
    if name in TARGETS:
        return TARGETS[name]
    near = get_close_matches(name, TARGETS, 1)
    more = f"did you mean {near[0]}?" if near else f"there are {', '.join(TARGETS)}."
    raise TargetError(f"{name} is no target; {more}")


def _own(name: str) -> type[BenchTarget]:
    module, _, kind = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise TargetError(f"{name} is no target: {error}.") from None
    if not (isinstance(found, type) and issubclass(found, BenchTarget)):
        raise TargetError(f"{name} is no target: it has to be a class made of BenchTarget.")
    return found
