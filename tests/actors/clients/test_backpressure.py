from __future__ import annotations

import pytest

from deployd.actors.clients.backpressure import (
    MAX_WAITING_BYTES,
    MAX_WAITING_MESSAGES,
    Backpressure,
)


@pytest.mark.parametrize(
    ("count", "nbytes"), [(MAX_WAITING_MESSAGES, 1), (1, MAX_WAITING_BYTES), (2, MAX_WAITING_BYTES)]
)
def test_reading_stops_at_either_bound_and_goes_on_when_half_is_done(
    count: int, nbytes: int
) -> None:
    went_on: list[int] = []
    handled = 0
    backpressure = Backpressure(lambda: went_on.append(handled))
    seen = [backpressure.full]
    for _ in range(count):
        backpressure.took(nbytes)
    assert [*seen, backpressure.full] == [False, True]
    for _ in range(count):
        handled += 1
        backpressure.handled(nbytes)
        assert backpressure.full is not bool(went_on)
    assert went_on == [count if count <= 2 else count // 2 + 1]
