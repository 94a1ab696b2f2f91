"""The auction, alone and on the clock of the test."""

import sys
from pathlib import Path

import pytest
from trio.testing import MockClock

from deployd.client import Refused, RoomLost
from deployd.testing import open_room

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from auction_room import Auction


async def test_who_bids_most_until_the_time_is_up_has_won(autojump_clock: MockClock) -> None:
    async with open_room(Auction) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        assert (await ann.emit("bid", 5)).answer == 60
        assert await ben.hear("leading") == {"user": "ann", "amount": 5}
        await room.advance(30)
        assert (await ben.emit("bid", 7)).answer == 30
        await room.advance(30)
        assert await ann.hear("sold") == {"user": "ben", "amount": 7}
        with pytest.raises(RoomLost, match="has ended"):
            await ann.hear()


async def test_who_bids_too_little_or_nonsense_is_told_why(autojump_clock: MockClock) -> None:
    async with open_room(Auction) as room:
        ann = await room.join(user="ann")
        await ann.emit("bid", 5)
        with pytest.raises(Refused, match="Bid more") as refused:
            await ann.emit("bid", 5)
        assert refused.value.data == {"least": 6}
        with pytest.raises(Refused, match="must be a number, not 'all'"):
            await ann.emit("bid", "all")
        assert ann.unread == ["leading"]
