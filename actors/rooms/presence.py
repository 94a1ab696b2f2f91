"""What a room knows of who is in it, on all pods: for those who write one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...transport import JSON
from ..runtime import ActorDefinitionError
from .handlers.hooks import where
from .member import Member
from .person import Person

if TYPE_CHECKING:
    from .tracking import Tracking

__all__ = ["PRESENCE_EVENT", "Presence", "check_presence"]

PRESENCE_EVENT: Final = "presence"
"""What members hear; no client may say it in a room that tracks them."""


class Presence:
    """Who is in a room, on all pods: `presence = True` in its class, `self.presence` in its hooks.

    Each member is tracked by its user, and one that has not signed in by its client's id: several
    tabs of one user are one person. Members hear the event `presence`: on joining `here`, who is
    there, then who `came`, who `went` and who `changed`, each time with the `count` of all.

    What other pods say comes a moment later, and over a broker that is away not at all: members are
    told of that (`system:degraded`). Who is on a pod that is not heard for 8 seconds has gone.
    """

    def __init__(self, tracking: Tracking | None = None) -> None:
        self._tracking = tracking

    def __get__(self, room: object | None, owner: type) -> Presence:
        """Return that of a room that runs."""
        if room is None:
            return self
        own: Presence | None = room.__dict__.get(_PLACE)
        if own is None:
            raise ActorDefinitionError(
                f"{owner.__name__} does not track who is in it; write `presence = True` in the "
                "class, and use this in on_start at the earliest."
            )
        return own

    def give(self, room: object) -> None:
        """Be what `self.presence` is in this room."""
        room.__dict__[_PLACE] = self

    def track(self, member: Member[Any], **meta: JSON) -> None:
        """Add to what everybody is told of the person that a member is; None takes a key away.

        All its connections share it, and the newest of each pod's counts. It ends with the last of
        them. Raises `NotAMember`, and `WireError` for what is not JSON or takes more than 1 KiB.
        """
        self._there().track(member, meta)

    def list(self) -> list[Person]:
        """Return who is there, on all pods as far as they are heard."""
        return list(self._there().people)

    def of(self, user: str) -> Person | None:
        """Return the person that a user is, or None when it is not there."""
        return self._there().people.of(user)

    def __len__(self) -> int:
        """Return how many people are there."""
        return len(self._there().people)

    def _there(self) -> Tracking:
        if self._tracking is None:
            raise ActorDefinitionError("This is the class's; ask `self.presence` in a hook.")
        return self._tracking


_PLACE = "presence"


def check_presence(cls: Any, none: Presence) -> None:
    """Raise `ActorDefinitionError` for a class of rooms whose `presence` would do nothing.

    `none` is that of a class that tracks nobody.
    """
    own: object = cls.presence
    if not isinstance(own, Presence):
        raise ActorDefinitionError(
            f"{cls.__qualname__}.presence{where(own, cls)} is {own!a}; write `presence = True`."
        )
    handler = cls.__answers__.get(PRESENCE_EVENT)
    if own is not none and handler is not None:
        place = where(getattr(cls, handler.name), cls)
        raise ActorDefinitionError(
            f"{cls.__qualname__}.{handler.name}{place} handles '{PRESENCE_EVENT}', which only the "
            "room says where it tracks its members; give the event another name."
        )
