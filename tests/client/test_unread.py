"""What nobody reads is bounded, and its loss is told."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from deployd.client import ClientClosed, FellBehind
from deployd.client.unread import MOST_BYTES, Unread, UnreadQueue


def queue(most: int = 3, policy: Unread = Unread.FAIL) -> UnreadQueue[int]:
    return UnreadQueue(most, policy, "events")


async def rest(unread: UnreadQueue[int]) -> list[int]:
    return [number async for number in unread]


async def test_what_is_dropped_is_told_where_the_hole_is() -> None:
    unread = queue()
    for number in range(5):
        unread.put(number)
    with pytest.raises(FellBehind, match="2 events were dropped") as caught:
        await anext(unread)
    assert caught.value.missed == 2
    unread.end()
    assert await rest(unread) == [2, 3, 4]


async def test_who_takes_the_loss_is_told_of_none_and_it_is_counted() -> None:
    unread = queue(policy=Unread.DROP_OLDEST)
    for number in range(5):
        unread.put(number)
    unread.end()
    assert await rest(unread) == [2, 3, 4]
    assert unread.missed == 2


@given(st.lists(st.integers(0, MOST_BYTES), max_size=20), st.integers(1, 10))
def test_messages_and_bytes_are_bounded_and_the_newest_is_there(
    sizes: list[int], most: int
) -> None:
    unread = queue(most)
    for number, size in enumerate(sizes):
        unread.put(number, size)
        kept = sizes[number + 1 - len(unread) : number + 1]
        assert 1 <= len(unread) <= most
        assert len(kept) == 1 or sum(kept) <= MOST_BYTES
    assert unread.missed + len(unread) == len(sizes)


async def test_an_end_in_an_error_comes_after_what_waits() -> None:
    unread = queue()
    unread.put(1)
    unread.end(ClientClosed)
    assert await anext(unread) == 1
    for _ in range(2):
        with pytest.raises(ClientClosed):
            await anext(unread)


async def test_each_message_is_read_once_by_one_of_those_who_wait() -> None:
    unread = queue(100)
    read: list[int] = []

    async def reader() -> None:
        async for number in unread:
            read.append(number)  # noqa: PERF401 - as they come

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(reader)
        for number in range(50):
            unread.put(number)
            if number % 7 == 0:
                await trio.testing.wait_all_tasks_blocked()
        unread.end()
    assert sorted(read) == list(range(50))


async def test_who_is_cancelled_has_taken_nothing(autojump_clock: MockClock) -> None:
    unread = queue()
    with trio.move_on_after(1):
        await anext(unread)
    unread.put(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(unread)
    assert len(unread) == 1
    assert await anext(unread) == 1
