"""Somebody who can write on the broker and is no pod."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from ...transport.brokers.contract import EVERYONE, Channel, Message, room_channel
from .faults import ROOMS

__all__ = ["forged", "rubbish"]

_CHANNELS: Final[Sequence[Channel]] = (EVERYONE, *map(room_channel, ROOMS))
_HUGE: Final = 2**53 - 1


def rubbish(draw: random.Random) -> Iterator[Message]:
    """Yield what no pod writes: bytes, JSON of another shape, numbers out of all bounds."""
    for channel in _CHANNELS:
        yield channel, draw.randbytes(draw.randrange(40))
        yield channel, orjson.dumps(draw.choice(([], {}, None, "x", {"v": 1}, {"v": 9, "o": "x"})))
        yield channel, b"[" * 200
        yield channel, orjson.dumps({"v": 1, "o": "s" * 500, "e": -1, "g": "here", "b": {}})


def forged(draw: random.Random, said: Sequence[Message]) -> Iterator[Message]:
    """Yield what pods write, but said by somebody else: beats, goodbyes, events.

    Some of it is what pods `said` themselves: again, on another channel, or with a changed byte.
    """
    for channel, payload in draw.sample(said, min(len(said), 6)):
        yield channel, payload
        yield draw.choice(_CHANNELS), payload
        at = draw.randrange(len(payload))
        yield channel, payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        yield from _in_the_name_of(channel, payload)
    for word in ("hello", "here", "bye"):
        yield EVERYONE, orjson.dumps(_beat("deadbeef", word))


def _in_the_name_of(channel: Channel, payload: bytes) -> Iterator[Message]:
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError:  # what another stranger has written
        return
    if not isinstance(told, dict) or not isinstance(told.get("o"), str):
        return
    yield EVERYONE, orjson.dumps(_beat(told["o"], "bye"))
    yield EVERYONE, orjson.dumps(_beat(told["o"], "here"))
    for field in ("k", "s"):
        told.pop(field, None)
    yield channel, orjson.dumps(told)


def _beat(origin: str, word: str) -> dict[str, object]:
    marks = [[room, 1, _HUGE, 10, 5] for room in ROOMS]
    told = {"n": _HUGE, "i": 1.0, "name": "pod0", "h": [], "q": marks}
    return {"v": 1, "o": origin, "e": _HUGE, "g": word, "b": told}
