"""The auction under chaos: what is right stays right, and both planted bugs are found."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from deployd.supervisors import Pod
from deployd.testing import Faults, SimulationFailed, Story, simulate

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from chaos_room import Auction, ForgetfulAuction

ROOM = "chaos-1"


# Ten lines: in a pod, with a fault that the test chooses ------------------------------------


@pytest.fixture
def deployd_rooms() -> dict[str, type]:
    return {"chaos-*": Auction}


async def test_a_crash_does_not_lower_the_price(pod: Pod, client: Any, faults: Faults) -> None:
    ann = await client(pod)
    await ann.join(ROOM)
    await ann.emit(ROOM, "bid", 20)
    faults.inject(pod, "actor.crash", path=f"pod/rooms/{ROOM}")
    await ann.emit(ROOM, "bid", 10)
    await ann.emit(ROOM, "bid", 30)
    assert [(await anext(ann.events(ROOM))).data for _ in range(2)] == [20, 30]


# Ten lines: in the simulator, with the faults of twenty seeds ----------------------------


def rises(prices: list[Any]) -> bool:
    return prices == sorted(prices)


async def prices_only_rise(story: Story) -> None:
    bidders = [await story.client(pod, ROOM) for pod in range(story.pods)]
    for price in range(1, 50):
        await trio.sleep(0.35)
        await bidders[price % len(bidders)].emit(ROOM, "bid", price if price % 4 else 1)
    await story.calm()
    for bidder in bidders:
        for prices in bidder.visits(ROOM, "price"):  # a pod that comes back begins at nothing
            assert rises(prices), f"client {bidder.number} heard {prices}"


test_prices_only_rise = simulate(seeds=20, rooms={"chaos-*": Auction})(prices_only_rise)


# The planted bugs ---------------------------------------------------------------------------


async def test_a_price_that_a_crash_lowers_is_found(
    cluster: Callable[..., Awaitable[list[Pod]]], client: Any, faults: Faults
) -> None:
    [pod] = await cluster(1, rooms={"chaos-*": ForgetfulAuction})
    with pytest.raises(AssertionError):
        await test_a_crash_does_not_lower_the_price(pod, client, faults)


def test_both_bugs_are_found_in_the_simulator() -> None:
    with pytest.raises(SimulationFailed, match="seeds fail"):
        simulate(seeds=20, rooms={"chaos-*": ForgetfulAuction})(prices_only_rise)()
