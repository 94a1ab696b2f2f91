"""What each address and each user holds of a common good."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import POD, Asker, Grant, Shares, share_of

A, B, C = (Asker.of(f"192.0.2.{n}") for n in (1, 2, 3))
ROOT = Asker.of("192.0.2.1", "root", root=True)


def test_one_address_gets_its_share_and_leaves_the_rest() -> None:
    shares = Shares(10, per_address=6)
    assert [shares.take(A) for _ in range(7)] == [Grant.GIVEN] * 6 + [Grant.OVER_SHARE]
    assert [shares.take(B) for _ in range(5)] == [Grant.GIVEN] * 4 + [Grant.NONE_LEFT]
    shares.release(A)
    assert shares.take(C)


def test_one_user_gets_its_share_from_all_its_addresses() -> None:
    shares = Shares(10, per_address=5, per_user=2)
    first, second = Asker.of("192.0.2.1", "ada"), Asker.of("192.0.2.2", "ada")
    assert shares.take(first)
    assert shares.take(second)
    assert shares.take(second) is Grant.OVER_SHARE
    assert shares.take(Asker.of("192.0.2.2", "bob"))


def test_the_reserve_is_for_the_pod_and_for_root() -> None:
    shares = Shares(4, per_address=1, reserve=2)
    assert [shares.take(who) for who in (A, B, C)] == [Grant.GIVEN] * 2 + [Grant.NONE_LEFT]
    assert [shares.take(who) for who in (ROOT, POD, POD)] == [Grant.GIVEN] * 2 + [Grant.NONE_LEFT]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("", "", False),  # whom a trusted proxy does not name is not everybody whom it does not
    ],
)
def test_an_address_is_what_nobody_can_leave_at_will(one: str, other: str, same: bool) -> None:
    shares = Shares(10, per_address=1)
    assert shares.take(Asker.of(one))
    assert shares.take(Asker.of(other)) is (Grant.OVER_SHARE if same else Grant.GIVEN)


def test_a_block_gives_back_what_it_took_and_only_that() -> None:
    shares = Shares(1)
    with shares.holding(A) as grant, shares.holding(B) as other:
        assert (grant, other) == (Grant.GIVEN, Grant.NONE_LEFT)
        assert len(shares) == 1
    assert len(shares) == 0


def test_a_block_that_raises_gives_back_what_it_took() -> None:
    shares = Shares(1)

    def fail() -> None:
        with shares.holding(A):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(shares) == 0


def test_an_amount_is_given_whole_or_not_at_all() -> None:
    shares = Shares(10, per_address=5)
    assert shares.take(A, 3)
    assert not shares.take(A, 3)
    assert shares.take(A, 2)
    assert len(shares) == shares.held_by("192.0.2.1") == 5


def test_the_heaviest_is_who_holds_most() -> None:
    shares = Shares(10)
    assert shares.heaviest() is None
    for who in (A, B, B, POD, POD, POD):
        shares.take(who)
    assert shares.heaviest() == "192.0.2.2"


@pytest.mark.parametrize(
    ("total", "fraction", "share"), [(10, 0.5, 5), (3, 0.5, 2), (0, 0.5, 1), (10, 1, 10)]
)
def test_a_share_is_a_part_rounded_up(total: int, fraction: float, share: int) -> None:
    assert share_of(total, fraction) == share


ASKERS = st.builds(
    Asker,
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([None, "ada", "bob"]),
    st.booleans(),
)


@given(st.lists(st.tuples(ASKERS, st.integers(1, 3), st.booleans()), max_size=80))
def test_no_order_of_taking_and_releasing_exceeds_a_bound_or_forgets_a_piece(
    steps: list[tuple[Asker, int, bool]],
) -> None:
    shares, held = Shares(10, 4, 3, reserve=2), list[tuple[Asker, int]]()
    for asker, amount, takes in steps:
        if takes and shares.take(asker, amount):
            held.append((asker, amount))
        elif held and not takes:
            shares.release(*held.pop())
        networks, users = Counter[str](), Counter[str]()
        for who, count in held:
            if not who.privileged:
                networks[who.network] += count
                users[who.user or ""] += count
        assert sum(count for _, count in held) == len(shares) <= 10
        assert networks.total() <= 8
        assert max((n for name, n in networks.items() if name), default=0) <= 4
        assert max((n for name, n in users.items() if name), default=0) <= 3
    for who, count in held:
        shares.release(who, count)
    assert (len(shares), shares._addresses, shares._users) == (0, Counter(), Counter())
