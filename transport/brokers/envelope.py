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

from ..errors import EnvelopeError
from ..names import check_name
from ..wire import JSON

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
    "utterable",
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
FIELDS: Final = 7
"""Of an event that this version knows; what a later one appends is passed over."""
_NUMBERS: Final = (int, float)


class Remote(NamedTuple):
    """An event of another pod. A tuple, for one is made for each event that comes.

    `encoded` is its data as JSON, written anew here: what comes from a broker goes to clients only
    as far as it was understood. `time` is in unix seconds.
    """

    sequence: int
    id: str
    event: str
    encoded: bytes
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
    """Encode events for one room: each the fields of `Remote`, its data an `orjson.Fragment`."""
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


def utterable(room: str | None, event: str) -> bool:
    """Whether other pods take an event of that name in that room."""
    return (room is None or _good_name("room", room)) and _good_name("event", event)


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
        message: JSON = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("it is not JSON") from error
    if not isinstance(message, dict):
        raise EnvelopeError("it is not an object")
    if message.get("v") != VERSION:
        raise EnvelopeError(f"it is not of version {VERSION}")
    return message


def _event(raw: JSON) -> Remote:
    # The loop that a busy pod lives in: a check of depth that looks at every bracket would cost
    # as much as all the rest. orjson reads 1,024 levels and writes 254, so that writing checks it.
    if type(raw) is not list or len(raw) < FIELDS:
        raise EnvelopeError("an event of it is not a whole one")
    sequence, event_id, event, data, time, hops, replayed = raw[:FIELDS]
    if (
        type(sequence) is not int
        or sequence < 1
        or type(time) not in _NUMBERS
        or type(hops) is not int
        or type(replayed) is not int
    ):
        raise EnvelopeError("a number of an event of it is none")
    if hops > MAX_HOPS:
        raise EnvelopeError(f"an event of it was forwarded more than {MAX_HOPS} times")
    if type(event_id) is not str or not 0 < len(event_id) <= LONGEST_ID:
        raise EnvelopeError("an event of it has no id")
    if type(event) is not str or not _good_name("event", event):
        raise EnvelopeError("an event of it has no name that an event may have")
    try:
        encoded = orjson.dumps(data)
    except orjson.JSONEncodeError as error:
        raise EnvelopeError("it is nested too deep") from error
    return Remote(sequence, event_id, event, encoded, cast("float", time), hops, replayed)


@lru_cache(maxsize=8192)
def _good_name(kind: str, name: str) -> bool:
    return check_name("room" if kind == "room" else "event", name, LONGEST_NAME) is None


def _text(value: JSON, what: str, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise EnvelopeError(f"its {what} is not a text of at most {longest} characters")
    return value
