"""The paths of signing in, for the OpenAPI document. `auth` is what answers there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ...transport import JSON
from .responses import body_of, refusals, response
from .schemas import Schema

__all__ = ["SIGNING_IN"]

_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_USER: Final[Schema] = {
    "type": "object",
    "required": ["id", "username"],
    "properties": {"id": {"type": "string"}, "username": {"type": "string"}},
}
_LOGIN: Final[Schema] = {
    "anyOf": [
        {
            "type": "object",
            "required": ["username", "password"],
            "properties": {
                "username": {**_TEXT, "description": "The name, or the e-mail address."},
                "password": {**_TEXT, "format": "password"},
            },
        },
        {"type": "object", "required": ["masterKey"], "properties": {"masterKey": _TEXT}},
    ]
}
_TOKEN: Final[Schema] = {
    "type": "object",
    "required": ["token", "expiresAt", "isRoot"],
    "properties": {
        "token": {"type": "string"},
        "expiresAt": {"type": "integer", "description": "Unix seconds."},
        "isRoot": {"type": "boolean"},
        "user": _USER,
    },
}
_VALID: Final[Schema] = {
    "type": "object",
    "required": ["valid", "userID", "username", "isRoot", "exp"],
    "properties": {
        "valid": {"const": True},
        "userID": {"type": "string"},
        "username": {"type": "string"},
        "isRoot": {"type": "boolean"},
        "exp": {"type": ["integer", "null"], "description": "Unix seconds; null for never."},
    },
}
_MADE: Final[Schema] = {
    "type": "object",
    "required": ["success", "user"],
    "properties": {"success": {"const": True}, "user": _USER},
}
_USER_DATA: Final[Schema] = {
    "type": "object",
    "required": ["userData"],
    "properties": {"userData": {"type": "object"}},
}
_NAMES: Final[Schema] = {"type": "array", "items": {"type": "string"}}
_BODY: Final = ("400", "408", "413", "415", "500", "503")
_SIGNED_IN: Final[list[JSON]] = [{"token": []}, {"masterKey": []}]


def _operation(
    name: str,
    summary: str,
    responses: Mapping[str, JSON],
    refused: Collection[str] = (),
    body: Schema | None = None,
    *,
    signed_in: bool = True,
) -> Schema:
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {**responses, **refusals(refused)},
        "security": _SIGNED_IN if signed_in else [],
    }
    return operation if body is None else {**operation, "requestBody": body_of(body)}


SIGNING_IN: Final[Mapping[str, JSON]] = {
    "/auth/login": {
        "post": _operation(
            "login",
            "Sign in",
            {"200": response("A token.", _TOKEN)},
            (*_BODY, "401", "404", "429"),
            _LOGIN,
            signed_in=False,
        )
    },
    "/auth/validate": {
        "get": _operation(
            "validate",
            "Whether the token is good",
            {"200": response("It is.", _VALID)},
            ("401", "429"),
        )
    },
    "/auth/me": {
        "get": _operation(
            "me",
            "Who is signed in",
            {"200": response("The user.", _USER)},
            ("401", "404", "429", "503"),
        )
    },
    "/_admin/auth/create-user": {
        "post": _operation(
            "createUser",
            "Make a user, as root",
            {"201": response("The user.", _MADE)},
            (*_BODY, "401", "403", "404", "429"),
            _USER_DATA,
        )
    },
    "/collections": {
        "get": _operation(
            "collections",
            "List the collections",
            {"200": response("Their names.", _NAMES)},
            signed_in=False,
        )
    },
}
"""Path items by path."""
