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

_LISTED: Final[Schema] = {
    "type": "object",
    "required": ["rooms", "pods", "of"],
    "properties": {
        "rooms": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "members", "since", "meta"],
                "properties": {
                    "name": {"type": "string"},
                    "members": {**_COUNT, "description": "On all pods that have answered."},
                    "since": {"type": "number", "description": "Unix seconds."},
                    "meta": {"type": "object", "description": "What the room says of itself."},
                },
            },
        },
        "pods": {**_COUNT, "description": "Pods that have answered."},
        "of": {**_COUNT, "description": "Pods that are known."},
        "next": {"type": "string", "description": "There are more: ask for those `after` this."},
        "degraded": {
            "enum": ["starting", "cut_off", "partitioned"],
            "description": "The outage between the pods that is on.",
        },
    },
}
_TEXT: Final[Schema] = {"type": "string", "maxLength": 64}
_PATTERN: Final[Schema] = {
    "name": "pattern",
    "in": "query",
    "schema": _TEXT,
    "description": "Which names; * stands for any characters.",
}
_AFTER: Final[Schema] = {
    "name": "after",
    "in": "query",
    "schema": _TEXT,
    "description": "Only names after this one.",
}
_WHERE: Final[Schema] = {
    "name": "where",
    "in": "query",
    "content": {"application/json": {"schema": {"type": "object"}}},
    "description": "What rooms have to say of themselves: the same values for these keys.",
}

ROOMS: Final[Mapping[str, JSON]] = {
    "/api/rooms": {
        "get": {
            "operationId": "rooms",
            "summary": "List the rooms of all pods that are for a directory",
            "parameters": [_PATTERN, _WHERE, _AFTER],
            "responses": {
                "200": response("Rooms in the order of their names.", _LISTED),
                **refusals(("400", "401", "403", "413", "429")),
            },
            "security": _ANYONE,
        },
    },
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
