"""Who may do what with a collection's documents: pure decisions over its definition."""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

from ...config import Definition, Right
from ...transport import Identity
from ...transport.store import All, Document, Equal, Filter
from .refused import RequestRefused

__all__ = ["POD", "Caller", "Method", "demand", "demand_owner", "may_listen", "may_see", "readable"]

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
        raise RequestRefused(
            401,
            f"Sign in to {_WORDS[method]} '{definition.name}': send 'Authorization: Bearer "
            "<token>' from POST /auth/login.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if right is Right.ROOT:
        raise RequestRefused(403, f"Only root may {_WORDS[method]} '{definition.name}'.")


def demand_owner(
    definition: Definition, method: Method, caller: Caller, document: Document
) -> None:
    """Raise `RequestRefused` (403) when only owners may do this and the caller is not this one's.

    `demand` has let the caller through.
    """
    if getattr(definition.access, method) is Right.OWNER and not _owns(
        definition, document, caller
    ):
        raise RequestRefused(
            403, f"Only its owner may {_WORDS[method]} '{definition.name}' this document."
        )


def readable(definition: Definition, caller: Caller) -> Filter:
    """Return the filter of the documents that a caller may read who may read at all."""
    if definition.access.get is not Right.OWNER or caller.is_root:
        return All()
    return Equal((definition.owner,), (caller.user_id,))


def may_see(definition: Definition, caller: Caller, document: Document) -> bool:
    """Say whether a caller may read this document, without raising."""
    return may_listen(definition, caller) is None and (
        definition.access.get is not Right.OWNER or _owns(definition, document, caller)
    )


def may_listen(definition: Definition, caller: Caller) -> RequestRefused | None:
    """Say why a caller may not listen to a collection, or None: who may read it may listen."""
    try:
        demand(definition, "get", caller)
    except RequestRefused as refused:
        return refused
    return None


def _owns(definition: Definition, document: Document, caller: Caller) -> bool:
    if caller.is_root:
        return True
    return caller.user_id is not None and document.get(definition.owner) == caller.user_id
