"""The collections of a pod by name: started when their folders appear, and stopped with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...actors import ActorCell
from ...config import Definition, get_logger
from ..scripts import Scripts
from ..users import USERS, keyed
from .collection import Redefined, Reopened
from .environment import Collection

__all__ = ["Directory", "StartCollection", "StopCollection"]

_log = get_logger("collections")

StartCollection = Callable[[Collection], ActorCell[Any] | None]
"""How a supervisor is asked to start the actor of a collection; None while another of that name
is still about to end."""

StopCollection = Callable[[str], object]
"""How a supervisor is asked to stop the actor of a collection: it does what it has taken first."""


class Directory:
    """The directory of the collections that run on this pod.

    `start` and `stop` are the supervisor's: this class knows which collections there should be, not
    how they live. Documents stay when a collection goes, and are there again when it is.
    """

    def __init__(self, start: StartCollection, stop: StopCollection) -> None:
        self._start = start
        self._stop = stop
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

    def install(self, definition: Definition, scripts: Scripts) -> bool:
        """Take a collection in, or let one that is there go on with this definition and scripts.

        Its actor prepares a definition that changed. Where another collection has this name but
        for its case, that one stays and the log tells of both. False when it has to be tried again
        for one of this name that was removed has not ended yet.
        """
        clash = self.find_alike(definition.name)
        if clash is not None:
            self._tell_of_clash(definition.name, clash)
            return True
        definition = keyed(definition)
        known = self._collections.get(definition.name)
        if known is None:
            return self._begin(Collection(definition, scripts))
        known.scripts = scripts
        if known.definition != definition:
            known.definition = definition
            if known.ref is not None:
                known.ref.signal(Redefined())
        return True

    def remove(self, name: str) -> None:
        """Let a collection go: nobody finds it any more, and what it has taken is still done."""
        if self._collections.pop(name, None) is not None:
            self._names = {alike: there for alike, there in self._names.items() if there != name}
            self._names[USERS] = USERS
            self._stop(name)

    def reopened(self) -> None:
        """Have every collection prepare its tables again: the database was opened anew."""
        for collection in self:
            if collection.ref is not None:
                collection.ref.signal(Reopened())

    def _begin(self, collection: Collection) -> bool:
        cell = self._start(collection)
        if cell is None:
            return False
        collection.ref = cell.ref
        self._names[collection.name.casefold()] = collection.name
        self._collections[collection.name] = collection
        return True

    def _tell_of_clash(self, name: str, there: str) -> None:
        _log.error(
            "two collections have one name but for its case; the second is left out: rename it",
            first=there,
            second=name,
        )
