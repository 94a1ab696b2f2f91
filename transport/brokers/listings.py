"""What pods ask each other of the rooms that they list, and what each answers of its own.

    {"v":1,"o":"9f3c21aa","rooms":{"n":7,"p":"game-*","w":{"mode":"ranked"},"a":"game-41"}}
    {"v":1,"o":"77aa0912","listed":{"n":7,"r":[["game-42",3,1764072000.5,1764072010.1,{"mode":"ranked"}]],"m":1}}

The question goes to everyone. `n` numbers it, `p` is the pattern of names, `w` what a room has to
say of itself, `a` the name after which to begin. The answer goes to who asked: `r` the rooms in the
order of their names, each with its members on that pod, since when it is there, when it described
itself (unix s; 0: never) and how; `m` is there when there are more than it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson
from attrs import field, frozen

from ..errors import EnvelopeError, EnvelopeFault, WireError
from ..protocols import JSON, encode_data
from .beats import LARGEST_NUMBER
from .message_rules import DEEPEST, demand_room, too_deep

__all__ = [
    "MOST_LISTED",
    "MOST_LISTED_BYTES",
    "MOST_META_BYTES",
    "AskRooms",
    "RoomAnswer",
    "RoomEntry",
    "RoomQuery",
    "ask_rooms",
    "brief",
    "read_ask_rooms",
    "read_room_answer",
    "room_answer",
]

MOST_LISTED: Final = 200
"""Rooms of one answer."""
MOST_LISTED_BYTES: Final = 48 * 1024
"""Bytes of their descriptions: with their names an answer is no larger than a batch of events."""
MOST_META_BYTES: Final = 1024
"""Bytes of what a room says of itself, and of what is asked about it, as JSON."""
LONGEST_PATTERN: Final = 1024
FIELDS: Final = 5
"""Of a room that this version knows; what a later one appends is passed over."""
LATEST: Final = 253_402_300_800.0
"""The year 10000, in unix seconds."""


@frozen
class RoomQuery:
    """Which rooms are asked for: by a pattern of names, and by what they say of themselves.

    Each key of `where` has to have that value in the room's description. Only names after `after`
    are meant.
    """

    pattern: str = "*"
    where: Mapping[str, JSON] = field(factory=dict)
    after: str = ""

    @classmethod
    def of(cls, pattern: str, where: Mapping[str, JSON] | None, after: str) -> RoomQuery:
        """Make one of what somebody asks. Raises `WireError` for what cannot be asked."""
        if max(len(pattern), len(after)) > LONGEST_PATTERN:
            raise WireError("bad_query", f"Ask by at most {LONGEST_PATTERN} characters.")
        for text in (pattern, after):
            encode_data(text)
        return cls(pattern, orjson.loads(brief({} if where is None else where)), after)


def brief(meta: Mapping[str, JSON]) -> bytes:
    """Encode what a room says of itself, or what is asked about it.

    Raises `WireError` for what is not JSON, too large, or nested too deep.
    """
    encoded = encode_data(dict(meta))
    if len(encoded) > MOST_META_BYTES:
        sentence = f"This takes {len(encoded)} bytes of JSON; {MOST_META_BYTES} are the most here."
        raise WireError("too_large", sentence)
    if too_deep(encoded):
        raise WireError("too_deep", f"This is nested more than {DEEPEST} levels deep.")
    return encoded


class RoomEntry(NamedTuple):
    """A room of one pod; `since` and `described` are unix seconds, 0 for never."""

    name: str
    members: int
    since: float
    described: float
    meta: Mapping[str, JSON]


@frozen
class AskRooms:
    """A pod wants to know the rooms of all."""

    origin: str
    number: int
    query: RoomQuery


@frozen
class RoomAnswer:
    """The rooms of one pod; `more` is whether it has more than these, after the last of them."""

    origin: str
    number: int
    rooms: Sequence[RoomEntry]
    more: bool = False


def ask_rooms(asked: AskRooms) -> bytes:
    """Encode the question."""
    query = asked.query
    body = {"n": asked.number, "p": query.pattern, "w": query.where, "a": query.after}
    return orjson.dumps({"v": 1, "o": asked.origin, "rooms": body})


def room_answer(answer: RoomAnswer) -> bytes:
    """Encode the answer."""
    body: dict[str, object] = {"n": answer.number, "r": [(*entry,) for entry in answer.rooms]}
    if answer.more:
        body["m"] = 1
    return orjson.dumps({"v": 1, "o": answer.origin, "listed": body})


def read_ask_rooms(origin: str, body: JSON) -> AskRooms:
    """Read a question. Raises `EnvelopeError`."""
    if type(body) is not dict:
        raise EnvelopeError("it asks for no rooms")
    pattern, where, after = body.get("p"), body.get("w"), body.get("a")
    if type(pattern) is not str or type(after) is not str or type(where) is not dict:
        raise EnvelopeError("it asks for rooms by what is no pattern")
    try:
        query = RoomQuery.of(pattern, where, after)
    except WireError as error:
        raise EnvelopeError("it asks for rooms by too much", EnvelopeFault.TOO_LARGE) from error
    return AskRooms(origin, _whole(body.get("n")), query)


def read_room_answer(origin: str, body: JSON) -> RoomAnswer:
    """Read an answer. Raises `EnvelopeError`."""
    if type(body) is not dict:
        raise EnvelopeError("it lists no rooms")
    rooms = body.get("r")
    if type(rooms) is not list:
        raise EnvelopeError("it lists no rooms")
    if len(rooms) > MOST_LISTED:
        raise EnvelopeError(f"it lists more than {MOST_LISTED} rooms", EnvelopeFault.TOO_LARGE)
    entries = [_entry(room) for room in rooms]
    return RoomAnswer(origin, _whole(body.get("n")), entries, "m" in body)


def _entry(raw: JSON) -> RoomEntry:
    if type(raw) is not list or len(raw) < FIELDS:
        raise EnvelopeError("a room of it is not a whole one")
    name, members, since, described, meta = raw[:FIELDS]
    room = demand_room(name)
    if room is None:
        raise EnvelopeError("it lists what has no name")
    if type(meta) is not dict:
        raise EnvelopeError("a room of it says nothing of itself")
    try:
        brief(meta)
    except WireError as error:
        sentence = "a room of it says too much of itself"
        raise EnvelopeError(sentence, EnvelopeFault.TOO_LARGE) from error
    return RoomEntry(room, _whole(members), _moment(since), _moment(described), meta)


def _whole(value: JSON) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise EnvelopeError("a number of it is none that it may have")
    return value


def _moment(value: JSON) -> float:
    if (type(value) is not float and type(value) is not int) or not 0 <= value < LATEST:
        raise EnvelopeError("a time of it is none that it may have")
    return float(value)
