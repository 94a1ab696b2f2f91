"""The collections of a pod by name: found, and started when their folders appear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...config import Definition
from ..cell import ActorCell
from .collection import Redefined
from .environment import Collection
from .scripts import Scripts

__all__ = ["Directory", "StartCollection"]

StartCollection = Callable[[Collection], ActorCell[Any]]
"""How a supervisor is asked to start the actor of a collection."""


class Directory:
    """The directory of the collections that run on this pod.

    `start` is the supervisor's: this class knows which collections there should be, not how they
    live. A collection stays when its folder goes, for its documents do too.
    """

    def __init__(self, start: StartCollection) -> None:
        self._start = start
        self._collections: dict[str, Collection] = {}

    def __len__(self) -> int:
        return len(self._collections)

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def find(self, name: str) -> Collection | None:
        """Return the collection of that name if there is one."""
        return self._collections.get(name)

    def install(self, definition: Definition, scripts: Scripts) -> None:
        """Take a collection in, or let one that is there go on with this definition and scripts.

        A definition that changed is prepared by a new incarnation of its actor.
        """
        known = self._collections.get(definition.name)
        if known is None:
            known = Collection(definition, scripts)
            known.ref = self._start(known).ref
            self._collections[definition.name] = known
            return
        known.scripts = scripts
        if known.definition != definition:
            known.definition = definition
            if known.ref is not None:
                known.ref.signal(Redefined())
