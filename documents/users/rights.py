"""Who may do what with a collection's documents: pure decisions over its definition."""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

from ...config import Definition, Right
from ...transport import Identity
from ..errors import RequestRefused
from ..store import All, Any, Document, Equal, Filter, matches

__all__ = [
    "POD",
    "Caller",
    "Method",
    "demand",
    "demand_many",
    "demand_owner",
    "may_ask",
    "may_listen",
    "may_see",
    "missing",
    "owns",
    "readable",
]

Method = Literal["get", "post", "put", "delete"]

_WORDS: Final = {"get": "read", "post": "add to", "put": "change", "delete": "remove from"}


@frozen
class Caller:
    """Who asks: a client, or (`internal`) a script of the pod's own, which may do everything."""

    identity: Identity | None = None
    internal: bool = False

    @property
    def user_id(self) -> str | None:
        """The user's id, or None for somebody who has not signed in."""
        return self.identity.user_id if self.identity else None

    @property
    def is_root(self) -> bool:
        """Whether no rule holds the caller back."""
        return self.internal or (self.identity is not None and self.identity.is_root)


POD: Final = Caller(internal=True)
"""The pod's own code."""


def demand(definition: Definition, method: Method, caller: Caller) -> None:
    """Raise `RequestRefused` (401 or 403) when the caller may not do this to any document.

    Where only owners may, whose a document is has to be asked for each: `demand_owner`.
    """
    right: Right = getattr(definition.access, method)
    if right is Right.ANYONE or caller.is_root:
        return
    if caller.identity is None:
        raise _stranger(definition, method)
    if right is Right.ROOT:
        raise RequestRefused(403, f"Only root may {_WORDS[method]} '{definition.name}'.")


def demand_many(definition: Definition, caller: Caller) -> None:
    """Raise `RequestRefused` (401 or 403) for who may not remove many documents at once."""
    if caller.is_root:
        return
    if caller.identity is None:
        raise _stranger(definition, "delete")
    sentence = f"Only root may remove many at once; remove one at /{definition.name}/<id>."
    raise RequestRefused(403, sentence)


def _stranger(definition: Definition, method: Method) -> RequestRefused:
    return RequestRefused(
        401,
        f"Sign in to {_WORDS[method]} '{definition.name}': send 'Authorization: Bearer "
        "<token>' from POST /auth/login.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def demand_owner(
    definition: Definition, method: Method, caller: Caller, document: Document
) -> None:
    """Raise `RequestRefused` when only owners may do this and the caller is not this one's.

    That is 403 for a document that the caller may read, and otherwise the 404 of one that is not
    there. `demand` has let the caller through.
    """
    if getattr(definition.access, method) is not Right.OWNER or owns(definition, caller, document):
        return
    if not may_see(definition, caller, document):
        raise missing(definition.name)
    raise RequestRefused(
        403, f"Only its owner may {_WORDS[method]} '{definition.name}' this document."
    )


def missing(collection: str) -> RequestRefused:
    """Return the refusal of somebody who asks for a document that is not there for them."""
    return RequestRefused(404, f"There is no such document in '{collection}'.")


def readable(definition: Definition, caller: Caller) -> Filter:
    """Return the filter of the documents that a caller may read who may read at all."""
    return _own(definition, caller) if definition.access.get is Right.OWNER else All()


def may_see(definition: Definition, caller: Caller, document: Document) -> bool:
    """Say whether a caller may read this document, without raising."""
    return may_listen(definition, caller) is None and (
        definition.access.get is not Right.OWNER or owns(definition, caller, document)
    )


def may_listen(definition: Definition, caller: Caller) -> RequestRefused | None:
    """Say why a caller may not listen to a collection, or None: who may read it may listen."""
    try:
        demand(definition, "get", caller)
    except RequestRefused as refused:
        return refused
    return None


def may_ask(definition: Definition, method: Method, caller: Caller) -> bool:
    """Say whether a caller may do this to any document at all, without raising."""
    try:
        demand(definition, method, caller)
    except RequestRefused:
        return False
    return True


def owns(definition: Definition, caller: Caller, document: Document) -> bool:
    """Say whether a document is the caller's, or the caller root."""
    return matches(_own(definition, caller), document)


def _own(definition: Definition, caller: Caller) -> Filter:
    """Return the filter of a caller's own documents: of two notions, one would leak."""
    if caller.is_root:
        return All()
    if caller.user_id is None:
        return Any(())
    return Equal((definition.owner,), (caller.user_id,))
