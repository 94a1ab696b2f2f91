"""How a room's messages are named in the log: by whom they came, and under which id; never more."""

from __future__ import annotations

from collections.abc import Mapping

from .roster import RoomEmit, ServerEmit
from .standing import Departed, Identified, Knock, Vanished

__all__ = ["name_of"]


def name_of(message: object) -> Mapping[str, str]:
    """Return the event, the client and user, and the ids by which both sides know a message.

    `event_id` is the pod's, `message_id` what the client has called it.
    """
    if isinstance(message, RoomEmit):
        member, request = message.member, message.answer.id
        return {
            "event_name": message.event,
            "client": member.client_id,
            **({} if member.user_id is None else {"user": member.user_id}),
            "event_id": message.event_id,
            **({} if request is None else {"message_id": str(request)}),
        }
    if isinstance(message, Knock | Identified | Departed | Vanished):
        return {"client": message.seat.client_id}
    if isinstance(message, ServerEmit):
        return {"event_name": message.event.name, "event_id": message.event.id}
    return {}
