"""Noughts and crosses, with players who vanish."""

import sys
from pathlib import Path

import pytest
from trio.testing import MockClock

from deployd.client import Refused
from deployd.testing import RoomGuest, open_room

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from noughts_room import Noughts


async def last_game(guest: RoomGuest) -> dict[str, object]:
    """Return the game as it was shown last."""
    game: dict[str, object] = {}
    for event in guest.unread:
        told = await guest.hear()
        game = told if event == "game" else game
    return game


async def test_whoever_has_three_in_a_row_has_won(autojump_clock: MockClock) -> None:
    async with open_room(Noughts) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        assert [await ann.hear("you_are"), await ben.hear("you_are")] == ["X", "O"]
        for player, square in ((ann, 0), (ben, 3), (ann, 1), (ben, 4), (ann, 2)):
            await player.emit("move", square)
        assert (await last_game(ben))["winner"] == "X"
        with pytest.raises(Refused, match="over"):
            await ben.emit("move", 5)


async def test_nobody_moves_out_of_turn_or_onto_a_sign(autojump_clock: MockClock) -> None:
    async with open_room(Noughts) as room:
        ann = await room.join(user="ann")
        with pytest.raises(Refused, match="not your turn"):
            await ann.emit("move", 0)
        ben = await room.join(user="ben")
        await ann.emit("move", 0)
        with pytest.raises(Refused, match="free square"):
            await ben.emit("move", 0)
        with pytest.raises(Refused, match="free square"):
            await ben.emit("move", -1)


async def test_who_vanishes_plays_on_when_it_is_back(autojump_clock: MockClock) -> None:
    async with open_room(Noughts) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.emit("move", 4)
        await ben.drop()
        assert await ann.hear("away") == {"sign": "O", "seconds": 30}
        with pytest.raises(Refused, match="full"):
            await room.join(user="eve")
        await room.advance(20)
        await ben.come_back()
        await ben.emit("move", 0)
        assert (await last_game(ann))["squares"] == ["O", "", "", "", "X", "", "", "", ""]


async def test_who_stays_away_has_lost(autojump_clock: MockClock) -> None:
    async with open_room(Noughts) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        await ann.emit("move", 4)
        await ben.drop()
        await room.advance(31)
        assert (await last_game(ann))["winner"] == "X"
