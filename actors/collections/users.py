"""The collection `users`: what is special about it, and signing in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from ...config import Definition
from ...transport import JSON, POD
from ...transport.http import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD, ROOT
from ...transport.store import Any, Document, Equal, Filter
from .passwords import Passwords, Sealed
from .refused import FieldError, invalid
from .rights import Caller

__all__ = [
    "ROOT_ROLE",
    "USERS",
    "can_be_name",
    "guard",
    "is_root_user",
    "is_users",
    "named",
    "new_password",
    "seal",
    "sealed_again",
    "unsealed",
    "users_document",
]

USERS: Final = "users"

ROOT_ROLE: Final = "admin"
"""The role whose users' tokens say root. Only root gives roles."""

_NAMES: Final = ("username", "email")
_OWN: Final = (*_NAMES, "password")
"""What nobody but the user and root changes, whatever `access.put` says."""

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


def guard(
    data: Mapping[str, JSON], document: Document, current: Document | None, caller: Caller
) -> None:
    """Refuse what somebody may not do to a user who may add or change users.

    `data` is what the client sent, `document` what it would make of `current`.
    """
    errors = tuple(_forbidden(data, document, current, caller))
    if errors:
        raise invalid(errors)


def _forbidden(
    data: Mapping[str, JSON], document: Document, current: Document | None, caller: Caller
) -> Iterator[FieldError]:
    if document["id"] == ROOT.user_id:
        yield FieldError("id", f"cannot be '{ROOT.user_id}': so is who has the master key")
    if caller.is_root:
        return
    # What a removed user owned would be the new one's, if that could choose the same id.
    if current is None and data.get("id"):
        yield FieldError("id", "is chosen by the pod or by root; leave it out")
    if document.get("role", "user") != (current or {}).get("role", "user"):
        yield FieldError("role", "is given by root alone; leave it out")
    if current is not None and caller.user_id != current["id"]:
        for name in _OWN:
            if document.get(name) != current.get(name):
                yield FieldError(name, "is changed by the user and by root alone; leave it out")


def unsealed(document: Document, current: Document | None) -> Document:
    """Return a user as scripts may see it: with a new password perhaps, never with a hash."""
    if current is None or document.get("password") != current.get("password"):
        return document
    return {name: value for name, value in document.items() if name != "password"}


def sealed_again(document: Document, current: Document | None) -> Document:
    """Give a user whom scripts have seen the hash back, where no new password was set."""
    if current is None or "password" in document or "password" not in current:
        return document
    return {**document, "password": current["password"]}


async def seal(
    document: Document,
    current: Document | None,
    passwords: Passwords,
    sealed_before: Sealed | None = None,
) -> Document:
    """Return a user with the names normalised and the password hashed, where they are new.

    `sealed_before` holds the hash of the password that came; a script may have set another one.
    """
    before = current or {}
    changed = {name for name in _OWN if document.get(name) != before.get(name)}
    errors = tuple(_unfit(document, changed))
    if errors:
        raise invalid(errors)
    sealed = dict(document)
    for name in changed.intersection(_NAMES):
        if isinstance(value := document.get(name), str):
            sealed[name] = normalised(value)
    if "password" in changed:
        new = str(document["password"])
        if sealed_before is None or sealed_before.password != new:
            sealed_before = await passwords.seal(new, POD)
        sealed["password"] = sealed_before.hash
    return sealed


def new_password(definition: Definition, data: Mapping[str, JSON]) -> str | None:
    """Return the password that somebody sets for a user, if it is one that can be."""
    password = data.get("password") if is_users(definition) else None
    return password if isinstance(password, str) and _is_password(password) else None


def _is_password(password: str) -> bool:
    return MIN_PASSWORD <= len(password) <= MAX_PASSWORD


def _unfit(document: Document, changed: set[str]) -> Iterator[FieldError]:
    for name in changed.intersection(_NAMES):
        value = document.get(name)
        if value is not None and not (isinstance(value, str) and _is_legible(value)):
            words = f"must have 1 to {MAX_NAME} characters that can be seen, no space at its ends"
            yield FieldError(name, words)
    password = document.get("password")
    if "password" in changed and not (isinstance(password, str) and _is_password(password)):
        yield FieldError("password", f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def _is_legible(name: str) -> bool:
    # Nobody shall look like somebody else by what cannot be seen: blanks, joiners, controls.
    return 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def can_be_name(name: str) -> bool:
    """Say whether a user could sign in with this; databases cannot even look for some others."""
    return len(name) <= MAX_NAME and "\0" not in name


def normalised(name: str) -> str:
    """Return a name in the form in which names are compared (RFC 8265 section 3.4: NFC)."""
    return unicodedata.normalize("NFC", name)


def named(name: str) -> Filter:
    """Return the filter of the user with this name or e-mail address."""
    name = normalised(name)
    return Any((Equal(("username",), (name,)), Equal(("email",), (name,))))


def is_root_user(user: Document) -> bool:
    """Say whether a user's tokens say root."""
    return user.get("role") == ROOT_ROLE
