"""A document as somebody sees it: one notion for whatever is read, answered, told or asked for.

The right to read, the owner, private properties and the `get` script decide it, in this order, and
before anything that a client asks for: `searching` filters, sorts, counts and cuts what is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from ...config import Definition
from ...transport import JSON
from ..errors import RequestRefused
from ..scripts import ScriptOutcome
from ..store import Document
from ..users import Caller, demand, may_see, missing
from . import documents
from .environment import CHAIN, Collection, CollectionEnvironment
from .scripting import Call, run_get

__all__ = ["DocumentView", "Viewer", "as_stored"]


@frozen
class DocumentView:
    """A document as a caller sees it: `body` is what is answered.

    `known` is what a query of the caller's looks at. It is the same, but where a script answers
    something else in the place of the document, or the pod's own scripts ask.
    """

    body: JSON
    known: Document


def as_stored(definition: Definition, caller: Caller) -> frozenset[str]:
    """Return the properties that a query sees as they are stored, whatever a `get` script does.

    Only clients are kept from what is private: the pod's own scripts may look for it.
    """
    return definition.open | definition.private if caller.internal else definition.open


class Viewer:
    """Shows documents to callers, or says with a `RequestRefused` why it does not."""

    def __init__(self, environment: CollectionEnvironment) -> None:
        self._env = environment

    async def views(
        self, collection: Collection, call: Call, found: Sequence[Document]
    ) -> list[DocumentView | RequestRefused]:
        """Return how the caller sees each document, or why it does not.

        Raises `RequestRefused` when the caller may read none of them at all, or the `get` script
        could not be run for all.
        """
        definition, caller = collection.definition, call.caller
        demand(definition, "get", caller)
        may = [document for document in found if may_see(definition, caller, document)]
        plain = [documents.shown(definition, document) for document in may]
        views: list[DocumentView | RequestRefused] = [
            DocumentView(document, document) for document in plain
        ]
        if collection.has("get"):
            outcomes = await run_get(collection, self._env, evolve(call, method="GET"), plain)
            views = [_view(definition, caller, *pair) for pair in zip(may, outcomes, strict=True)]
        if len(may) == len(found):
            return views
        absent, seen = missing(definition.name), iter(views)
        return [
            next(seen) if may_see(definition, caller, document) else absent for document in found
        ]

    async def view(self, collection: Collection, call: Call, document: Document) -> JSON:
        """Return a document as the caller sees it; raises `RequestRefused` when it does not."""
        [view] = await self.views(collection, call, [document])
        if isinstance(view, RequestRefused):
            raise view
        return view.body

    async def written(
        self,
        collection: Collection,
        call: Call,
        document: Document,
        hidden: frozenset[str] = frozenset(),
    ) -> JSON:
        """Return what a caller is answered who has written a document: what a GET would show.

        Who may not see it is told its `id`. `hidden` is what the scripts of the write keep back.
        A `get` script that writes to its own collection gets what was written: shown by itself, it
        would write again.
        """
        if collection.name in CHAIN.get().viewing:
            body: JSON = documents.shown(collection.definition, document)
        else:
            call = evolve(call, query={}, parts=(str(document["id"]),))
            try:
                body = await self.view(collection, call, document)
            except RequestRefused:  # it is written all the same
                body = {"id": document["id"]}
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name not in hidden}


def _view(
    definition: Definition,
    caller: Caller,
    stored: Document,
    outcome: ScriptOutcome | RequestRefused,
) -> DocumentView | RequestRefused:
    if isinstance(outcome, RequestRefused):
        return outcome
    if outcome.response is None:
        shown = documents.shown(definition, outcome.data, outcome.hidden)
        body: JSON = _fixed(shown, stored, definition.open)
    else:
        body = outcome.response.body
    seen = body if isinstance(body, dict) else {}
    return DocumentView(body, _fixed(seen, stored, as_stored(definition, caller)))


def _fixed(shown: Mapping[str, JSON], stored: Document, names: frozenset[str]) -> Document:
    """Return what is shown with these properties as they are stored, there or not.

    The others are sorted: the place of what a script has added would tell what was there before.
    """
    rest = {name: shown[name] for name in sorted(shown) if name not in names}
    return {**{name: value for name, value in stored.items() if name in names}, **rest}
