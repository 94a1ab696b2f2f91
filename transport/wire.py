"""The wire protocol: what clients may say, and what the pod answers, as JSON.

Sans-IO: text in, messages out; values in, JSON bytes out. One JSON object is one text frame.
Clocks are passed in as `now`, unix seconds; the wire carries whole seconds.
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import accumulate
from typing import TypeAlias, cast

import orjson
from attrs import NOTHING, Attribute, fields_dict, frozen
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from .errors import WireError

__all__ = [
    "JSON",
    "MAX_DEPTH",
    "Auth",
    "ClientMessage",
    "Emit",
    "Join",
    "Leave",
    "Problem",
    "RequestId",
    "Scope",
    "decode",
    "decode_json",
    "encode_auth",
    "encode_connect",
    "encode_data",
    "encode_emit",
    "encode_error",
    "encode_join",
    "encode_leave",
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


ClientMessage: TypeAlias = Auth | Join | Leave | Emit


@frozen
class Problem:
    """Why something was not done: `code` for machines, `message` a sentence with the remedy."""

    code: str
    message: str


def decode(text: str) -> ClientMessage:
    """Read one message of a client.

    Unknown fields are ignored and of a repeated key the last one counts. Types are never
    converted. Numbers that no double holds are refused; whole numbers beyond 64 bits become
    doubles, as they do in a browser.

    Raises `WireError`: `bad_json`, `too_deep`, `not_an_object`, `missing_type`, `unknown_type`,
    `missing_field` or `wrong_type`.
    """
    try:
        # Whatever else it is, `_explain` finds out.
        message = cast("dict[str, JSON]", decode_json(text))
    except orjson.JSONDecodeError as error:
        raise WireError(
            "bad_json", f"Send one JSON object in each text frame; this is not JSON: {error}."
        ) from None
    try:
        return _STRUCTURE[message["type"]](message)
    except (KeyError, TypeError):
        raise _explain(message) from None


def decode_json(text: str) -> JSON:
    """Read JSON that somebody else wrote: nested at most `MAX_DEPTH` levels deep.

    Raises `WireError` (`too_deep`), and `orjson.JSONDecodeError` (a ValueError) for what is not
    JSON.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth_exceeds(text, MAX_DEPTH):
        raise WireError("too_deep", f"Nest objects and arrays at most {MAX_DEPTH} levels deep.")
    value: JSON = orjson.loads(text)
    return value


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
    request_id = _readable_id(message)
    kind = message.get("type")
    if kind is None:
        return WireError(
            "missing_type", f"Add a 'type' to the message: {_known_types()}.", request_id
        )
    if not isinstance(kind, str):
        return WireError(
            "wrong_type", f"Make 'type' a string, one of {_known_types()}.", request_id
        )
    if kind not in _TYPES:
        return WireError(
            "unknown_type",
            f"The type {_clip(kind)} is unknown; send one of {_known_types()}.",
            request_id,
        )
    for name, attribute in fields_dict(_TYPES[kind]).items():
        error = _explain_field(message, kind, name, attribute, request_id)
        if error is not None:
            return error
    return WireError("wrong_type", f"This is not a well-formed '{kind}' message.", request_id)


def _explain_field(
    message: Mapping[str, object],
    kind: str,
    name: str,
    attribute: "Attribute[object]",
    request_id: RequestId,
) -> WireError | None:
    if name not in message:
        if attribute.default is not NOTHING:
            return None
        return WireError("missing_field", f"Add '{name}' to the '{kind}' message.", request_id)
    check, expected = _CHECKS.get(attribute.type, (None, ""))
    if check is None:
        return None
    value = message[name]
    try:
        check(value)
    except TypeError:
        sentence = f"Make '{name}' of the '{kind}' message {expected}, not {_name_of(value)}."
        return WireError("wrong_type", sentence, request_id)
    return None


def _readable_id(message: Mapping[str, object]) -> RequestId:
    try:
        return _request_id(message.get("id"))
    except TypeError:
        return None


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


def encode_connect(client_id: str, now: float) -> bytes:
    """Encode the first message after the accept."""
    data = {"client_id": client_id, "timestamp": int(now)}
    return orjson.dumps({"type": "connect", "data": data, "meta": _meta(now)})


def encode_auth(user_id: str, is_root: bool, now: float, id: RequestId = None) -> bytes:
    """Encode the answer to a token that was accepted."""
    data = {"authenticated": True, "user_id": user_id, "is_root": is_root}
    return _answer({"type": "auth", "data": data}, id, now)


def encode_join(room: str, now: float, id: RequestId = None) -> bytes:
    """Encode the acknowledgement of a join."""
    return _answer({"type": "join", "room": room}, id, now)


def encode_leave(room: str, now: float, id: RequestId = None) -> bytes:
    """Encode the acknowledgement of a leave."""
    return _answer({"type": "leave", "room": room}, id, now)


def encode_error(problem: Problem, now: float, id: RequestId = None) -> bytes:
    """Encode why something was not done."""
    data = {"code": problem.code}
    return _answer({"type": "error", "error": problem.message, "data": data}, id, now)


def encode_receipt(id: RequestId, scope: Scope, event_id: str, now: float) -> bytes:
    """Encode how far an emit went."""
    return _answer({"type": "receipt", "data": {"scope": scope, "id": event_id}}, id, now)


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
