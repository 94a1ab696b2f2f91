"""Whether the documents that are there fit the definitions that are to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from ...config import Definition, Store
from ..store import Snapshot, is_there, open_snapshot
from ..users import USERS, keyed
from .documents import misfits
from .folders import FolderContent, FolderScan

__all__ = ["CollectionFit", "UnfitDocument", "fits"]

_SHOWN: Final = 20
"""Documents of one collection that are named; of the rest it says how many."""


@frozen
class UnfitDocument:
    """A document, and what of it a definition does not allow, without its values."""

    id: str
    sentences: tuple[str, ...]


@frozen
class CollectionFit:
    """A collection, how many documents it has, and which of them do not fit.

    `problem` is why its folder cannot be read. `clashes` are sentences about values that are to be
    unique. Of `unfit` documents, which can be read and changed nevertheless, some are `named`.
    """

    name: str
    problem: str = ""
    documents: int = 0
    clashes: tuple[str, ...] = ()
    unfit: int = 0
    named: tuple[UnfitDocument, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is nothing to be mended."""
        return not (self.problem or self.clashes or self.unfit)


def fits(folder: Path, url: str, settings: Store) -> list[CollectionFit]:
    """Hold the documents of a database against the folder of collections; it changes neither.

    On a thread: it reads all documents. Raises `StoreUnavailable`, and `ConfigurationError` for a
    URL of no database.
    """
    scan = FolderScan(folder, {}, reload=False)
    scan.run()
    found = sorted(scan.found.items())
    problems = [CollectionFit(str(folder), scan.problem)] if scan.problem else []
    if not is_there(url):
        return problems + [CollectionFit(name, one.problem) for name, one in found]
    with open_snapshot(url, settings) as there:
        known = frozenset(there.collections())
        return problems + [_fit(name, one, there, known) for name, one in found]


def _fit(name: str, one: FolderContent, there: Snapshot, known: frozenset[str]) -> CollectionFit:
    definition = one.definition
    if definition is None or definition.no_store or name not in known:
        return CollectionFit(name, one.problem)
    clashes = tuple(each.sentence for each in there.misfits(keyed(definition)))
    documents = unfit = 0
    named: list[UnfitDocument] = []
    for each in _judged(definition, there):
        documents += 1
        if each.sentences:
            unfit += 1
            if len(named) < _SHOWN:
                named.append(each)
    return CollectionFit(name, "", documents, clashes, unfit, tuple(named))


def _judged(definition: Definition, there: Snapshot) -> Iterator[UnfitDocument]:
    if definition.name == USERS:
        definition = keyed(definition)
    for _, text in there.documents(definition.name):
        document = orjson.loads(text)
        errors = misfits(definition, document, {})
        sentences = tuple(f"{error.field} {error.message}" for error in errors)
        yield UnfitDocument(str(document.get("id")), sentences)
