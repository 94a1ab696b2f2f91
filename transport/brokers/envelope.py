"""What pods say to each other: events of one room, packed, numbered and marked with their origin.

One JSON object a message: a header with short keys and, for each event, an array. A later version
may add keys and append to the arrays; who does not know them passes them over. What changes the
meaning of what is there gets another `v`, and is not read by pods that do not know it.

    {"v":1,"o":"9f3c21aa","e":1764072000123,"r":"lobby","m":[[7,"9f3c21aa-81","said",{},1764072000.5,0,0]]}

`o` origin pod, `e` epoch (when that pod began to count, unix ms), `r` room (absent: everyone),
`m` events: sequence in this room, id, event, data, time (unix s), hops, replayed.
With `w` the pod wants acknowledgements, which `acks` has. In place of `r` and `m` a probe has `p`,
a nonce; what pods say of themselves and ask each other stands in `beats`, what they ask of rooms in
`listings`. What `signing` signs has `k` and `s` at its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import orjson
from attrs import frozen

from ..errors import EnvelopeError, EnvelopeFault
from ..protocols import JSON, Event
from .acks import Acks, read_acks
from .beats import (
    LARGEST_NUMBER,
    AskEcho,
    AskSince,
    Beat,
    demand_nonce,
    read_ask,
    read_beat,
)
from .listings import AskRooms, RoomAnswer, read_ask_rooms, read_room_answer
from .message_rules import (
    demand_change,
    demand_room,
    event_fault,
    of_changes,
    refuse_event,
    too_deep,
)

__all__ = [
    "ENVELOPE_BYTES",
    "EVENT_BYTES",
    "MOST_EVENTS",
    "Envelope",
    "ForLink",
    "Probe",
    "pack",
    "probe",
    "unpack",
]

VERSION: Final = 1
MAX_HOPS: Final = 8
"""Pods do not forward. A bridge between brokers may, and counts, so that no loop can last."""
MOST_EVENTS: Final = 1024
"""Events of one message: what a pod packs, and takes."""
LONGEST_ID: Final = 64
LATEST: Final = 253_402_300_800.0
"""The year 10000, in unix seconds."""
ENVELOPE_BYTES: Final = 2048
"""More than the header of any envelope takes: a room's name may be written in escapes."""
EVENT_BYTES: Final = 256
"""More than an event takes beside its name and its data."""
FIELDS: Final = 7
"""Of an event that this version knows; what a later one appends is passed over."""
_POD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen
class Envelope:
    """Events of one pod for one room, or for everyone (`room` None), in their order.

    `wants` is whether it is to be told who has heard them.
    """

    origin: str
    epoch: int
    room: str | None
    events: Sequence[Event]
    wants: bool = False


@frozen
class Probe:
    """What proves that a channel is heard: a pod's own, or one that it was asked for."""

    origin: str
    nonce: str


ForLink: TypeAlias = Probe | Beat | AskSince | AskEcho | Acks | AskRooms | RoomAnswer
"""What pods say that is for no room."""


def pack(
    origin: str,
    epoch: int,
    room: str | None,
    events: Sequence[tuple[object, ...]],
    *,
    wants: bool = False,
) -> bytes:
    """Encode events for one room: each as above, its data an `orjson.Fragment`."""
    header: dict[str, object] = {"v": VERSION, "o": origin, "e": epoch}
    if room is not None:
        header["r"] = room
    if wants:
        header["w"] = 1
    header["m"] = events
    return orjson.dumps(header)


def probe(origin: str, nonce: str) -> bytes:
    """Encode a probe."""
    return orjson.dumps({"v": VERSION, "o": origin, "p": nonce})


def unpack(payload: bytes) -> Envelope | ForLink:
    """Read what may come from anybody who reaches the broker.

    Raises `EnvelopeError`, whose message says what is wrong with it. Takes time and memory in
    proportion to the payload, whose size the caller has to limit.
    """
    message = _read(payload)
    origin = message.get("o")
    if type(origin) is not str or _POD.fullmatch(origin) is None:
        raise EnvelopeError("its origin is no name of a pod")
    if "p" in message:
        return Probe(origin, demand_nonce(message["p"]))
    if "g" in message:
        return read_beat(origin, message)
    if "ask" in message:
        return read_ask(origin, message["ask"])
    if "a" in message:
        return read_acks(origin, message["a"])
    if "rooms" in message:
        return read_ask_rooms(origin, message["rooms"])
    if "listed" in message:
        return read_room_answer(origin, message["listed"])
    return _envelope(origin, message)


def _read(payload: bytes) -> dict[str, JSON]:
    try:
        message: JSON = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("it is not JSON") from error
    if type(message) is not dict:
        raise EnvelopeError("it is not an object")
    version = message.get("v")
    if type(version) is not int or version != VERSION:
        raise EnvelopeError(f"it is not of version {VERSION}")
    return message


def _envelope(origin: str, message: dict[str, JSON]) -> Envelope:
    epoch = message.get("e")
    if type(epoch) is not int or not 0 <= epoch <= LARGEST_NUMBER:
        raise EnvelopeError("its epoch is not a number that one may have")
    room = demand_room(message.get("r"))
    raw = message.get("m")
    if type(raw) is not list or not raw:
        raise EnvelopeError("it holds no events")
    if len(raw) > MOST_EVENTS:
        raise EnvelopeError(f"it holds more than {MOST_EVENTS} events", EnvelopeFault.TOO_LARGE)
    changes = room if of_changes(room) else None
    events = [_event(one, origin, room, changes) for one in raw]
    return Envelope(origin, epoch, room, events, "w" in message)


def _event(raw: JSON, origin: str, room: str | None, changes: str | None) -> Event:
    if type(raw) is not list or len(raw) < FIELDS:
        raise EnvelopeError("an event of it is not a whole one")
    sequence, event_id, name, data, time, hops, replayed = raw[:FIELDS]
    if (
        type(sequence) is not int
        or not 0 < sequence <= LARGEST_NUMBER
        or (type(time) is not float and type(time) is not int)
        or not 0 <= time < LATEST
    ):
        raise EnvelopeError("the number or time of an event of it is none that it may have")
    if (
        type(hops) is not int
        or type(replayed) is not int
        or not 0 <= hops <= MAX_HOPS
        or not 0 <= replayed <= 1
    ):
        raise EnvelopeError(f"an event of it was forwarded more than {MAX_HOPS} times, or the like")
    if type(event_id) is not str or not 0 < len(event_id) <= LONGEST_ID:
        raise EnvelopeError("an event of it has no id")
    if type(name) is not str or event_fault(name) is not None:
        refuse_event(name)
    if changes is not None:
        demand_change(changes, name, data)
    try:
        encoded = orjson.dumps(data)
    except orjson.JSONEncodeError as error:
        raise EnvelopeError("it is nested too deep") from error
    if too_deep(encoded):
        raise EnvelopeError("it is nested too deep")
    # Past the generated constructor, which takes as long again: each event that comes is one.
    fields = (room, name, encoded, event_id, sequence, time, origin, hops, replayed)
    return tuple.__new__(Event, fields)
