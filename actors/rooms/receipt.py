"""Receipts: what really happened to an emit."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ...transport import Problem, Reach, Scope

__all__ = ["SEND_TIMEOUT", "Receipt"]

SEND_TIMEOUT: Final = 5.0
"""Seconds that `send_` calls wait for, where nothing else is said."""


@frozen
class Receipt:
    """The answer to an emit: the event's id, how far it got, and the problem that stopped it.

    `reach` is there when the room's receipts say who has heard, and somebody waited for that.
    """

    id: str
    scope: Scope
    problem: Problem | None = None
    reach: Reach | None = None

    @property
    def reason(self) -> str:
        """Why it got no further, in words; "" where nothing stopped it."""
        return "" if self.problem is None else self.problem.message
