"""An emit of the pod's own code for which somebody waits, and what becomes of it."""

from __future__ import annotations

from typing import Final

import trio

from ...transport import Outcome, Problem, Reach, Scope
from .receipt import Receipt
from .replies import scope_of

__all__ = ["TOO_BUSY", "Awaited", "known"]

TOO_BUSY: Final = Problem(
    "room_busy", "The room is too busy; emit more slowly, or allow it more time."
)
_ENDED: Final = Problem("room_closed", "The room has ended; try again.")
_UNHEARD: Final = Problem("unheard", "Nobody is there who could have heard it.")


class Awaited:
    """What becomes of an emit for which somebody waits."""

    __slots__ = ("_begun", "_outcome", "_problem", "given")

    def __init__(self) -> None:
        self.given = trio.Event()
        self._begun = False
        self._outcome: Outcome | None = None
        self._problem: Problem | None = None

    def begin(self) -> bool:
        """Note that the room has come to it; False when it was given up."""
        self._begun = True
        return not self.given.is_set()

    def settle(self, outcome: Outcome) -> None:
        """Note how far it has got."""
        self._give(outcome, None)

    def refuse(self, problem: Problem) -> None:
        """Note why it was not done."""
        self._give(Scope.REJECTED, problem)

    def returned(self) -> None:
        """Note that the room has ended and had not come to it."""
        self._give(Scope.REJECTED, _ENDED)

    def applied_to(self, receipt: Receipt) -> Receipt:
        """Return the receipt with what is known by now; what the room has not begun is withdrawn.

        What it has begun, or waits for the broker, stands as it did at first.
        """
        if not self._begun and receipt.scope is not Scope.REJECTED:
            self._give(Scope.REJECTED, TOO_BUSY)
        if self._outcome is None:
            return receipt
        return known(receipt.id, self._outcome, self._problem or receipt.problem)

    def _give(self, outcome: Outcome, problem: Problem | None) -> None:
        if not self.given.is_set():
            self._outcome, self._problem = outcome, problem
            self.given.set()


def known(event_id: str, outcome: Outcome, problem: Problem | None = None) -> Receipt:
    """Return the receipt of what has come to an end; `problem` is why it got no further."""
    reach, scope = outcome if isinstance(outcome, Reach) else None, scope_of(outcome)
    if scope is Scope.REJECTED and problem is None:
        problem = _UNHEARD
    return Receipt(event_id, scope, problem, reach)
