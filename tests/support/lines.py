"""A second protocol of clients, of forty lines: one line of text is one message.

`join tea`, `join tea #7` (with an id), `leave tea`, `emit tea said {"a": 1}`, `auth TOKEN`, `ping`.
"""

from __future__ import annotations

import re

import orjson

from deployd.transport import (
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
    WireError,
)

__all__ = ["LINES", "Lines"]

_LINE = re.compile(r"(ping|auth \S+|join \S+|leave \S+|emit (\S+) (\S+) ([^#\n]+?))(?: #(\S+))?\n?")


class Lines:
    """See `ClientProtocol`. It has a ping and a farewell of its own."""

    name = "lines"
    binary = False
    ping = b"are you there?"

    def decode(self, message: str | bytes) -> ClientMessage:
        """Read a line."""
        line = _LINE.fullmatch(message if isinstance(message, str) else message.decode())
        if line is None:
            raise WireError("bad_line", "Send a line such as: join tea")
        verb, _, rest = line[1].partition(" ")
        if verb == "emit":
            try:
                return Emit(line[3], orjson.loads(line[4]), line[2], line[5])
            except orjson.JSONDecodeError as error:
                raise WireError("bad_line", f"Give data as JSON: {error}", line[5]) from None
        if verb == "ping":
            return Ping(line[5])
        if verb == "auth":
            return Auth(rest, line[5])
        return (Join if verb == "join" else Leave)(rest, line[5])

    def encode(self, message: PodMessage) -> bytes:
        """Write a line."""
        match message:
            case Event(room, name, encoded, _, sequence):
                return f"{sequence} {room or '*'} {name} ".encode() + encoded
            case Connected(client_id):
                return f"hello {client_id}".encode()
            case Authenticated(user_id):
                return f"you are {user_id}{_id(message.id)}".encode()
            case Pong(_, request_id):
                return f"pong{_id(request_id)}".encode()
            case Joined(room, _, request_id):
                return f"joined {room}{_id(request_id)}".encode()
            case Left(room, _, request_id, reason):
                return f"left {room}{_id(request_id)} {reason or ''}".rstrip().encode()
            case Failed(problem, _, request_id):
                sentence = problem.message.replace("\n", " ")
                return f"failed {problem.code}{_id(request_id)} {sentence}".encode()
            case Receipted(scope, _, _, request_id):
                return f"taken {scope.value}{_id(request_id)}".encode()

    def farewell(self, code: int, reason: str) -> bytes | None:
        """Say why, for those who see no close frames."""
        return f"bye {code} {reason}".encode()


LINES = Lines()


def _id(request_id: RequestId) -> str:
    return "" if request_id is None else f" #{request_id}"
