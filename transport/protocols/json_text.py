"""JSON that somebody else wrote, and JSON of an application's data: read and written with care."""

import re
from itertools import accumulate

import orjson

from ...config import JSON
from ..errors import WireError

__all__ = ["MAX_DEPTH", "decode_json", "encode_data", "encode_inner", "without_halves"]

MAX_DEPTH = 64
"""Levels of objects and arrays in one message of a client, its own object included."""


def decode_json(text: str) -> JSON:
    r"""Read JSON that somebody else wrote: nested at most `MAX_DEPTH` levels deep.

    Half a surrogate pair (`"\ud83d"`) is JSON (RFC 8259 section 8.2), but no text that could be
    sent on: it becomes U+FFFD, as it does wherever a browser encodes a string.

    Raises `WireError` (`too_deep`), and `orjson.JSONDecodeError` (a ValueError) for what is not
    JSON.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth_exceeds(text, MAX_DEPTH):
        raise WireError("too_deep", f"Nest objects and arrays at most {MAX_DEPTH} levels deep.")
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        whole = without_halves(text)
        if whole == text:
            raise
        value = orjson.loads(whole)
    return value


_ESCAPE = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a whole pair
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)


def without_halves(text: str) -> str:
    """Replace the escapes of surrogates that are not in pairs."""
    return _ESCAPE.sub(lambda escape: "\ufffd" if escape[2] else escape[0], text)


# A string that nobody closed is taken to the end of the text: else this would be quadratic.
_NO_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^][{}"]++', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def _depth_exceeds(text: str, limit: int) -> bool:
    """Say whether brackets outside of strings nest deeper; called only when there are many."""
    brackets = _NO_BRACKET.sub("", text)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def encode_data(data: object) -> bytes:
    """Encode an application's data; parts of it may be `orjson.Fragment`s, JSON already.

    NaN and infinities become null, as in a browser. Raises `WireError` with the code `not_json`
    when a part is not JSON; the message names the part's place and type.
    """
    try:
        return orjson.dumps(data)
    except TypeError as error:
        raise _not_json(data, error) from error


def encode_inner(data: object) -> bytes:
    """Encode what is to be a part of a message, nested no deeper than a message may be."""
    try:
        return orjson.dumps((data,))[1:-1]
    except TypeError as error:
        raise _not_json(data, error) from error


def _not_json(data: object, error: TypeError) -> WireError:
    place, why = _place_of_fault(data, error)
    return WireError(
        "not_json",
        f"This data cannot be sent as JSON: {place}{why}; "
        "use None, bool, int, float, str, lists, and dicts whose keys are strings.",
    )


def _place_of_fault(data: object, error: TypeError) -> tuple[str, TypeError]:
    """Go down to the part that is the fault, as far as the way is one of keys and indices."""
    path = ""
    for _ in range(MAX_DEPTH):  # what holds itself has no end
        for step, part in _parts_of(data):
            try:
                orjson.dumps(part)
            except TypeError as deeper:
                path, data, error = path + step, part, deeper
                break
        else:
            break
    return (f"data{path}: " if path else ""), error


def _parts_of(data: object) -> list[tuple[str, object]]:
    if isinstance(data, dict):
        return [(f".{key}" if isinstance(key, str) else "", part) for key, part in data.items()]
    if isinstance(data, list | tuple):
        return [(f"[{index}]", part) for index, part in enumerate(data)]
    return []
