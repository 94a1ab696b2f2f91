"""What pods tell each other of themselves: beats, and the two things that they ask each other for.

A beat goes to everyone about once a second. It says who the pod is, how it is, whom it hears, and
how far it has come in each room in which it spoke since the beat before.

    {"v":1,"o":"9f3c21aa","e":1764072000123,"g":"here","b":{"n":17,"i":1.0,"t":81500,"name":"ann",
     "ver":"1.0","at":"NBX3…","c":120,"r":14,"l":0.2,"h":["77aa0912"],"q":[["lobby",41,43,820,15]]}}

`g` is `hello` when a link has closed (who hears it answers with a beat), `here`, and `bye`. Of `b`:
`n` the number of this beat among those with marks, `i` the seconds to the next, `t` when it was
said by a steady clock of the pod's own (ms: who compares two knows which was longer on its way),
`at` the server of the broker that the pod is with, `c` and `r` its connections and rooms, `l` its
load, `h` whom it hears (absent: as it said before), `m` whom it misses and since when (ms), `w` for
how long (ms) it has not said all that it had to say, for it waits there, `k` the age (ms) of the
oldest event that it keeps for a replay, `q` its marks: room (null: everyone), first and last number
since the beat before, and how long ago (ms) each was said. With `a` the beat answers a pod that
missed some: its marks are of all that was said after beat `a`; a first number of 0 is not known any
more.

    {"v":1,"o":"77aa0912","ask":{"since":12}}
    {"v":1,"o":"77aa0912","ask":{"echo":"f00d…","on":["room.lobby"]}}

asks one pod, on its own channel, for what it said after a beat, or to say a probe on each of these
channels: who hears it there is heard by that pod.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import orjson
from attrs import frozen

from ..errors import EnvelopeError, EnvelopeFault
from ..protocols import JSON
from .contract import Channel
from .message_rules import demand_room

__all__ = [
    "LARGEST_NUMBER",
    "MOST_ECHOES",
    "MOST_HEARD",
    "MOST_MARKS",
    "AskEcho",
    "AskSince",
    "Beat",
    "Mark",
    "Miss",
    "ask_echo",
    "ask_since",
    "beat",
    "demand_nonce",
    "read_ask",
    "read_beat",
]

WORDS: Final = frozenset(("hello", "here", "bye"))
MOST_MARKS: Final = 256
"""Rooms that one beat tells of; what it leaves out is told by the next."""
MOST_HEARD: Final = 256
"""Pods that a beat names as heard, and as missing."""
MOST_ECHOES: Final = 500
"""Channels that one question asks probes on."""
LONGEST_NAME: Final = 64
LONGEST_NONCE: Final = 64
LARGEST_NUMBER: Final = 2**53 - 1
"""Of an event, a beat or an epoch: beyond it neither doubles nor JavaScript count (ECMA-262,
21.1.2.6)."""
LONGEST_INTERVAL: Final = 60.0
OLDEST: Final = 1e9
"""Seconds since something was said: thirty years, more than any pod has run."""
_CHANNEL: Final = re.compile(r"[a-z]{1,8}\.[A-Za-z0-9_=-]{1,200}")


class Mark(NamedTuple):
    """How far a pod has come in a room: its numbers since the beat before, and their ages (s).

    `first` is 0 where it is not known.
    """

    room: str | None
    first: int
    last: int
    first_age: float
    last_age: float


class Miss(NamedTuple):
    """A pod that was heard and is not any more, and for how long (s) it has not been."""

    pod: str
    age: float


@frozen
class Beat:
    """What a pod says of itself, whom it hears and misses; see above.

    `interval`, `clock`, `behind` and `held` are in seconds, `load` from 0 to 1.
    """

    origin: str
    epoch: int
    word: str = "here"
    number: int = 0
    interval: float = 1.0
    name: str = ""
    version: str = ""
    node: str = ""
    connections: int = 0
    rooms: int = 0
    load: float = 0.0
    hears: tuple[str, ...] | None = ()
    misses: tuple[Miss, ...] = ()
    clock: float = 0.0
    behind: float = 0.0
    held: float = 0.0
    after: int | None = None
    marks: tuple[Mark, ...] = ()


@frozen
class AskSince:
    """A pod has missed beats of this one: it wants to know what was said after that number."""

    origin: str
    number: int


@frozen
class AskEcho:
    """A pod wants a probe with this nonce on each of these channels."""

    origin: str
    nonce: str
    channels: tuple[Channel, ...]


def beat(said: Beat) -> bytes:
    """Encode a beat."""
    body: dict[str, object] = {
        "n": said.number,
        "i": said.interval,
        "t": round(said.clock * 1000),
        "name": said.name,
        "ver": said.version,
        "at": said.node,
        "c": said.connections,
        "r": said.rooms,
        "l": round(said.load, 3),
    }
    if said.hears is not None:
        body["h"] = said.hears
    if said.behind:
        body["w"] = round(said.behind * 1000)
    if said.held:
        body["k"] = round(said.held * 1000)
    if said.misses:
        body["m"] = [(miss.pod, round(miss.age * 1000)) for miss in said.misses]
    if said.after is not None:
        body["a"] = said.after
    if said.marks:
        body["q"] = [
            (m.room, m.first, m.last, round(m.first_age * 1000), round(m.last_age * 1000))
            for m in said.marks
        ]
    header = {"v": 1, "o": said.origin, "e": said.epoch, "g": said.word, "b": body}
    return orjson.dumps(header)


def ask_since(origin: str, number: int) -> bytes:
    """Encode the question what a pod has said after a beat."""
    return orjson.dumps({"v": 1, "o": origin, "ask": {"since": number}})


def ask_echo(origin: str, nonce: str, channels: Sequence[Channel]) -> bytes:
    """Encode the wish for probes."""
    return orjson.dumps({"v": 1, "o": origin, "ask": {"echo": nonce, "on": channels}})


def read_beat(origin: str, message: dict[str, JSON]) -> Beat:
    """Read a beat. Raises `EnvelopeError`."""
    word, body = message.get("g"), message.get("b")
    if type(word) is not str or word not in WORDS:
        raise EnvelopeError("it greets with a word that is not known here")
    if type(body) is not dict:
        raise EnvelopeError("it is a greeting without a beat, as pods of an older version said")
    after = body.get("a")
    return Beat(
        origin,
        _whole(message.get("e")),
        word,
        _whole(body.get("n")),
        _seconds(body.get("i"), LONGEST_INTERVAL),
        _text(body.get("name")),
        _text(body.get("ver")),
        _text(body.get("at")),
        _whole(body.get("c")),
        _whole(body.get("r")),
        _seconds(body.get("l"), 1.0),
        _pods(body["h"]) if "h" in body else None,
        _misses(body.get("m", [])),
        _whole(body.get("t")) / 1000,
        _seconds(body.get("w", 0), 1000 * OLDEST) / 1000,
        _seconds(body.get("k", 0), 1000 * OLDEST) / 1000,
        None if after is None else _whole(after),
        _marks(body.get("q", [])),
    )


def read_ask(origin: str, asked: JSON) -> AskSince | AskEcho:
    """Read a question. Raises `EnvelopeError`."""
    if type(asked) is dict and "since" in asked:
        return AskSince(origin, _whole(asked["since"]))
    if type(asked) is dict and "echo" in asked:
        nonce, channels = demand_nonce(asked["echo"]), asked.get("on")
        if type(channels) is not list or len(channels) > MOST_ECHOES:
            raise EnvelopeError(f"it asks for probes on more than {MOST_ECHOES} channels")
        named = [c for c in channels if type(c) is str and _CHANNEL.fullmatch(c) is not None]
        if len(named) < len(channels):
            raise EnvelopeError("it asks for a probe on what is no channel")
        return AskEcho(origin, nonce, tuple(named))
    raise EnvelopeError("it asks for what is not known here")


def demand_nonce(value: JSON) -> str:
    """Return the nonce of a probe; raise `EnvelopeError` for what is none."""
    if type(value) is not str or not 0 < len(value) <= LONGEST_NONCE:
        raise EnvelopeError(f"its nonce is not a text of at most {LONGEST_NONCE} characters")
    return value


def _whole(value: JSON) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise EnvelopeError("a number of it is none that it may have")
    return value


def _seconds(value: JSON, most: float) -> float:
    if (type(value) is not float and type(value) is not int) or not 0 <= value <= most:
        raise EnvelopeError("a time of it is none that it may have")
    return float(value)


def _text(value: JSON) -> str:
    if type(value) is not str or len(value) > LONGEST_NAME or not value.isprintable():
        raise EnvelopeError(f"a name of it is not a text of at most {LONGEST_NAME} characters")
    return value


def _pods(value: JSON) -> tuple[str, ...]:
    if type(value) is not list or len(value) > MOST_HEARD:
        raise EnvelopeError(f"it hears more than {MOST_HEARD} pods", EnvelopeFault.TOO_LARGE)
    if value and set(map(type, value)) != {str}:
        raise EnvelopeError("it hears what is no pod")
    named = cast("list[str]", value)
    together = "".join(named)
    if max(map(len, named), default=0) > LONGEST_NAME or not (
        together.isascii() and together.isprintable()
    ):
        raise EnvelopeError("it hears what is no pod")
    return tuple(named)


def _misses(value: JSON) -> tuple[Miss, ...]:
    if type(value) is not list or len(value) > MOST_HEARD:
        raise EnvelopeError(f"it misses more than {MOST_HEARD} pods", EnvelopeFault.TOO_LARGE)
    if not all(type(one) is list and len(one) == 2 for one in value):
        raise EnvelopeError("it misses what is no pod")
    pods = _pods([one[0] for one in value if type(one) is list])
    ages = [_seconds(one[1], 1000 * OLDEST) / 1000 for one in value if type(one) is list]
    return tuple(map(Miss, pods, ages))


def _marks(value: JSON) -> tuple[Mark, ...]:
    if type(value) is not list or len(value) > MOST_MARKS:
        raise EnvelopeError(f"it tells of more than {MOST_MARKS} rooms", EnvelopeFault.TOO_LARGE)
    return tuple([_mark(one) for one in value])


def _mark(raw: JSON) -> Mark:
    if type(raw) is not list or len(raw) < 5:
        raise EnvelopeError("a mark of it is not a whole one")
    first, last = _whole(raw[1]), _whole(raw[2])
    if not first <= last:
        raise EnvelopeError("a mark of it ends before it begins")
    ages = [_seconds(age, 1000 * OLDEST) / 1000 for age in raw[3:5]]
    return Mark(demand_room(raw[0]), first, last, ages[0], ages[1])
