"""Receipts: what really happened to an emit."""

from __future__ import annotations

from attrs import frozen

from ...transport import Reach, Scope

__all__ = ["Receipt"]


@frozen
class Receipt:
    """The answer to an emit: the event's id, how far it got, and why not further.

    `reach` is there when the room's receipts say who has heard, and somebody waited for that.
    """

    id: str
    scope: Scope
    reason: str = ""
    reach: Reach | None = None
