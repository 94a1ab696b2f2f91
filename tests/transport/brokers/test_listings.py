from __future__ import annotations

from typing import Any

import orjson
import pytest

from deployd.transport import EnvelopeError
from deployd.transport.brokers import (
    MOST_LISTED,
    AskRooms,
    RoomAnswer,
    RoomEntry,
    RoomQuery,
    ask_rooms,
    room_answer,
    unpack,
)

QUESTION = AskRooms("a1", 7, RoomQuery("game-*", {"mode": "ranked"}, "game-4"))
ANSWER = RoomAnswer("b1", 7, [RoomEntry("game-5", 3, 1.5, 2.5, {"mode": "ranked"})], more=True)


def test_what_is_said_is_read_as_it_was_said() -> None:
    assert unpack(ask_rooms(QUESTION)) == QUESTION
    assert unpack(room_answer(ANSWER)) == ANSWER
    nothing = RoomAnswer("b1", 8, [])
    assert unpack(room_answer(nothing)) == nothing


ROOM: list[Any] = ["tea", 1, 1.0, 0, {}]


DEEP = b"[" * 400 + b"]" * 400


def said(**body: Any) -> bytes:
    return orjson.dumps({"v": 1, "o": "b1", **body})


@pytest.mark.parametrize(
    "payload",
    [
        said(rooms=[]),
        said(rooms={"n": 1, "p": 5, "w": {}, "a": ""}),
        said(rooms={"n": 1, "p": "*", "w": [], "a": ""}),
        said(rooms={"n": -1, "p": "*", "w": {}, "a": ""}),
        said(rooms={"n": 1, "p": "*" * 2000, "w": {}, "a": ""}),
        said(rooms={"n": 1, "p": "*", "w": {"x": "y" * 2000}, "a": ""}),
        b'{"v":1,"o":"b1","rooms":{"n":1,"p":"*","w":{"x":%b},"a":""}}' % DEEP,
        b'{"v":1,"o":"b1","listed":{"n":1,"r":[["tea",1,1,1,{"x":%b}]]}}' % DEEP,
        said(listed=5),
        said(listed={"n": 1}),
        said(listed={"n": 1, "r": [ROOM] * (MOST_LISTED + 1)}),
        said(listed={"n": 1, "r": [ROOM[:4]]}),
        said(listed={"n": 1, "r": [["two words", *ROOM[1:]]]}),
        said(listed={"n": 1, "r": [[None, *ROOM[1:]]]}),
        said(listed={"n": 1, "r": [["system:x", *ROOM[1:]]]}),
        said(listed={"n": 1, "r": [["tea", True, *ROOM[2:]]]}),
        said(listed={"n": 1, "r": [["tea", 1, -1, 0, {}]]}),
        said(listed={"n": 1, "r": [["tea", 1, 1, 1e30, {}]]}),
        said(listed={"n": 1, "r": [[*ROOM[:4], []]]}),
        said(listed={"n": 1, "r": [[*ROOM[:4], {"x": "y" * 2000}]]}),
    ],
)
def test_what_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(EnvelopeError):
        unpack(payload)
