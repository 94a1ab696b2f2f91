from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from deployd.actors.clients.backpressure import (
    MAX_WAITING_BYTES,
    MAX_WAITING_MESSAGES,
    Backpressure,
)


@pytest.mark.parametrize(
    ("count", "nbytes"), [(MAX_WAITING_MESSAGES, 1), (1, MAX_WAITING_BYTES), (2, MAX_WAITING_BYTES)]
)
async def test_reading_stops_at_either_bound_and_goes_on_when_half_is_done(
    count: int, nbytes: int
) -> None:
    backpressure = Backpressure()
    await backpressure.ready()
    for _ in range(count):
        backpressure.took(nbytes)
    went_on: list[int] = []

    async def read() -> None:
        await backpressure.ready()
        went_on.append(handled)

    handled = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        assert went_on == []
        for _ in range(count):
            handled += 1
            backpressure.handled(nbytes)
            await wait_all_tasks_blocked()
    assert went_on == [count if count <= 2 else count // 2 + 1]
