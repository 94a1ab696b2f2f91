"""Deciding a write: what the definition, the owner and the event scripts make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import orjson
from attrs import field, frozen

from ...actors import Request
from ...config import get_logger
from ...transport import JSON
from ..errors import (
    DuplicateValue,
    FieldError,
    QueryError,
    RequestRefused,
    StoreUnavailable,
    StoreUncertain,
    Unstorable,
    invalid,
    unusable,
)
from ..scripts import Response, ScriptEvent
from ..store import Change, Document, Write, WriteResult
from ..users import (
    HashedPassword,
    Method,
    demand_owner,
    guard,
    is_users,
    missing,
    said_of,
    with_hash_again,
    with_hashed_password,
    without_hash,
)
from . import documents
from .environment import CHAIN, Chain, Collection, CollectionEnvironment
from .preconditions import UNCONDITIONAL, Preconditions
from .scripting import Call, run_event

__all__ = ["DocumentWriter", "ScriptsSaid", "WriteRequest", "Written", "refusal_of"]

ATTEMPTS: Final = 3
"""How often a write with scripts is tried when another pod changes the document meanwhile."""

SCRIPT_EVENTS: Final[Mapping[Method, tuple[ScriptEvent, ...]]] = {
    "post": ("validate", "post", "aftercommit"),
    "put": ("validate", "put", "aftercommit"),
    "delete": ("delete", "aftercommit"),
}

_log = get_logger("realtime")


@frozen
class Written:
    """What was written: the whole document (of a removal, as it was), not yet as anybody sees it.

    `hidden` and `response` are what its scripts said to the caller: what not to show, and what to
    answer instead.
    """

    document: Document
    hidden: frozenset[str] = frozenset()
    response: Response | None = None


@frozen
class WriteRequest(Request[Written]):
    """A write to be carried out: `data` is what a client sent, `id` None for a new document.

    `merge` is whether objects in `data` are merged with those that are there, `preconditions` which
    state of the document is meant. `nbytes` is what it weighs in the mailbox. `hashed` is the new
    password of a user with its hash, which takes too long to be made while others wait for their
    writes.
    """

    method: Method
    id: str | None
    data: Mapping[str, JSON]
    call: Call
    chain: Chain = field(factory=Chain)
    nbytes: int = 256
    hashed: HashedPassword | None = None
    merge: bool = False
    preconditions: Preconditions = UNCONDITIONAL


@frozen
class ScriptsSaid:
    """What scripts said to the caller beside the document: what not to show, what to answer."""

    hidden: frozenset[str] = frozenset()
    response: Response | None = None


class _ChangedMeanwhile(Exception):
    """Another pod has changed the document since the scripts saw it."""


class DocumentWriter:
    """Decides the writes of one collection, for its actor. `commit` commits and relays them."""

    def __init__(
        self,
        collection: Collection,
        environment: CollectionEnvironment,
        commit: Callable[[Sequence[Write]], Awaitable[Sequence[WriteResult]]],
    ) -> None:
        self._collection = collection
        self._env = environment
        self._commit_and_relay = commit

    def is_plain(self, method: Method) -> bool:
        """Say whether no script has to see such a write, so that many can go together."""
        if is_users(self._collection.definition):
            return False
        return not any(self._collection.has(event) for event in SCRIPT_EVENTS[method])

    def decide(self, request: WriteRequest) -> Write:
        """Return a plain write as a decision that the store takes inside its transaction."""
        id_ = request.id or ""
        if request.method == "post":
            try:
                id_ = documents.chosen_id(request.data)
            except RequestRefused as refused:
                return Write(documents.new_id(), _raising(refused))
        elif not documents.can_be_id(id_):
            return Write(documents.new_id(), _raising(missing(self._collection.name)))
        return Write(id_, lambda current: self._proposed(request, id_, current))

    async def perform(self, request: WriteRequest) -> Written:
        """Do one write with its scripts: decide, commit and relay it. `aftercommit` comes later.

        Raises `RequestRefused` or `StoreError`.
        """
        token = CHAIN.set(request.chain.deeper(holding=self._collection.name))
        try:
            change, said = await self._decide_and_commit(request)
        finally:
            CHAIN.reset(token)
        return Written(change.document, said.hidden, said.response)

    async def propose(self, request: WriteRequest) -> tuple[Write, ScriptsSaid]:
        """Return a write as its scripts decide it, and what they said. Raises `RequestRefused`."""
        if self.is_plain(request.method):
            return self.decide(request), ScriptsSaid()
        definition, store = self._collection.definition, self._env.store
        if request.method != "post" and not documents.can_be_id(request.id or ""):
            raise missing(definition.name)
        id_ = request.id or documents.chosen_id(request.data)
        looks = request.id or request.preconditions != UNCONDITIONAL
        current = await store.get(definition, id_) if looks else None
        final, said = await self._decide(request, id_, current)
        return Write(id_, _unless_changed(current, final)), said

    async def after_commit(self, request: WriteRequest, written: Written) -> None:
        """Let a script act on what is committed; what it raises can undo nothing any more."""
        document = documents.shown(self._collection.definition, written.document)
        token = CHAIN.set(request.chain.deeper())
        try:
            await run_event(
                self._collection, self._env, "aftercommit", request.call, dict(document), None
            )
        except RequestRefused as refused:
            _log.warning(
                "aftercommit refused what is committed",
                collection=self._collection.name,
                reason=refused.sentence,
            )
        finally:
            CHAIN.reset(token)

    # A write with scripts --------------------------------------------------------------------

    async def _decide_and_commit(self, request: WriteRequest) -> tuple[Change, ScriptsSaid]:
        for _ in range(ATTEMPTS):
            write, said = await self.propose(request)
            [outcome] = await self._commit_and_relay([write])
            if isinstance(outcome, Change):
                return outcome, said
            if not isinstance(outcome, _ChangedMeanwhile):
                raise refusal_of(outcome)
        raise _keeps_changing()

    async def _decide(
        self, request: WriteRequest, id_: str, current: Document | None
    ) -> tuple[Document | None, ScriptsSaid]:
        """Return the document that is to be (None: none), and what the scripts said."""
        definition = self._collection.definition
        proposed = self._proposed(request, id_, current)
        previous = None if request.method == "post" else current
        said = ScriptsSaid()
        document: Document = dict(proposed if proposed is not None else current or {})
        if is_users(definition):
            document, previous = (
                without_hash(document, current),
                previous and without_hash(previous, current),
            )
        for event in SCRIPT_EVENTS[request.method][:-1]:
            outcome = await run_event(
                self._collection, self._env, event, request.call, document, previous
            )
            document = dict(outcome.data)
            said = ScriptsSaid(said.hidden | outcome.hidden, outcome.response or said.response)
        if proposed is None:
            return None, said
        document.update({name: proposed[name] for name in ("id", "createdAt", "updatedAt")})
        if is_users(definition):
            final = documents.checked(definition, with_hash_again(document, current), current)
            return await with_hashed_password(
                final, current, self._env.passwords, request.hashed
            ), said
        return self._bounded(documents.checked(definition, document, current), current), said

    def _proposed(
        self, request: WriteRequest, id_: str, current: Document | None
    ) -> Document | None:
        """Return what the client's data alone make of the document: pure."""
        definition, caller, now = (
            self._collection.definition,
            request.call.caller,
            self._env.wall(),
        )
        if request.method == "post":
            request.preconditions.check(current)
            if current is not None:
                raise DuplicateValue("id")
            proposed = documents.created(definition, request.data, caller, id_, now)
        else:
            found = _existing(definition.name, current)
            demand_owner(definition, request.method, caller, found)
            request.preconditions.check(found)
            if request.method == "delete":
                return None
            proposed = documents.changed(
                definition, found, request.data, caller, now, merge=request.merge
            )
        if is_users(definition):
            guard(request.data, proposed, current, caller)
        return self._bounded(proposed, current)

    def _bounded(self, document: Document, current: Document | None) -> Document:
        """Return a document that an answer can hold; one that is too large may shrink."""
        bound, size = self._env.answers.nbytes, len(orjson.dumps(document))
        if size > bound and (current is None or size >= len(orjson.dumps(current))):
            raise RequestRefused(
                413,
                f"The document would have {size:,} bytes, and no more than {bound:,} fit into an "
                "answer (store.maxAnswerBytes); keep what grows in documents of their own.",
            )
        return document


