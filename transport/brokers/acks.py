"""What pods tell each other of rooms whose receipts say who has heard: acknowledgements.

An envelope with `w` wants them. They go to the channel of the pod that said its events, many in one
message, with the answers and questions that make it certain of whom to await:

    {"v":1,"o":"77aa0912","a":{"n":17,"got":[["bids",41,43,12]],"no":[["tea",7,7,1]],
     "in":["cake"],"ok":[["pub",3]],"ask":[["tea",8,9]]}}

`n` numbers what this pod says so to that one: what does not go up has come before. `got`: of your
events in a room the first to the last are told here, to so many members. `no`: nobody is in that
room here, as you ask of these events; with 1 I shall tell you before somebody is. `in`: somebody
comes into that room here; await me there. `ok`: I do since your message `n`. `ask`: have you got
these of mine, or is nobody there? Whoever does not know `a` or `w` passes them over, and counts as
one that has not heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import orjson
from attrs import frozen

from ..errors import EnvelopeError, EnvelopeFault
from ..protocols import JSON
from .beats import LARGEST_NUMBER
from .message_rules import demand_room

__all__ = ["MOST_LINES", "Acks", "AskHeard", "Got", "Noted", "Unattended", "acks", "read_acks"]

MOST_LINES: Final = 256
"""Of each kind in one message; those beyond it go in the next."""

T = TypeVar("T")


class Got(NamedTuple):
    """Events `first` to `last` of a room are told to so many members."""

    room: str
    first: int
    last: int
    members: int


class Unattended(NamedTuple):
    """Nobody here is in a room who should have heard these; `promised`: and you will be told."""

    room: str
    first: int
    last: int
    promised: bool


class Noted(NamedTuple):
    """Who says so awaits the other pod in a room, since that said message `number`."""

    room: str
    number: int


class AskHeard(NamedTuple):
    """What is to be known of these events of a room."""

    room: str
    first: int
    last: int


@frozen
class Acks:
    """All that a pod has to say of who hears what, to one other; see above."""

    origin: str
    number: int
    got: Sequence[Got] = ()
    nobody: Sequence[Unattended] = ()
    coming: Sequence[str] = ()
    noted: Sequence[Noted] = ()
    asked: Sequence[AskHeard] = ()


def acks(said: Acks) -> bytes:
    """Encode them."""
    body = {
        "n": said.number,
        "got": [(*line,) for line in said.got],
        "no": [(room, first, last, int(promised)) for room, first, last, promised in said.nobody],
        "in": said.coming,
        "ok": [(*line,) for line in said.noted],
        "ask": [(*line,) for line in said.asked],
    }
    told = {key: value for key, value in body.items() if value}
    return orjson.dumps({"v": 1, "o": said.origin, "a": told})


def read_acks(origin: str, body: JSON) -> Acks:
    """Read them. Raises `EnvelopeError`."""
    if type(body) is not dict:
        raise EnvelopeError("it acknowledges nothing")
    return Acks(
        origin,
        _whole(body.get("n")),
        _lines(body.get("got", []), lambda line: Got(*_span(line), _whole(line[3]))),
        _lines(body.get("no", []), lambda line: Unattended(*_span(line), _whole(line[3]) > 0)),
        _lines(body.get("in", []), _room),
        _lines(body.get("ok", []), lambda line: Noted(_room(line[0]), _whole(line[1]))),
        _lines(body.get("ask", []), lambda line: AskHeard(*_span(line))),
    )


def _lines(value: JSON, read: Callable[[list[JSON]], T]) -> tuple[T, ...]:
    if type(value) is not list or len(value) > MOST_LINES:
        raise EnvelopeError(
            f"it acknowledges more than {MOST_LINES} at a time", EnvelopeFault.TOO_LARGE
        )
    try:
        return tuple([read(line) for line in value])  # type: ignore[arg-type]
    except (TypeError, LookupError) as error:
        raise EnvelopeError("a line of it is not a whole one") from error


def _span(line: list[JSON]) -> tuple[str, int, int]:
    if type(line) is not list:
        raise TypeError
    first, last = _whole(line[1]), _whole(line[2])
    if not 0 < first <= last:
        raise EnvelopeError("a line of it ends before it begins")
    return _room(line[0]), first, last


def _room(value: object) -> str:
    room = demand_room(value)  # type: ignore[arg-type]
    if room is None:
        raise EnvelopeError("it acknowledges what was said to everyone")
    return room


def _whole(value: JSON) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise EnvelopeError("a number of it is none that it may have")
    return value
