"""The wire protocol: what clients may say, and what the pod answers, as JSON.

Sans-IO: text in, messages out; values in, JSON bytes out. One JSON object is one text frame.
Clocks are passed in as `now`, unix seconds; the wire carries whole seconds.
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import accumulate
from typing import TypeAlias, cast

import orjson
from attrs import NOTHING, Attribute, fields_dict, frozen
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from ..errors import WireError

__all__ = [
    "JSON",
    "MAX_DEPTH",
    "Auth",
    "ClientMessage",
    "Emit",
    "Join",
    "Leave",
    "Ping",
    "Problem",
    "RequestId",
    "Scope",
    "address_of",
    "decode",
    "decode_json",
    "encode_auth",
    "encode_connect",
    "encode_data",
    "encode_emit",
    "encode_error",
    "encode_join",
    "encode_leave",
    "encode_pong",
    "encode_receipt",
]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
RequestId: TypeAlias = str | int | float | None


class Scope(StrEnum):
    """How far an emit has got when its receipt is given."""

    CLUSTER = "cluster"
    """The broker took it: every pod will hear it."""
    LOCAL = "local"
    """This pod took it; no other pod will hear it."""
    QUEUED = "queued"
    """It waits here for the broker: to confirm it, or to come back."""
    REJECTED = "rejected"
    """Nobody took it; `reason` says why."""


MAX_DEPTH = 64
"""Levels of objects and arrays in one message of a client, its own object included."""


# -- what clients say ------------------------------------------------------------------------


@frozen
class Auth:
    """Show a token."""

    token: str
    id: RequestId = None


@frozen
class Join:
    """Ask to be let into a room."""

    room: str
    id: RequestId = None


@frozen
class Leave:
    """Leave a room."""

    room: str
    id: RequestId = None


@frozen
class Emit:
    """Say something in a room; without a room, to everyone."""

    event: str
    data: JSON = None
    room: str | None = None
    id: RequestId = None


@frozen
class Ping:
    """Ask whether the pod is there: browsers cannot see the pings of RFC 6455 section 5.5.2."""

    id: RequestId = None


ClientMessage: TypeAlias = Auth | Join | Leave | Emit | Ping


@frozen
class Problem:
    """Why something was not done: `code` for machines, `message` a sentence with the remedy.

    `room` is the room it is about, `retry_after` the seconds after which the same may go well.
    """

    code: str
    message: str
    room: str | None = None
    retry_after: float | None = None


def decode(text: str) -> ClientMessage:
    """Read one message of a client.

    Unknown fields are ignored and of a repeated key the last one counts. Types are never
    converted. Numbers that no double holds are refused; whole numbers beyond 64 bits become
    doubles, as they do in a browser.

    Raises `WireError`: `bad_json`, `too_deep`, `not_an_object`, `missing_type`, `unknown_type`,
    `missing_field` or `wrong_type`. It names the message's id and room where they can be read.
    """
    try:
        # Whatever else it is, `_explain` finds out.
        message = cast("dict[str, JSON]", decode_json(text))
    except orjson.JSONDecodeError as error:
        sentence = f"Send one JSON object in each text frame; this is not JSON: {error}."
        raise WireError("bad_json", sentence, *address_of(text)) from None
    except WireError as error:
        raise WireError(error.code, error.sentence, *address_of(text)) from None
    try:
        return _STRUCTURE[message["type"]](message)
    except (KeyError, TypeError):
        raise _explain(message) from None


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
        whole = _without_halves(text)
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


def _without_halves(text: str) -> str:
    """Replace the escapes of surrogates that are not in pairs."""
    return _ESCAPE.sub(lambda escape: "\ufffd" if escape[2] else escape[0], text)


def address_of(text: str) -> tuple[RequestId, str | None]:
    """Read the id and the room of a message that is not handled, as far as they can be read.

    The reader takes what JavaScript's and Python's writers let slip (NaN, a second object behind
    the first), so that who waits for an answer gets it.
    """
    try:
        message, _ = _LENIENT.raw_decode(_without_halves(text).lstrip())
    except (ValueError, RecursionError):
        return None, None
    return _address(message) if isinstance(message, dict) else (None, None)


_LENIENT = json.JSONDecoder()


# A string that nobody closed is taken to the end of the text: else this would be quadratic.
_NO_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^][{}"]++', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def _depth_exceeds(text: str, limit: int) -> bool:
    """Say whether brackets outside of strings nest deeper; called only when there are many."""
    brackets = _NO_BRACKET.sub("", text)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _string(value: object, _: object = None) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _room(value: object, _: object = None) -> str | None:
    """Take an empty room for none: existing clients send it so."""
    return None if value is None else _string(value) or None


def _request_id(value: object, _: object = None) -> RequestId:
    if value is not None and type(value) not in (str, int, float):
        raise TypeError
    return cast("RequestId", value)


_CHECKS: Mapping[object, tuple[Callable[[object], object], str]] = {
    str: (_string, "a string"),
    str | None: (_room, "a string"),
    RequestId: (_request_id, "a string or a number"),
}
_TYPES: Mapping[str, type[ClientMessage]] = {
    "auth": Auth,
    "join": Join,
    "leave": Leave,
    "emit": Emit,
    "ping": Ping,
}


def _structure_functions() -> dict[object, Callable[[Mapping[str, object]], ClientMessage]]:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(str, _string)
    converter.register_structure_hook_func(lambda kind: kind == (str | None), _room)
    converter.register_structure_hook_func(lambda kind: kind == RequestId, _request_id)
    as_it_is = override(struct_hook=lambda value, _: value)
    return {
        "auth": make_dict_structure_fn(Auth, converter),
        "join": make_dict_structure_fn(Join, converter),
        "leave": make_dict_structure_fn(Leave, converter),
        "emit": make_dict_structure_fn(Emit, converter, data=as_it_is),
        "ping": make_dict_structure_fn(Ping, converter),
    }


_STRUCTURE = _structure_functions()


def _explain(message: object) -> WireError:
    """Find out what was wrong with a message that could not be structured."""
    if not isinstance(message, dict):
        return WireError(
            "not_an_object",
            f'Send a JSON object such as {{"type":"join","room":"lobby"}}, '
            f"not {_name_of(message)}.",
        )
    return WireError(*_fault(message), *_address(message))


def _fault(message: Mapping[str, object]) -> tuple[str, str]:
    """Return the code and the sentence of what is wrong with an object."""
    kind = message.get("type")
    if kind is None:
        return "missing_type", f"Add a 'type' to the message: {_known_types()}."
    if not isinstance(kind, str):
        return "wrong_type", f"Make 'type' a string, one of {_known_types()}."
    if kind not in _TYPES:
        return "unknown_type", f"The type {_clip(kind)} is unknown; send one of {_known_types()}."
    for name, attribute in fields_dict(_TYPES[kind]).items():
        fault = _fault_of_field(message, kind, name, attribute)
        if fault is not None:
            return fault
    return "wrong_type", f"This is not a well-formed '{kind}' message."


def _fault_of_field(
    message: Mapping[str, object], kind: str, name: str, attribute: "Attribute[object]"
) -> tuple[str, str] | None:
    if name not in message:
        if attribute.default is not NOTHING:
            return None
        return "missing_field", f"Add '{name}' to the '{kind}' message."
    check, expected = _CHECKS.get(attribute.type, (None, ""))
    if check is None:
        return None
    value = message[name]
    try:
        check(value)
    except TypeError:
        sentence = f"Make '{name}' of the '{kind}' message {expected}, not {_name_of(value)}."
        return "wrong_type", sentence
    return None


def _address(message: Mapping[str, object]) -> tuple[RequestId, str | None]:
    """Return the id and the room of an object that may be anything, if they can be sent back."""
    request_id, room = message.get("id"), message.get("room")
    number = type(request_id) in (int, float) and math.isfinite(cast("float", request_id))
    if number and type(request_id) is int and not -(2**63) <= request_id < 2**64:
        number = False
    readable = number or type(request_id) is str
    return (
        cast("RequestId", request_id) if readable else None,
        room if isinstance(room, str) and room else None,
    )


def _known_types() -> str:
    return ", ".join(f"'{name}'" for name in _TYPES)


def _clip(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def _name_of(value: object) -> str:
    return _NAMES[type(value)]


# -- what the pod says -----------------------------------------------------------------------


def encode_connect(client_id: str, now: float, max_message_bytes: int) -> bytes:
    """Encode the first message after the accept; it tells the size of what the client may send."""
    data = {
        "client_id": client_id,
        "timestamp": int(now),
        "limits": {"maxMessageBytes": max_message_bytes},
    }
    return orjson.dumps({"type": "connect", "data": data, "meta": _meta(now)})


def encode_auth(user_id: str, is_root: bool, now: float, id: RequestId = None) -> bytes:
    """Encode the answer to a token that was accepted."""
    data = {"authenticated": True, "user_id": user_id, "is_root": is_root}
    return _answer({"type": "auth", "data": data}, id, now)


def encode_pong(now: float, id: RequestId = None) -> bytes:
    """Encode the answer to a ping."""
    return _answer({"type": "pong"}, id, now)


def encode_join(room: str, now: float, id: RequestId = None) -> bytes:
    """Encode the acknowledgement of a join."""
    return _answer({"type": "join", "room": room}, id, now)


def encode_leave(room: str, now: float, id: RequestId = None, reason: str | None = None) -> bytes:
    """Encode that a client is out of a room; a `reason` is why it was taken out unasked."""
    message: dict[str, object] = {"type": "leave", "room": room}
    if reason is not None:
        message["data"] = {"code": "taken_out", "reason": reason}
    return _answer(message, id, now)


def encode_error(problem: Problem, now: float, id: RequestId = None) -> bytes:
    """Encode why something was not done, or what went wrong."""
    data: dict[str, object] = {"code": problem.code}
    if problem.retry_after is not None:
        data["retryAfter"] = problem.retry_after
    message: dict[str, object] = {"type": "error", "error": problem.message, "data": data}
    if problem.room is not None:
        message["room"] = problem.room
    return _answer(message, id, now)


def encode_receipt(
    id: RequestId, scope: Scope, event_id: str, now: float, room: str | None = None
) -> bytes:
    """Encode how far an emit went; `room` is where, None for an emit to everyone."""
    message: dict[str, object] = {"type": "receipt", "data": {"scope": scope, "id": event_id}}
    if room is not None:
        message["room"] = room
    return _answer(message, id, now)


def encode_emit(
    event: str,
    data: object,
    room: str | None,
    now: float,
    *,
    event_id: str,
    seq: int | None = None,
    replayed: bool = False,
) -> bytes:
    """Encode an event for the members of a room, or for everyone.

    `seq` is its number in the room's order; what the pod says of itself has none. `replayed` is
    whether it waited for the broker and comes late. `data` is what `encode_data` takes. Raises
    `WireError` with the code `not_json` when it is not.
    """
    message = {"type": "emit", "event": event, "data": data}
    if room is not None:
        message["room"] = room
    meta: dict[str, object] = {"timestamp": int(now), "id": event_id}
    if seq is not None:
        meta["seq"] = seq
    if replayed:
        meta["replayed"] = True
    message["meta"] = meta
    return encode_data(message)


def encode_data(data: object) -> bytes:
    """Encode an application's data; parts of it may be `orjson.Fragment`s, JSON already.

    NaN and infinities become null, as in a browser. Raises `WireError` with the code `not_json`
    when a part is not JSON; the message names the part's type.
    """
    try:
        return orjson.dumps(data)
    except TypeError as error:
        raise WireError(
            "not_json",
            f"This data cannot be sent as JSON: {error}; "
            "use None, bool, int, float, str, lists, and dicts whose keys are strings.",
        ) from error


def _answer(message: dict[str, object], id: RequestId, now: float) -> bytes:
    if id is not None:
        message["id"] = id
    message["meta"] = _meta(now)
    return orjson.dumps(message)


def _meta(now: float) -> dict[str, int]:
    return {"timestamp": int(now)}
