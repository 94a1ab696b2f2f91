"""What pods say to each other: events of one room, packed, numbered and signed with their origin.

One JSON object a message: a header with short keys and, for each event, an array. A later version
may add keys and append to the arrays; who does not know them passes them over. What changes the
meaning of what is there gets another `v`, and is not read by pods that do not know it.

    {"v":1,"o":"9f3c21aa","e":1764072000123,"r":"lobby","m":[[7,"9f3c21aa-81","said",{},1764072000.5,0,0]]}

`o` origin pod, `e` epoch (when that pod began to count, unix ms), `r` room (absent: everyone),
`m` events: sequence in this room, id, event, data, time (unix s), hops, replayed.
In place of `r` and `m` a probe has `p`, a nonce, and a greeting `g`, its word.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, cast

import orjson
from attrs import frozen

from ..errors import EnvelopeError, WireError
from ..names import check_name
from ..wire import JSON, MAX_DEPTH, decode_json

__all__ = [
    "ENVELOPE_BYTES",
    "EVENT_BYTES",
    "Envelope",
    "Greeting",
    "Probe",
    "Remote",
    "pack",
    "probe",
    "unpack",
]

VERSION: Final = 1
MAX_HOPS: Final = 8
"""Pods do not forward. A bridge between brokers may, and counts, so that no loop can last."""
MAX_EVENTS: Final = 4096
LONGEST_NAME: Final = 1024
"""Characters; each pod limits its own clients' names further."""
LONGEST_ID: Final = 64
ENVELOPE_BYTES: Final = 2048
"""More than the header of any envelope takes: a room's name may be written in escapes."""
EVENT_BYTES: Final = 256
"""More than an event takes beside its name and its data."""
_DEPTH: Final = MAX_DEPTH + 3


class Remote(NamedTuple):
    """An event of another pod. `time` in unix seconds; a tuple, for one is made for each event."""

    sequence: int
    id: str
    event: str
    data: JSON
    time: float
    hops: int = 0
    replayed: int = 0


@frozen
class Envelope:
    """Events of one pod for one room, or for everyone (`room` None), in their order."""

    origin: str
    epoch: int
    room: str | None
    events: Sequence[Remote]


@frozen
class Probe:
    """What a pod sends itself, to prove that it hears what it sends."""

    origin: str
    nonce: str


@frozen
class Greeting:
    """What a pod says of itself: `hello` when its link closes, `here` as the answer, `bye`."""

    origin: str
    word: str


def pack(origin: str, epoch: int, room: str | None, events: Sequence[tuple[object, ...]]) -> bytes:
    """Encode events for one room; each is what `Remote` holds, its data an `orjson.Fragment`."""
    header: dict[str, object] = {"v": VERSION, "o": origin, "e": epoch}
    if room is not None:
        header["r"] = room
    header["m"] = events
    return orjson.dumps(header)


def probe(origin: str, nonce: str) -> bytes:
    """Encode a probe."""
    return orjson.dumps({"v": VERSION, "o": origin, "p": nonce})


def greeting(origin: str, word: str) -> bytes:
    """Encode a greeting."""
    return orjson.dumps({"v": VERSION, "o": origin, "g": word})


def unpack(payload: bytes) -> Envelope | Greeting | Probe:
    """Read what may come from anybody who reaches the broker.

    Raises `EnvelopeError`, whose message says what is wrong with it.
    """
    message = _read(payload)
    origin = _text(message.get("o"), "origin", LONGEST_ID)
    if "p" in message:
        return Probe(origin, _text(message["p"], "nonce", LONGEST_ID))
    if "g" in message:
        return Greeting(origin, _text(message["g"], "word", LONGEST_ID))
    return _envelope(origin, message)


def _envelope(origin: str, message: dict[str, JSON]) -> Envelope:
    epoch = message.get("e")
    if type(epoch) is not int or epoch < 0:
        raise EnvelopeError("its epoch is not a number")
    room = message.get("r")
    if room is not None and (not isinstance(room, str) or not _good_name("room", room)):
        raise EnvelopeError("its room has no name that a room may have")
    events = message.get("m")
    if not isinstance(events, list) or not 0 < len(events) <= MAX_EVENTS:
        raise EnvelopeError(f"it does not hold 1 to {MAX_EVENTS} events")
    return Envelope(origin, epoch, room, [_event(raw) for raw in events])


def _read(payload: bytes) -> dict[str, JSON]:
    try:
        message = decode_json(payload.decode(), _DEPTH)
    except WireError as error:
        raise EnvelopeError("it is nested too deep") from error
    except ValueError as error:
        raise EnvelopeError("it is not JSON") from error
    if not isinstance(message, dict):
        raise EnvelopeError("it is not an object")
    if message.get("v") != VERSION:
        raise EnvelopeError(f"it is not of version {VERSION}")
    return message


def _event(raw: JSON) -> Remote:
    # The loop that a busy pod lives in: checks in the order of what they cost.
    if type(raw) is not list or len(raw) < len(Remote._fields):
        raise EnvelopeError("an event of it is not a whole one")
    event = Remote._make(cast("list[object]", raw[: len(Remote._fields)]))
    if (
        type(event.sequence) is not int
        or event.sequence < 1
        or type(event.time) not in (int, float)
        or type(event.hops) is not int
        or type(event.replayed) is not int
    ):
        raise EnvelopeError("a number of an event of it is none")
    if event.hops > MAX_HOPS:
        raise EnvelopeError(f"an event of it was forwarded more than {MAX_HOPS} times")
    if type(event.id) is not str or not 0 < len(event.id) <= LONGEST_ID:
        raise EnvelopeError("an event of it has no id")
    if type(event.event) is not str or not _good_name("event", event.event):
        raise EnvelopeError("an event of it has no name that an event may have")
    return event


@lru_cache(maxsize=1024)
def _good_name(kind: str, name: str) -> bool:
    return check_name("room" if kind == "room" else "event", name, LONGEST_NAME) is None


def _text(value: JSON, what: str, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise EnvelopeError(f"its {what} is not a text of at most {longest} characters")
    return value
