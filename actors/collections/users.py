"""The collection `users`: what is special about it, and signing in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...config import Definition
from ...transport import JSON
from ...transport.store import Any, Document, Equal, Filter
from .passwords import MAX_PASSWORD, MIN_PASSWORD, Passwords
from .refused import FieldError, invalid
from .rights import Caller

__all__ = [
    "ROOT_ROLE",
    "USERS",
    "guard_role",
    "is_root_user",
    "is_users",
    "named",
    "seal",
    "users_document",
]

USERS: Final = "users"

ROOT_ROLE: Final = "admin"
"""The role whose users' tokens say root. Only root gives roles."""

_PROPERTIES: Final[Mapping[str, JSON]] = {
    "username": {"type": "string", "required": True, "unique": True},
    "email": {"type": "string", "unique": True},
    "password": {"type": "string", "required": True, "private": True},
    "role": {"type": "string", "default": "user"},
}
_ACCESS: Final[Mapping[str, JSON]] = {
    "get": "owner",
    "post": "root",
    "put": "owner",
    "delete": "owner",
}


def is_users(definition: Definition) -> bool:
    """Say whether a definition is that of the users."""
    return definition.name == USERS


def users_document(document: object) -> object:
    """Lay what every pod's users have under what their `config.json` says; that adds to it.

    A user is its own owner, and reads and changes itself alone, unless the file says otherwise.
    """
    if not isinstance(document, Mapping):
        return document
    properties, access = document.get("properties", {}), document.get("access", {})
    if not isinstance(properties, Mapping) or not isinstance(access, Mapping):
        return document
    return {
        **document,
        "owner": "id",
        "properties": {**properties, **_PROPERTIES},
        "access": {**_ACCESS, **access},
    }


def guard_role(document: Document, current: Document | None, caller: Caller) -> None:
    """Refuse that somebody gives a role, their own above all, who is not root."""
    before = (current or {}).get("role", "user")
    if not caller.is_root and document.get("role", "user") != before:
        raise invalid((FieldError("role", "is given by root alone; leave it out"),))


async def seal(document: Document, previous: Document | None, passwords: Passwords) -> Document:
    """Return a user with the password hashed, where it is a new one."""
    password = document.get("password")
    if previous is not None and password == previous.get("password"):
        return document
    if not isinstance(password, str) or not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        words = f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters"
        raise invalid((FieldError("password", words),))
    return {**document, "password": await passwords.hash(password)}


def named(name: str) -> Filter:
    """Return the filter of the user with this name or e-mail address."""
    return Any((Equal(("username",), (name,)), Equal(("email",), (name,))))


def is_root_user(user: Document) -> bool:
    """Say whether a user's tokens say root."""
    return user.get("role") == ROOT_ROLE
