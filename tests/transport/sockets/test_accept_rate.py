"""How fast clients are let in, and what those are told who come too fast."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import Admission, Refusal, Shares


def door_of(
    rate: float,
    burst: int,
    places: Shares,
    *,
    share: float = 1.0,
    random: Callable[[], float] = lambda: 0.0,
) -> Admission:
    return Admission(
        rate, burst, places, share=share, now=0.0, random=random, rate_limited=Counter()
    )


def wait_of(refusal: Refusal | None) -> int:
    assert refusal is not None
    return int(dict(refusal.headers)["Retry-After"])


def test_a_burst_gets_in_and_the_next_is_told_when_to_come_back() -> None:
    door = door_of(10.0, 3, Shares(100_000, 0), random=lambda: 0.0)
    assert [door.refuse("a", 0.0) for _ in range(3)] == [None] * 3
    refusal = door.refuse("a", 0.0)
    assert refusal is not None
    assert refusal.status == 503
    assert wait_of(refusal) == 1
    assert door.refuse("a", 0.1) is None


def test_no_rate_is_no_limit() -> None:
    door = door_of(0.0, 1, Shares(100_000, 0), random=lambda: 0.0)
    assert [door.refuse("a", 0.0) for _ in range(1000)] == [None] * 1000


def test_a_herd_is_told_to_come_back_no_faster_than_it_can_be_served() -> None:
    door = door_of(100.0, 100, Shares(100_000, 0), random=random.Random(7).random)
    answers = [door.refuse("a", 0.0) for _ in range(5000)]
    waits = Counter(wait_of(answer) for answer in answers if answer is not None)
    assert sum(waits.values()) == 4900
    assert 45 < max(waits) <= 60
    assert max(waits.values()) < 1.3 * 100


def test_the_queue_that_nobody_stands_in_shrinks_with_time() -> None:
    door = door_of(10.0, 1, Shares(100_000, 0), random=lambda: 0.999)
    for _ in range(200):
        door.refuse("a", 0.0)
    assert wait_of(door.refuse("a", 0.0)) == 21
    assert door.refuse("a", 1000.0) is None
    assert wait_of(door.refuse("a", 1000.0)) <= 2


def test_one_address_has_its_share_and_gets_it_back() -> None:
    door = door_of(0.0, 1, Shares(100_000, 2), random=lambda: 0.0)
    assert door.refuse("2001:db8::1", 0.0) is None
    assert door.refuse("2001:db8::2", 0.0) is None  # the same subscriber
    refusal = door.refuse("2001:db8::3", 0.0)
    assert refusal is not None
    assert refusal.status == 429
    assert door.refuse("2001:db8:0:1::1", 0.0) is None
    door.left("2001:db8::1")
    assert door.refuse("2001:db8::4", 0.0) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_addresses_are_remembered_only_as_long_as_they_have_connections(
    steps: list[tuple[str, bool]],
) -> None:
    places = Shares(100_000, 3)
    door = door_of(0.0, 1, places, random=lambda: 0.0)
    held: Counter[str] = Counter()
    for address, comes in steps:
        if comes:
            assert (door.refuse(address, 0.0) is None) == (held[address] < 3)
            held[address] += held[address] < 3
        elif held[address]:
            door.left(address)
            held[address] -= 1
    assert set(places._addresses) == {address for address, count in held.items() if count}


def test_when_all_places_are_taken_everybody_is_told_503() -> None:
    door = door_of(0.0, 1, Shares(1), random=lambda: 0.0)
    assert door.refuse("192.0.2.1", 0.0) is None
    refusal = door.refuse("192.0.2.2", 0.0)
    assert refusal is not None
    assert (refusal.status, wait_of(refusal)) == (503, 5)
    door.left("192.0.2.1")
    assert door.refuse("192.0.2.2", 0.0) is None


def test_one_address_begins_its_share_of_the_handshakes_and_others_the_rest() -> None:
    door = door_of(10.0, 10, Shares(100_000), share=0.5)
    told = [door.refuse(f"2001:db8:0:1::{n}", 0.0) for n in range(1, 9)]
    assert told[:5] == [None] * 5
    assert [refusal and refusal.status for refusal in told[5:]] == [503] * 3
    assert door.refuse("192.0.2.1", 0.0) is None
    for second in range(1, 20):
        taken = sum(door.refuse("192.0.2.9", second + n / 100) is None for n in range(100))
        assert taken <= 11  # five at first, and five a second
        assert door.refuse("192.0.2.1", second + 0.995) is None


def test_whom_no_proxy_names_has_no_share_of_the_handshakes() -> None:
    door = door_of(10.0, 10, Shares(100_000), share=0.5)
    assert [door.refuse("", 0.0) for _ in range(10)] == [None] * 10
