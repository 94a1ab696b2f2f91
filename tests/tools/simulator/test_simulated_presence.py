"""Who is in rooms, over pods in networks that fail: when all is well again all know the same."""

from __future__ import annotations

import pytest

from support.people import strangers_of


@pytest.mark.parametrize("seed", [*range(40), 98, 200, 378])
def test_all_pods_and_clients_know_who_is_there_when_all_is_well_again(seed: int) -> None:
    assert strangers_of(seed) == []
