"""Who may join what and emit where: pure decisions over the configured rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...config import Access, PatternMap, Rule, Speaker, Who, matches
from ...transport import (
    DASHBOARD,
    Identity,
    Problem,
    is_reserved_event,
    is_reserved_room,
)

__all__ = ["AccessPolicy", "Listening"]

_OPEN = Rule()
_WHO = {speaker: Who(speaker) for speaker in Speaker if speaker is not Speaker.MEMBERS}

Listening: TypeAlias = Callable[[str, Identity | None], Problem | None]
"""Says why a client may not listen in a room, or None: what collections know, and rules do not."""


class AccessPolicy:
    """The access rules of one pod.

    Each method returns None when the client may, or the `Problem` to answer when it may not.
    `collections`, `collection:*`, `system:*` and `_dashboard` carry what the pod itself says: no
    rule and no role lets a client emit there, and only root joins the last two. `listening` is
    asked in addition for each join.
    """

    def __init__(self, access: Access, listening: Listening | None = None) -> None:
        self._listening = listening
        self.adopt(access)

    def adopt(self, access: Access) -> None:
        """Decide by these rules from now on."""
        self._emit_to_all = access.emit_to_all
        self._rules = PatternMap(access.rules)
        self._listing = {rule.list for rule in access.rules.values()}

    def join(self, room: str, identity: Identity | None, *, local: bool = False) -> Problem | None:
        """Say why a client may not join a room, or None.

        A developer's own, `local` client may also watch the pod.
        """
        if room == DASHBOARD and local:
            return None
        root = room == DASHBOARD or room.startswith("system:")
        who = Who.ROOT if root else self._rule(room).join
        problem = _check(who, identity, "join the room", room)
        if problem is None and self._listening is not None:
            return self._listening(room, identity)
        return problem

    def emit(self, room: str, identity: Identity | None, *, member: bool = False) -> Problem | None:
        """Say why a client may not emit into a room, or None.

        Who is no `member` may where a rule says so, and never where it may not join.
        """
        if is_reserved_room(room):
            return _reserved(room)
        speaker = self._rule(room).emit
        if speaker is Speaker.MEMBERS:
            return None if member else self._not_a_member(room)
        problem = None if member else self.join(room, identity)
        return problem or _check(_WHO[speaker], identity, "emit into the room", room)

    def _not_a_member(self, room: str) -> Problem:
        pattern = self._rules.pattern_of(room)
        rule = f"access.rules.'{pattern}'.emit" if pattern else "'emit', for which it has no rule,"
        return Problem(
            "not_a_member", f"Join the room '{room}' to emit into it: {rule} is 'members'."
        )

    def publish(self, room: str, identity: Identity | None) -> Problem | None:
        """Say why somebody who is in no room may not say something in one over HTTP, or None.

        A token that is for rooms alone says which, whatever the rule says but `nobody`.
        """
        if is_reserved_room(room):
            return _reserved(room)
        who = self._rule(room).publish
        if who is Who.NOBODY:
            return Problem("forbidden", f"Nobody may publish into the room '{room}'.")
        rights = None if identity is None else identity.rooms
        if rights is not None:
            return None if _covers(rights.publish, room) else _not_covered(room)
        return None if _is_among(who, identity) else self._may_not_publish(room, who, identity)

    def _may_not_publish(self, room: str, who: Who, identity: Identity | None) -> Problem:
        pattern = self._rules.pattern_of(room)
        rule = f"access.rules.'{pattern}'.publish is" if pattern else "no rule says otherwise than"
        return Problem(
            "auth_required" if identity is None else "forbidden",
            f"Publishing into the room '{room}' takes a token of {_whom(who)}: {rule} '{who}'.",
        )

    def list(self, room: str, identity: Identity | None) -> bool:
        """Say whether somebody may see a room in the directory.

        A token that is for rooms alone says which, whatever the rule says but `nobody`.
        """
        who = self._rule(room).list
        rights = None if identity is None else identity.rooms
        if rights is not None:
            return who is not Who.NOBODY and _covers(rights.list, room)
        return _is_among(who, identity)

    def list_any(self, identity: Identity | None) -> Problem | None:
        """Say why somebody may see no room at all in the directory, or None."""
        rights = None if identity is None else identity.rooms
        if rights is not None:
            sentence = "Your token is not for listing rooms."
            return None if rights.list else Problem("forbidden", sentence)
        if _is_among(Who.ROOT, identity) or any(_is_among(who, identity) for who in self._listing):
            return None
        return Problem(
            "auth_required" if identity is None else "forbidden",
            "Listing rooms takes a token: no access.rules.….list shows you any.",
        )

    def emit_to_all(self, identity: Identity | None) -> Problem | None:
        """Say why a client may not emit to every client, or None."""
        return _check(self._emit_to_all, identity, "emit to everyone (name a 'room' instead)")

    def event(self, event: str) -> Problem | None:
        """Say why no client may use an event's name, or None: `system:*` is the pod's own voice."""
        if is_reserved_event(event):
            return Problem(
                "event_reserved",
                f"The event '{event}' is sent by the server alone; choose another name.",
            )
        return None

    def pattern_of(self, room: str) -> str | None:
        """Return the pattern of the rule for a room, or None where there is none."""
        return self._rules.pattern_of(room)

    def _rule(self, room: str) -> Rule:
        return self._rules.match(room) or _OPEN


def _reserved(room: str) -> Problem:
    return Problem(
        "room_reserved",
        f"The room '{room}' is written by the server alone; emit into a room of your own.",
    )


def _covers(patterns: Sequence[str], room: str) -> bool:
    return any(matches(pattern, room) for pattern in patterns)


def _not_covered(room: str) -> Problem:
    return Problem("forbidden", f"Your token is not for publishing into the room '{room}'.")


def _is_among(who: Who, identity: Identity | None) -> bool:
    if identity is None or who is Who.NOBODY:
        return who is Who.ANYONE
    return identity.is_root or who is not Who.ROOT


def _whom(who: Who) -> str:
    return "root, or one for that room" if who is Who.ROOT else "somebody"


def _check(who: Who, identity: Identity | None, what: str, room: str = "") -> Problem | None:
    if _is_among(who, identity):
        return None
    what = f"{what} '{room}'" if room else what
    if who is Who.NOBODY:
        return Problem("forbidden", f"No client may {what}.")
    if identity is None:
        return Problem("auth_required", f"Send an 'auth' message first to {what}.")
    return Problem("forbidden", f"Only root may {what}.")
