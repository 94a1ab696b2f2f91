"""Which names rooms and events may have, and which rooms belong to the pod."""

import re
import unicodedata
from typing import Literal

__all__ = ["DASHBOARD", "check_name", "is_reserved_event", "is_reserved_room"]

DASHBOARD = "_dashboard"
"""The room in which a pod tells root how it is."""

_RESERVED = frozenset({"collections", DASHBOARD})

_PUNCTUATION = "_-.:/@#+~="
_ASCII_NAME = re.compile(r"[A-Za-z0-9_\-.:/@#+~=]+")
# Marks are how many scripts write their vowels; without them Hindi has no words.
_LETTERS_AND_DIGITS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No"})


def check_name(kind: Literal["room", "event"], name: str, max_length: int) -> str | None:
    """Say in a sentence why a name will not do, or None when it will.

    A name has 1 to `max_length` characters: letters and digits of any script and `_-.:/@#+~=`.
    Whitespace, control characters, and what means something in a broker's patterns (`*`, `?`,
    `>`, brackets, backslashes) can therefore never reach one.
    """
    if not name:
        return f"Give the {kind} a name of 1 to {max_length} characters."
    if len(name) > max_length:
        return f"Shorten the {kind}'s name to {max_length} characters; it has {len(name)}."
    if _ASCII_NAME.fullmatch(name):
        return None
    for position, character in enumerate(name, start=1):
        if not _allowed(character):
            return (
                f"The {kind}'s name holds {character!a} at position {position}; "
                f"use letters, digits and {_PUNCTUATION} only."
            )
    return None


def is_reserved_room(name: str) -> bool:
    """Say whether only the pod itself writes this room, whoever asks."""
    return name in _RESERVED or name.startswith(("collection:", "system:"))


def is_reserved_event(name: str) -> bool:
    """Say whether an event is the pod's own voice: neither clients nor other pods speak with it."""
    return name.startswith("system:")


def _allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character) in _LETTERS_AND_DIGITS
