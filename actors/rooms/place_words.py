"""What pods ask and tell each other of a place that one of them keeps: pure.

the pod where the client is back ── asked: its word and user ─► all
the pod that kept the place ── given: member, data, answers, or nothing ─► all
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from ...transport import JSON, NATIVE, PodMessage, WireError, encode_inner
from ...transport.protocols import Failed, Receipted, decode_from_pod

__all__ = [
    "PlaceAsked",
    "PlaceGiven",
    "answers_among",
    "new_word",
    "pod_of",
    "read_place_words",
]

LONGEST: Final = 1024
"""Characters of a name."""
MOST_ANSWERS: Final = 64


@frozen
class PlaceAsked:
    """Somebody says this word, and is this user now: who keeps the place is to give it up."""

    word: str
    user: str | None

    def encode(self) -> bytes:
        """Return it as JSON."""
        return encode_inner({"asked": self.word, "user": self.user})


@frozen
class PlaceGiven:
    """The place of a word is given up; `member` is None where there is none any more.

    `member` is what the room calls it, `data` its `member.data` as JSON, `away` for how many
    seconds it was, `missed` how many of the room's events it has not heard there.
    """

    word: str
    member: str | None = None
    data: JSON = None
    away: float = 0.0
    missed: int = 0
    answers: Sequence[Receipted | Failed] = ()

    def encode(self) -> bytes:
        """Return it as JSON."""
        told: dict[str, JSON] = {"given": self.word, "member": self.member}
        if self.member is not None:
            answers: list[JSON] = [NATIVE.encode(answer).decode() for answer in self.answers]
            told |= {"data": self.data, "away": self.away, "missed": self.missed}
            told["answers"] = answers
        return encode_inner(told)


def new_word(pod: str) -> str:
    """Return a word that nobody can guess; whoever says it comes to this pod's room with it."""
    return f"{pod}.{secrets.token_urlsafe(16)}"


def pod_of(word: str) -> str:
    """Return the pod that keeps the place of a word."""
    return word.partition(".")[0]


def answers_among(messages: Sequence[PodMessage]) -> list[Receipted | Failed]:
    """Return those that are answers."""
    return [one for one in messages if isinstance(one, Receipted | Failed)]


def read_place_words(told: JSON) -> PlaceAsked | PlaceGiven | None:
    """Read what another pod has said; None where it is nothing of that."""
    if not isinstance(told, dict):
        return None
    asked, given = told.get("asked"), told.get("given")
    if _is_name(asked) and isinstance(asked, str):
        user = told.get("user")
        return PlaceAsked(asked, user) if isinstance(user, str | None) else None
    if not isinstance(given, str) or not _is_name(given):
        return None
    member = told.get("member")
    if not isinstance(member, str) or not _is_name(member):
        return PlaceGiven(given)
    away, missed, answers = told.get("away"), told.get("missed"), told.get("answers")
    if not isinstance(away, int | float) or type(missed) is not int or missed < 0:
        return None
    if not isinstance(answers, list):
        return None
    texts = [text for text in answers[:MOST_ANSWERS] if isinstance(text, str)]
    said = [one for one in map(_answer, texts) if one is not None]
    return PlaceGiven(given, member, told.get("data"), max(0.0, float(away)), missed, said)


def _answer(text: str) -> Receipted | Failed | None:
    try:
        read = decode_from_pod(text)
    except WireError:
        return None
    return read if isinstance(read, Receipted | Failed) else None


def _is_name(told: JSON) -> bool:
    return isinstance(told, str) and 0 < len(told) <= LONGEST
