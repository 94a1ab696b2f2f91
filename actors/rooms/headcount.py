"""Who has heard an emit, where a room's receipts say so: on its own pod, and on the others."""

from __future__ import annotations

from ...transport import Event, InDoubt, Outcome, Reach, Scope
from ..cluster import Tell, Uplink
from .replies import scope_of

__all__ = ["Headcount", "here_alone", "publish_elsewhere"]


class Headcount:
    """Adds up what is known of both, whichever comes first, and tells the whole once."""

    __slots__ = ("_elsewhere", "_here", "_tell")

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._here: int | None = None
        self._elsewhere: Outcome | None = None

    def here(self, members: int) -> None:
        """Note how many members the room has here, now that it has told them."""
        if self._here is None:
            self._here = members
            self._add_up()

    def elsewhere(self, outcome: Outcome) -> None:
        """Note what has become of it on the other pods."""
        if self._elsewhere is None:
            self._elsewhere = outcome
            self._add_up()

    def _add_up(self) -> None:
        if self._here is None or self._elsewhere is None:
            return
        if isinstance(self._elsewhere, InDoubt) and not self._here:
            self._tell(self._elsewhere)  # nobody has it, or others
            return
        others, here = _reach(self._elsewhere), self._here
        own = int(here > 0)
        self._tell(Reach(others.scope, others.pods + own, others.of + own, others.members + here))


def here_alone(members: int) -> Reach:
    """Return the outcome of an event that has stayed on this pod."""
    own = int(members > 0)
    return Reach(Scope.LOCAL, own, own, members)


def publish_elsewhere(uplink: Uplink, event: Event, tell: Tell, *, counted: bool) -> Outcome | None:
    """Say to the other pods what nobody here is in a room to hear.

    Returns what has become of it, or None while the link has it: `tell` is called then.
    """
    if not counted:
        return uplink.publish(event, tell)
    headcount = Headcount(tell)
    headcount.here(0)
    scope = uplink.publish_counted(event, headcount.elsewhere)
    return None if scope is None else _reach(scope)


def _reach(outcome: Outcome) -> Reach:
    return outcome if isinstance(outcome, Reach) else Reach(scope_of(outcome), 0, 0, 0)
