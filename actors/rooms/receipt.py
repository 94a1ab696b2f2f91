"""Receipts: what really happened to an emit."""

from __future__ import annotations

from attrs import frozen

from ...transport import Scope

__all__ = ["Receipt"]


@frozen
class Receipt:
    """The answer to an emit: the event's id, how far it got, and why not further."""

    id: str
    scope: Scope
    reason: str = ""