def refusal_of(error: BaseException | None) -> Exception:
    """Return what the asker is told of a write, or a search, that came to nothing."""
    if isinstance(error, DuplicateValue):
        return invalid((FieldError(said_of(error.field), "is taken by another document"),))
    if isinstance(error, StoreUncertain):
        return RequestRefused(500, error.public, detail=str(error))
    if isinstance(error, StoreUnavailable):
        return unusable(error)
    if isinstance(error, _ChangedMeanwhile):
        return _keeps_changing()
    if isinstance(error, Unstorable | QueryError):
        return RequestRefused(400, str(error))
    if isinstance(error, RequestRefused):
        return error.with_traceback(None)  # it would hold the transaction, which held the error
    if isinstance(error, Exception):
        return error
    return RequestRefused(500, "The pod failed on this write; its log says why.")


def _keeps_changing() -> RequestRefused:
    return RequestRefused(409, "The document keeps changing meanwhile; read it and try again.")


def _existing(collection: str, document: Document | None) -> Document:
    if document is None:
        raise missing(collection)
    return document


def _raising(error: Exception) -> Callable[[Document | None], Document | None]:
    def decide(_: Document | None) -> Document | None:
        raise error

    return decide


def _unless_changed(
    seen: Document | None, final: Document | None
) -> Callable[[Document | None], Document | None]:
    def decide(current: Document | None) -> Document | None:
        if current == seen:
            return final
        if seen is None:
            raise DuplicateValue("id")
        raise _ChangedMeanwhile

    return decide
