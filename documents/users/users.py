"""The collection `users`: what is special about it, and signing in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve

from ...config import Definition, Property, PropertyType
from ...transport import JSON, POD
from ...transport.http import ROOT
from ..errors import FieldError, invalid
from ..http import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD
from ..store import All, Any, Document, Equal, Filter, Not
from .identifiers import fold_name, misleading
from .passwords import HashedPassword, Passwords
from .rights import Caller

__all__ = [
    "ROOT_ROLE",
    "USERS",
    "can_be_name",
    "guard",
    "in_order",
    "is_root_user",
    "is_users",
    "keyed",
    "named",
    "new_password",
    "said_of",
    "unkeyed",
    "users_document",
    "with_hash_again",
    "with_hashed_password",
    "with_keys",
    "without_hash",
]

USERS: Final = "users"

ROOT_ROLE: Final = "admin"
"""The role whose users' tokens say root. Only root gives roles."""

_KEYS: Final[Mapping[str, str]] = {"username": "usernameKey", "email": "emailKey"}
"""The properties with what a name has in common with all that are one with it; see `fold_name`.

The pod keeps them, and nobody sees them. Of users from before there were any, one may lack it.
"""

_NAMES: Final = tuple(_KEYS)
_NAMED_BY: Final = {key: name for name, key in _KEYS.items()}
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


def keyed(definition: Definition) -> Definition:
    """Return the definition of the users with what the pod keeps of their names."""
    if not is_users(definition):
        return definition
    key = Property(PropertyType.STRING, unique=True, private=True, kept=True)
    properties = {**definition.properties, **dict.fromkeys(_KEYS.values(), key)}
    return evolve(definition, properties=properties)


def said_of(name: str) -> str:
    """Return the property that a client knows, of one that the pod keeps for it."""
    return _NAMED_BY.get(name, name)


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
    if str(document["id"]).casefold() == ROOT.user_id:
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


def without_hash(document: Document, current: Document | None) -> Document:
    """Return a user as scripts may see it: with a new password perhaps, never with a hash."""
    hidden = set(_NAMED_BY)
    if current is not None and document.get("password") == current.get("password"):
        hidden.add("password")
    return {name: value for name, value in document.items() if name not in hidden}


def with_hash_again(document: Document, current: Document | None) -> Document:
    """Give a user whom scripts have seen the hash back, where no new password was set."""
    if current is None or "password" in document or "password" not in current:
        return document
    return {**document, "password": current["password"]}


async def with_hashed_password(
    document: Document,
    current: Document | None,
    passwords: Passwords,
    hashed_before: HashedPassword | None = None,
) -> Document:
    """Return a user with the names normalised and the password hashed, where they are new.

    `hashed_before` holds the hash of the password that came; a script may have set another one.
    """
    before = current or {}
    changed = {name for name in _OWN if document.get(name) != before.get(name)}
    errors = tuple(_unfit(document, changed))
    if errors:
        raise invalid(errors)
    sealed = dict(document)
    for name, key in _KEYS.items():
        value = document.get(name)
        if name not in changed:
            sealed[key] = before.get(key)
        elif isinstance(value, str):
            sealed[name], sealed[key] = normalised(value), fold_name(value)
        else:
            sealed[key] = None
    if "password" in changed:
        new = str(document["password"])
        if hashed_before is None or hashed_before.password != new:
            hashed_before = await passwords.hash(new, POD)
        sealed["password"] = hashed_before.hash
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
        words = None if value is None else _illegible(name, value)
        if words is not None:
            yield FieldError(name, words)
    password = document.get("password")
    if "password" in changed and not (isinstance(password, str) and _is_password(password)):
        yield FieldError("password", f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def _illegible(kind: str, name: JSON) -> str | None:
    """Say what is wrong with a name or an address, or None: nobody shall look like another."""
    if not isinstance(name, str) or not name or max(len(name), len(fold_name(name))) > MAX_NAME:
        return f"must have 1 to {MAX_NAME} characters"
    return misleading(name, address=kind == "email")


def can_be_name(name: str) -> bool:
    """Say whether a user could sign in with this; databases cannot even look for some others."""
    return len(name) <= MAX_NAME and "\0" not in name


def normalised(name: str) -> str:
    """Return a name in the form in which it is kept and shown (RFC 8265 section 3.4: NFC)."""
    return unicodedata.normalize("NFC", name)


def named(name: str) -> Filter:
    """Return the filter of the users with this name or e-mail address, however it is written.

    A user from before names were folded, whose name is one with an older user's, is found by the
    name exactly as it is written. See `folding`.
    """
    exact = [Equal((kind,), (normalised(name),)) for kind in _NAMES]
    return Any((*exact, *(Equal((key,), (fold_name(name),)) for key in _KEYS.values())))


def unkeyed() -> Filter:
    """Return the filter of the users of whose name or address the pod keeps nothing yet."""
    return Any(
        tuple(
            All((Equal((key,), (None,)), Not(Equal((name,), (None,)))))
            for name, key in _KEYS.items()
        )
    )


def with_keys(user: Document, *, but: str = "") -> Document:
    """Return a user with what the pod keeps of its names, but of one."""
    keys = {
        key: fold_name(value)
        for name, key in _KEYS.items()
        if name != but and isinstance(value := user.get(name), str)
    }
    return {**user, **keys}


def in_order(users: Sequence[Document], name: str) -> list[Document]:
    """Return the users whom a name may mean: first whoever writes it just so."""
    exact = normalised(name)
    return sorted(users, key=lambda user: exact not in (user.get("username"), user.get("email")))


def is_root_user(user: Document) -> bool:
    """Say whether a user's tokens say root."""
    return user.get("role") == ROOT_ROLE
