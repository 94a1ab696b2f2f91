"""Who is connected: a page of the clients, oldest first."""

from __future__ import annotations

from itertools import islice

from ...actors import ActorCell, Member
from ...transport import JSON
from .watched import Watched

__all__ = ["connections"]

_OF_THE_ACTOR = (
    "connected_at",
    "last_received_seconds",
    "received_messages",
)


def connections(
    pod: Watched, limit: int, offset: int, room: str | None, user: str | None
) -> dict[str, JSON]:
    """Return `limit` clients after the first `offset` of those in a room, and of a user.

    `total` counts all of these. What only a connection's actor knows is null in the moment in
    which it comes or goes. Tokens are never shown.
    """
    found = [
        member
        for member in pod.members.values()
        if (room is None or room in member.rooms) and (user is None or member.user_id == user)
    ]
    page = islice(found, offset, offset + limit)
    return {
        "pod": pod.pod_id,
        "total": len(found),
        "limit": limit,
        "offset": offset,
        "connections": [_shown(pod, member) for member in page],
    }


def _shown(pod: Watched, member: Member) -> JSON:
    cell = pod.clients.children.get(member.client_id)
    detail = cell.statistics().detail if isinstance(cell, ActorCell) else {}
    waiting_messages, waiting_bytes = member.sink.waiting
    return {
        "client": member.client_id,
        "address": member.address,
        "user": member.user_id,
        "root": member.is_root,
        "rooms": [*sorted(member.rooms)],
        **{name: detail.get(name) for name in _OF_THE_ACTOR},
        "written_messages": member.sink.written[0],
        "waiting_messages": waiting_messages,
        "waiting_bytes": waiting_bytes,
    }
