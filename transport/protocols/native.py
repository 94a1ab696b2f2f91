"""deployd's own protocol: what `dpd.js` and existing clients speak, as JSON.

Sans-IO: text in, messages out; messages in, JSON bytes out. One JSON object is one text message.
The wire carries whole seconds.
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, cast

import orjson
from attrs import NOTHING, Attribute, fields_dict
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from ...config import JSON
from ..errors import WireError
from .json_text import decode_json, without_halves
from .messages import (
    Auth,
    Authenticated,
    ClientMessage,
    Connected,
    Emit,
    Event,
    Failed,
    Join,
    Joined,
    Leave,
    Left,
    Ping,
    PodMessage,
    Pong,
    Receipted,
    RequestId,
)

__all__ = ["NATIVE", "NativeProtocol"]


class NativeProtocol:
    """See `ClientProtocol`. Whoever asks for no protocol speaks this one."""

    name: ClassVar[str] = "deployd"
    binary: ClassVar[bool] = False
    ping: ClassVar[bytes | None] = None

    def decode(self, message: str | bytes) -> ClientMessage:
        """Read one message of a client.

        Unknown fields are ignored and of a repeated key the last one counts. Types are never
        converted. Numbers that no double holds are refused; whole numbers beyond 64 bits become
        doubles, as they do in a browser.

        Raises `WireError`: `bad_json`, `too_deep`, `not_an_object`, `missing_type`, `unknown_type`,
        `missing_field` or `wrong_type`. It names the message's id and room where they can be read.
        """
        text = message if isinstance(message, str) else message.decode()
        try:
            # Whatever else it is, `_explain` finds out.
            fields = cast("dict[str, JSON]", decode_json(text))
        except orjson.JSONDecodeError as error:
            sentence = f"Send one JSON object in each text frame; this is not JSON: {error}."
            raise WireError("bad_json", sentence, *_address_of(text)) from None
        except WireError as error:
            raise WireError(error.code, error.sentence, *_address_of(text)) from None
        try:
            return _STRUCTURE[fields["type"]](fields)
        except (KeyError, TypeError):
            raise _explain(fields) from None

    def encode(self, message: PodMessage) -> bytes:
        """Write one message of the pod."""
        if type(message) is Event:  # nearly all that is said
            return _event(message)
        return _ENCODE[type(message)](message)

    def farewell(self, code: int, reason: str) -> bytes | None:
        """Say nothing: the close frame has code and reason."""
        return None


NATIVE: Final = NativeProtocol()


# -- what clients say ------------------------------------------------------------------------


def _address_of(text: str) -> tuple[RequestId, str | None]:
    """Read the id and the room of a message that is not handled, as far as they can be read.

    The reader takes what JavaScript's and Python's writers let slip (NaN, a second object behind
    the first), so that who waits for an answer gets it.
    """
    try:
        message, _ = _LENIENT.raw_decode(without_halves(text).lstrip())
    except (ValueError, RecursionError):
        return None, None
    return _address(message) if isinstance(message, dict) else (None, None)


_LENIENT = json.JSONDecoder()


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
        "join": make_dict_structure_fn(Join, converter, data=as_it_is),
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
    message: Mapping[str, object], kind: str, name: str, attribute: Attribute[object]
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


def _event(event: Event) -> bytes:
    """Encode what was said, for the members of a room or for everyone."""
    room, name, encoded, event_id, sequence, time, _, _, replayed = event
    message: dict[str, object] = {"type": "emit", "event": name, "data": orjson.Fragment(encoded)}
    if room is not None:
        message["room"] = room
    meta: dict[str, object] = {"timestamp": int(time), "id": event_id}
    if sequence:
        meta["seq"] = sequence
    if replayed:
        meta["replayed"] = True
    message["meta"] = meta
    return orjson.dumps(message)


def _connected(message: Connected) -> bytes:
    data = {
        "client_id": message.client_id,
        "timestamp": int(message.time),
        "limits": {"maxMessageBytes": message.max_message_bytes},
    }
    return _answer({"type": "connect", "data": data}, None, message.time)


def _authenticated(message: Authenticated) -> bytes:
    data = {"authenticated": True, "user_id": message.user_id, "is_root": message.is_root}
    return _answer({"type": "auth", "data": data}, message.id, message.time)


def _pong(message: Pong) -> bytes:
    return _answer({"type": "pong"}, message.id, message.time)


def _joined(message: Joined) -> bytes:
    fields: dict[str, object] = {"type": "join", "room": message.room}
    place = message.place
    if place is not None:
        told: dict[str, object] = {"resume": place.resume, "grace": place.grace}
        told["member"] = place.member
        if place.returned:
            told["returned"] = True
        fields["data"] = told
    return _answer(fields, message.id, message.time)


def _left(message: Left) -> bytes:
    fields: dict[str, object] = {"type": "leave", "room": message.room}
    if message.reason is not None:
        fields["data"] = {"code": "taken_out", "reason": message.reason}
    return _answer(fields, message.id, message.time)


def _failed(message: Failed) -> bytes:
    problem = message.problem
    data: dict[str, object] = {**problem.data, "code": problem.code}
    if problem.retry_after is not None:
        data["retryAfter"] = problem.retry_after
    if problem.document is not None:
        data["document"] = problem.document
    fields: dict[str, object] = {"type": "error", "error": problem.message, "data": data}
    if problem.room is not None:
        fields["room"] = problem.room
    return _answer(fields, message.id, message.time)


def _receipted(message: Receipted) -> bytes:
    data: dict[str, object] = {"scope": message.scope, "id": message.event_id}
    reach = message.reach
    if reach is not None:
        data |= {"pods": reach.pods, "of": reach.of, "members": reach.members}
    if message.answer is not None:
        data["answer"] = orjson.Fragment(message.answer)
    fields: dict[str, object] = {"type": "receipt", "data": data}
    if message.room is not None:
        fields["room"] = message.room
    return _answer(fields, message.id, message.time)


def _answer(fields: dict[str, object], id: RequestId, time: float) -> bytes:
    if id is not None:
        fields["id"] = id
    fields["meta"] = {"timestamp": int(time)}
    return orjson.dumps(fields)


_ENCODE: Final = cast(
    "Mapping[type[PodMessage], Callable[[PodMessage], bytes]]",
    {
        Connected: _connected,
        Authenticated: _authenticated,
        Pong: _pong,
        Joined: _joined,
        Left: _left,
        Failed: _failed,
        Receipted: _receipted,
        Event: _event,
    },
)
