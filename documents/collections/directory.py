"""The collections of a pod by name: found, and started when their folders appear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...actors import ActorCell
from ...config import Definition, get_logger
from ..scripts import Scripts
from ..users import USERS, keyed
from .collection import Redefined
from .environment import Collection

__all__ = ["Directory", "StartCollection"]

_log = get_logger("collections")

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
        self._names = {USERS: USERS}

    def __len__(self) -> int:
        return len(self._collections)

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def find(self, name: str) -> Collection | None:
        """Return the collection of that name if there is one."""
        return self._collections.get(name)

    def find_alike(self, name: str) -> str | None:
        """Return the name of another collection that differs from this one only by case.

        Databases, file systems and index names know no difference.
        """
        there = self._names.get(name.casefold(), name)
        return None if there == name else there

    def install(self, definition: Definition, scripts: Scripts) -> None:
        """Take a collection in, or let one that is there go on with this definition and scripts.

        A definition that changed is prepared by a new incarnation of its actor. Where another
        collection has this name but for its case, that one stays and the log tells of both.
        """
        clash = self.find_alike(definition.name)
        if clash is not None:
            self._tell_of_clash(definition.name, clash)
            return
        definition = keyed(definition)
        known = self._collections.get(definition.name)
        if known is None:
            self._names[definition.name.casefold()] = definition.name
            known = Collection(definition, scripts)
            known.ref = self._start(known).ref
            self._collections[definition.name] = known
            return
        known.scripts = scripts
        if known.definition != definition:
            known.definition = definition
            if known.ref is not None:
                known.ref.signal(Redefined())

    def _tell_of_clash(self, name: str, there: str) -> None:
        _log.error(
            "two collections have one name but for its case; the second is left out: rename it",
            first=there,
            second=name,
        )
