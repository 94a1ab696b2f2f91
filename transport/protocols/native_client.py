"""The client's half of deployd's own protocol: what `native` reads is written here, and back.

Sans-IO, as that is. Held to it by the messages of `conformance`, each of which comes out as it went
in, but for fractions of a second, which the wire does not carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

import orjson

from ...config import JSON
from ..errors import WireError
from .json_text import encode_data
from .messages import (
    Auth,
    Authenticated,
    ClientEvent,
    ClientMessage,
    Connected,
    Emit,
    Failed,
    FromPod,
    Join,
    Joined,
    KeptPlace,
    Leave,
    Left,
    Ping,
    Pong,
    Problem,
    Reach,
    Receipted,
    RequestId,
    Scope,
)

__all__ = ["decode_from_pod", "encode_to_pod"]

Fields: TypeAlias = Mapping[str, JSON]


def encode_to_pod(message: ClientMessage) -> str:
    """Write one message of a client. Raises `WireError` (`not_json`) where its data is not JSON."""
    fields: dict[str, object] = {"type": _TYPES[type(message)]}
    match message:
        case Auth(token=token):
            fields["token"] = token
        case Join(room=room, data=data, resume=resume):
            fields["room"] = room
            if resume is not None:
                fields["resume"] = resume
            if data is not None:
                fields["data"] = orjson.Fragment(encode_data(data))
        case Leave(room=room):
            fields["room"] = room
        case Emit(event=event, data=data, room=said_in):
            fields |= {"event": event, "data": orjson.Fragment(encode_data(data))}
            if said_in is not None:
                fields["room"] = said_in
    if message.id is not None:
        fields["id"] = message.id
    return encode_data(fields).decode()


_TYPES: Final[Mapping[type[ClientMessage], str]] = {
    Auth: "auth",
    Join: "join",
    Leave: "leave",
    Emit: "emit",
    Ping: "ping",
}


def decode_from_pod(text: str) -> FromPod | None:
    """Read one message of a pod; None for a kind that is not known here, as newer pods may send.

    Raises `WireError` (`not_a_pod`) for what no pod says.
    """
    try:
        fields = _object(orjson.loads(text))
        read = _READ.get(_string(fields["type"]))
        return None if read is None else read(fields)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise WireError("not_a_pod", f"This is no message of a pod: {text[:40]!r}.") from error


def _connected(fields: Fields) -> Connected:
    data = _object(fields["data"])
    limits = _object(data.get("limits", {}))
    most = limits.get("maxMessageBytes", 0)  # older pods do not say
    return Connected(_string(data["client_id"]), _whole(most), _time(fields))


def _authenticated(fields: Fields) -> Authenticated:
    data = _object(fields["data"])
    root = data.get("is_root") is True
    return Authenticated(_string(data["user_id"]), root, _time(fields), _id(fields))


def _pong(fields: Fields) -> Pong:
    return Pong(_time(fields), _id(fields))


def _joined(fields: Fields) -> Joined:
    data, place = fields.get("data"), None
    if isinstance(data, dict) and "resume" in data:
        returned = data.get("returned") is True
        grace, member = _number(data.get("grace")), _string(data.get("member", ""))
        place = KeptPlace(_string(data["resume"]), grace, member, returned)
    return Joined(_string(fields["room"]), _time(fields), _id(fields), place)


def _left(fields: Fields) -> Left:
    data = fields.get("data")
    reason = _string(data.get("reason", "")) if isinstance(data, dict) else None
    return Left(_string(fields["room"]), _time(fields), _id(fields), reason)


_OWN: Final = ("code", "retryAfter", "document")
"""What stands in the data of every error: the rest is the room's."""


def _failed(fields: Fields) -> Failed:
    data = fields.get("data")
    more = data if isinstance(data, dict) else {}
    after, document = more.get("retryAfter"), more.get("document")
    problem = Problem(
        _string(more.get("code", "unknown")),
        _string(fields["error"]),
        _room(fields),
        None if after is None else _number(after),
        None if document is None else _string(document),
        {name: value for name, value in more.items() if name not in _OWN},
    )
    return Failed(problem, _time(fields), _id(fields))


def _receipted(fields: Fields) -> Receipted:
    data = _object(fields["data"])
    scope, reach = Scope(str(data.get("scope"))), None
    if "pods" in data:
        pods, of, members = (_whole(data[name]) for name in ("pods", "of", "members"))
        reach = Reach(scope, pods, of, members)
    event = _string(data["id"])
    answer = encode_data(data["answer"]) if "answer" in data else None
    return Receipted(scope, event, _time(fields), _id(fields), _room(fields), reach, answer)


def _event(fields: Fields) -> ClientEvent:
    meta = fields.get("meta")
    more = meta if isinstance(meta, dict) else {}
    return ClientEvent(
        _room(fields),
        _string(fields["event"]),
        fields.get("data"),
        _string(more.get("id", "")),
        _whole(more.get("seq", 0)),
        _time(fields),
        more.get("replayed") is True,
    )


_READ: Final[Mapping[str, Callable[[Fields], FromPod]]] = {
    "connect": _connected,
    "auth": _authenticated,
    "pong": _pong,
    "join": _joined,
    "leave": _left,
    "error": _failed,
    "receipt": _receipted,
    "emit": _event,
}


def _string(value: JSON) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _object(value: JSON) -> dict[str, JSON]:
    if type(value) is not dict:
        raise TypeError
    return value


def _whole(value: JSON) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _number(value: JSON) -> float:
    if type(value) not in (int, float):
        raise TypeError
    return cast("float", value)


def _room(fields: Fields) -> str | None:
    room = fields.get("room")
    return None if room is None else _string(room)


def _id(fields: Fields) -> RequestId:
    request = fields.get("id")
    if request is not None and type(request) not in (str, int, float):
        raise TypeError
    return cast("RequestId", request)


def _time(fields: Fields) -> float:
    """Return the unix seconds of a message, 0 where it does not say."""
    meta = fields.get("meta")
    time = meta.get("timestamp", 0) if isinstance(meta, dict) else 0
    return _number(time)
