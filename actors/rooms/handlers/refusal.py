"""How a room says no to a client: in a sentence, with a code and data for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson

from ....transport import JSON, Problem, encode_inner
from ...runtime import ActorDefinitionError
from .payloads import plain_of

__all__ = ["Refuse", "check_code"]

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAKEN: Final = frozenset({"code", "document", "retryAfter"})
_OURS: Final = frozenset(
    {
        *("auth_required", "bad_token", "busy", "cut_off", "expired_token", "left", "not_a_member"),
        *("room_busy", "room_closed", "room_crashed", "taken_out", "timeout", "too_fast"),
        *("too_many_guesses", "too_many_rooms"),
    }
)
"""Codes that clients act upon by themselves: they come back, sign in anew, slow down."""


class Refuse(Exception):
    """Raised in a handler or hook that is about a client: it is told this, and nothing is done.

    The client gets an error with the sentence, the `code` and the `data`. What was said since the
    hook last waited is taken back; what it did to the state is not. The room goes on: this is no
    crash. Raises `WireError` for data that is not JSON, and `ActorDefinitionError` for a code that
    is no word in small letters or that means something to clients already.
    """

    def __init__(self, sentence: str, *, code: str = "refused", **data: object) -> None:
        super().__init__(sentence)
        check_code(code)
        said: Mapping[str, JSON] = orjson.loads(encode_inner(plain_of(data)))
        taken = _TAKEN & said.keys()
        if taken:
            raise ActorDefinitionError(f"'{min(taken)}' means something to clients; rename it.")
        self.problem = Problem(code, str(sentence), data=said)
        """What the client is told."""


def check_code(code: str) -> None:
    """Raise `ActorDefinitionError` for a code that no room may give an error of its own."""
    word: object = code
    if not (isinstance(word, str) and _CODE.fullmatch(word)):
        raise ActorDefinitionError(f"{code!r} is no code; write a word such as 'too_low'.")
    if code in _OURS:
        raise ActorDefinitionError(
            f"Clients do something of their own when they are told '{code}'; take another code."
        )
