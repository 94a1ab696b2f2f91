"""Actors whose turns are disturbed: a cell is made another kind of cell, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias, TypeVar

from ...actors import Actor, ActorCell
from ..base import BaseSupervisor

__all__ = ["CellKind", "cells_below", "disturbed_kind"]

R = TypeVar("R")
CellKind: TypeAlias = type[ActorCell[Any]]


def disturbed_kind(disturb: Callable[[str], Awaitable[None]]) -> CellKind:
    """Return the class of cells that await `disturb`, with their path, before each turn.

    A cell that lives becomes one by its `__class__` and an ordinary one again the same way: so a
    healthy cell has no place where faults could be, no look at one, and pays nothing.
    """

    class DisturbedCell(ActorCell[Any]):
        """A cell that a fault is at."""

        __slots__ = ()

        async def dispatch(self, function: Callable[..., Awaitable[R]], *args: object) -> R:
            # Who cleans up is let: a crash in there would be one that nobody sees, and a pod that
            # stops would wait for whoever hangs.
            if getattr(function, "__name__", "") != Actor.on_stop.__name__:
                # A turn of its own, so that the tree says what the actor is in.
                await ActorCell.dispatch(self, disturb, self.path)
            # Not super(): this may be an ordinary cell again when the wait is over.
            return await ActorCell.dispatch(self, function, *args)

        async def listen(self, actor: Actor) -> None:
            await ActorCell.dispatch(self, disturb, self.path)
            await ActorCell.listen(self, actor)

    return DisturbedCell


def cells_below(supervisor: BaseSupervisor) -> Iterator[ActorCell[Any]]:
    """Yield the cells of all actors in a tree."""
    for child in supervisor.children.each():
        if isinstance(child, ActorCell):
            yield child
        elif isinstance(child, BaseSupervisor):
            yield from cells_below(child)
