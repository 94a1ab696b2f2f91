"""Running the event scripts of a collection, and what their failures are to those who asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from ...actors import Receipt
from ...config import get_logger
from ...transport import JSON, POD, Asker
from ..errors import (
    FieldError,
    RequestRefused,
    ScriptError,
    ScriptFailed,
    ScriptRefused,
    ScriptsBusy,
    ScriptTimeout,
    invalid,
)
from ..scripts import Script, ScriptContext, ScriptEvent, ScriptOutcome, plain_document
from ..store import Document
from ..users import Caller
from .environment import CHAIN, Collection, CollectionEnvironment

__all__ = ["Call", "run_before", "run_event", "run_get"]

_log = get_logger("script")


@frozen
class Call:
    """What a request asks, as scripts see it. `nbytes` is what its body took on the wire.

    `asker` is on whose account: the pod itself for what its own scripts ask. `headers` are the
    request's that say on what conditions, `merge` whether objects are merged.
    """

    caller: Caller
    query: Mapping[str, JSON] = field(factory=dict)
    method: str = "GET"
    parts: tuple[str, ...] = ()
    nbytes: int = 0
    asker: Asker = POD
    headers: Mapping[str, str] = field(factory=dict)
    merge: bool = False

    @property
    def me(self) -> dict[str, JSON] | None:
        """The user as scripts see it, or None."""
        identity = self.caller.identity
        if identity is None:
            return None
        return {
            "id": identity.user_id,
            "username": identity.username,
            "isRoot": identity.is_root,
        }


async def run_event(
    collection: Collection,
    environment: CollectionEnvironment,
    event: ScriptEvent,
    call: Call,
    data: Document,
    previous: Document | None = None,
) -> ScriptOutcome:
    """Run the script of an event; without one, nothing is decided.

    Raises `RequestRefused` when the script refuses the request or fails.
    """
    outcome, _ = await _run(collection, environment, event, call, data, previous)
    return outcome


async def run_before(
    collection: Collection, environment: CollectionEnvironment, call: Call, data: Document
) -> tuple[ScriptOutcome, Mapping[str, JSON]]:
    """Run `beforerequest` and return what it decided, and the query as it left it."""
    return await _run(collection, environment, "beforerequest", call, data, None)


async def run_get(
    collection: Collection,
    environment: CollectionEnvironment,
    call: Call,
    shown: Sequence[Document],
) -> list[ScriptOutcome | RequestRefused]:
    """Run the `get` script on each document: what it decided, or why it does not show that one.

    Raises `RequestRefused` when it could not be run for all of them.
    """
    script = collection.scripts.find("get")
    if script is None:  # it has gone meanwhile
        return [ScriptOutcome(document) for document in shown]
    contexts = [_context(environment, script, call, document) for document in shown]
    token = CHAIN.set(CHAIN.get().deeper(viewing=collection.name))
    try:
        outcomes = await environment.runner.run_each(script, contexts)
    except ScriptError as error:
        raise _failure(error) from error
    finally:
        CHAIN.reset(token)
    return [_consenting(outcome) for outcome in outcomes]


def _consenting(outcome: ScriptOutcome | ScriptError) -> ScriptOutcome | RequestRefused:
    if isinstance(outcome, ScriptError):
        return _failure(outcome)
    try:
        _demand_consent(outcome)
    except RequestRefused as refused:
        return refused
    return outcome


async def _run(
    collection: Collection,
    environment: CollectionEnvironment,
    event: ScriptEvent,
    call: Call,
    data: Document,
    previous: Document | None,
) -> tuple[ScriptOutcome, Mapping[str, JSON]]:
    script = collection.scripts.find(event)
    if script is None:
        return ScriptOutcome(data), call.query
    context = _context(environment, script, call, data, previous)
    try:
        outcome = await environment.runner.run(script, context)
    except ScriptError as error:
        raise _failure(error) from error
    _demand_consent(outcome)
    return outcome, context.query


def _context(
    environment: CollectionEnvironment,
    script: Script,
    call: Call,
    data: Document,
    previous: Document | None = None,
) -> ScriptContext:
    hub = environment.hub

    def emit(event: str, data: JSON, room: str | None) -> Receipt:
        return hub.emit_to_all(event, data) if room is None else hub.emit_to_room(room, event, data)

    return script.context_class(
        script.name,
        plain_document(data, "data"),  # a copy: what is inside is the script's to change too
        emit=emit,
        calls=environment.internal(),
        previous=previous,
        query=call.query,
        me=call.me,
        is_root=call.caller.is_root,
        method=call.method,
        parts=call.parts,
        depth=CHAIN.get().depth if call.caller.internal else 0,
    )


def _demand_consent(outcome: ScriptOutcome) -> None:
    """Raise what a script decided against the request."""
    if outcome.cancelled is not None:
        message, status = outcome.cancelled
        raise RequestRefused(status, message or "The request was refused.")
    if outcome.errors:
        raise invalid(tuple(FieldError(name, message) for name, message in outcome.errors))


def _failure(error: ScriptError) -> RequestRefused:
    """Say that a script failed, to somebody who may not know why; the log does.

    What another collection refused it keeps its status, its sentence and when to try again.
    """
    if isinstance(error, ScriptRefused):
        inner = error.refusal
        kept = {k: v for k, v in inner.headers.items() if k == "Retry-After"}
        return RequestRefused(inner.status, inner.sentence, inner.errors, kept, inner.detail)
    if isinstance(error, ScriptsBusy):
        return RequestRefused(503, error.sentence, headers={"Retry-After": "2"})
    if not isinstance(error, ScriptFailed):  # of a failure the runner has logged the traceback
        level = _log.warning if isinstance(error, ScriptTimeout) else _log.error
        level("script not run", script=error.script, reason=str(error)[:1000])
    return RequestRefused(500, error.sentence)
