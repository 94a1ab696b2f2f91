"""The paths of rooms, for the OpenAPI document. `rooms` is what answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...transport import JSON
from .responses import body_of, refusals, response
from .schemas import Schema

__all__ = ["ROOMS"]

_ROOM: Final[Schema] = {
    "name": "room",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "The room's name.",
}
_SAID: Final[Schema] = {
    "type": "object",
    "required": ["event"],
    "properties": {
        "event": {"type": "string", "description": "The event's name."},
        "data": {"description": "What is said: any JSON."},
    },
    "additionalProperties": False,
}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_RECEIPT: Final[Schema] = {
    "type": "object",
    "required": ["scope", "id"],
    "properties": {
        "scope": {"enum": ["cluster", "partial", "local", "queued"]},
        "id": {"type": "string", "description": "The event's id."},
        "pods": {**_COUNT, "description": "Pods that have told members of theirs."},
        "of": {**_COUNT, "description": "Pods that may have members in the room."},
        "members": {**_COUNT, "description": "Members that were told."},
    },
}
_REFUSED: Final = ("400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503")
_ANYONE: Final[list[JSON]] = [{}, {"token": []}, {"masterKey": []}]

ROOMS: Final[Mapping[str, JSON]] = {
    "/api/rooms/{room}/events": {
        "parameters": [_ROOM],
        "post": {
            "operationId": "publish",
            "summary": "Say something in a room, in the pod's own voice",
            "requestBody": body_of(_SAID),
            "responses": {
                "200": response("How far it has got.", _RECEIPT),
                "202": response("It waits for the other pods.", _RECEIPT),
                **refusals(_REFUSED),
            },
            "security": _ANYONE,
        },
    },
}
"""Path items by path."""
