"""What a client says to each of the systems: how it gets in, joins a room and speaks there."""

from __future__ import annotations

import json
from collections.abc import Callable

from attrs import frozen

__all__ = ["DEPLOYD", "EVENT", "FRAME_BYTES", "ROOM", "SOCKETIO", "WEBSOCKETS", "Dialect", "Script"]

ROOM, EVENT = "r", "e"
FRAME_BYTES = 115
"""What a broadcast of the fan-out weighs on the wire, where the system's envelope allows."""

Script = tuple[tuple[str, str], ...]
"""Steps of a conversation: what the client sends ("" for nothing), and what the answer contains."""


@frozen
class Dialect:
    """One system: its name, its path, and the words for what every system here can do.

    `overhead` is what its frame adds to the text of a broadcast, in bytes.
    """

    name: str
    target: str
    hello: Script
    join: Callable[[str], Script]
    say: Callable[[str], str]
    overhead: int

    def text_bytes(self) -> int:
        """How long a broadcast's text must be for a frame of `FRAME_BYTES`, or 0 if it cannot."""
        return max(0, FRAME_BYTES - self.overhead)


def _join_deployd(room: str) -> Script:
    return ((json.dumps({"type": "join", "room": room}), '"type":"join"'),)


def _say_deployd(text: str) -> str:
    return json.dumps({"type": "emit", "room": ROOM, "event": EVENT, "data": text})


def _say_socketio(text: str) -> str:
    return f"42{json.dumps(['say', text])}"


DEPLOYD = Dialect(
    name="deployd",
    target="/socket.io/",
    hello=(("", '"type":"connect"'),),
    join=_join_deployd,
    say=_say_deployd,
    overhead=FRAME_BYTES,  # the envelope alone, with its id and its numbers, is as long
)

WEBSOCKETS = Dialect(
    name="websockets",
    target="/",
    hello=(("", "joined"),),
    join=lambda room: (),
    say=lambda text: text,
    overhead=2,
)

SOCKETIO = Dialect(
    name="python-socketio",
    target="/socket.io/?EIO=4&transport=websocket",
    hello=(("", '0{"sid"'), ("40", "40{")),  # engine.io's and socket.io's own handshakes
    join=lambda room: ((f'420["join","{room}"]', "430"),),
    say=_say_socketio,
    overhead=2 + len(f'42["{EVENT}",""]'),
)
