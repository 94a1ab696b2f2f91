"""The whiteboard, alone and on two pods."""

import sys
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from deployd.actors import JSON
from deployd.client import Refused
from deployd.testing import RoomGuest, open_room

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from whiteboard_room import Whiteboard

LINE: JSON = {"points": [[0, 0], [500, 500]], "colour": "teal"}


async def there(guest: RoomGuest) -> dict[str, Any]:
    """Return everybody whom the guest knows of, by what it was told, with the colours."""
    people: dict[str, Any] = {}
    for event in guest.unread:
        told = await guest.hear()
        for what, some in told.items() if event == "presence" else ():
            for person in some if isinstance(some, list) else ():
                people[person["user"]] = person.get("meta", {}).get("colour")
                if what == "went":
                    del people[person["user"]]
    return people


async def test_who_comes_sees_the_board_and_others_see_what_is_drawn(
    autojump_clock: MockClock,
) -> None:
    async with open_room(Whiteboard) as room:
        ann = await room.join(user="ann")
        await ann.emit("draw", LINE)
        ben = await room.join(user="ben")
        assert await ben.hear("board") == [LINE]
        await ben.emit("wipe")
        assert await ann.hear("wiped") is None
        assert room.state == []


async def test_people_on_two_pods_see_one_board_and_each_other(autojump_clock: MockClock) -> None:
    async with open_room(Whiteboard, pods=2) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben", pod=1)
        await ann.emit("draw", LINE)
        assert await ben.hear("drawn") == LINE
        await room.advance(1)
        assert room.states == [[LINE], [LINE]]
        assert {*await there(ann)} == {"ann", "ben"}
        await ben.close()
        await room.advance(1)
        assert "ben" not in await there(ann)


async def test_what_is_no_line_is_refused(autojump_clock: MockClock) -> None:
    async with open_room(Whiteboard) as room:
        ann = await room.join(user="ann")
        with pytest.raises(Refused, match="points"):
            await ann.emit("draw", {"points": "all over", "colour": "teal"})
