"""Whether a client comes back, and when: for every code, reason and number of failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.client.endings import ASKED_CAP, BASE, CAP, LASTED, Comeback, Ending, comeback
from deployd.transport import CloseCode

unit = st.floats(0, 1, exclude_max=True)


def decide(
    ending: Ending,
    lasted: float = 0.0,
    failures: int = 0,
    *,
    known: bool = True,
    renews: bool = False,
    random: float = 0.5,
) -> Comeback:
    return comeback(
        ending, lasted=lasted, failures=failures, known=known, renews=renews, random=lambda: random
    )


@given(st.integers(1000, 4999), st.integers(0, 100), unit)
def test_codes_from_4500_on_are_final_and_no_others(
    code: int, failures: int, random: float
) -> None:
    assert decide(Ending(code), failures=failures, random=random).final == (code >= 4500)


@pytest.mark.parametrize("code", CloseCode)
def test_what_the_pod_calls_temporary_is_never_final(code: CloseCode) -> None:
    assert not (code.reconnect and decide(Ending(code)).final)


@given(st.integers(0, 2_000), unit)
def test_waits_are_below_a_bound_that_doubles(failures: int, random: float) -> None:
    decided = decide(Ending(), failures=failures, random=random)
    assert 0 <= decided.wait <= min(CAP, BASE * 2 ** min(failures, 50))
    assert decided.failures == failures + 1


@given(unit, st.integers(0, 60))
def test_all_of_the_wait_is_jitter(random: float, failures: int) -> None:
    bound = min(CAP, BASE * 2**failures)
    assert decide(Ending(), failures=failures, random=random).wait == random * bound


@given(st.floats(0, 1e6), unit)
def test_what_the_pod_asks_for_comes_before_the_jitter(asked: float, random: float) -> None:
    by_reason = decide(Ending(1012, f"retry_after={asked:.3f}"), random=random)
    by_header = decide(Ending(1006, "", 503, asked), random=random)
    least = min(round(asked, 3), ASKED_CAP)
    for decided in (by_reason, by_header):
        assert least - 1e-3 <= decided.wait <= least + BASE + 1e-3


@given(st.text(max_size=60))
def test_no_reason_makes_a_wait_that_is_none(reason: str) -> None:
    assert 0 <= decide(Ending(1012, reason)).wait <= ASKED_CAP + BASE


@given(st.integers(0, 100))
def test_a_connection_that_lasted_makes_good_for_the_failures_before_it(failures: int) -> None:
    assert decide(Ending(), LASTED, failures).failures == 1
    assert decide(Ending(), LASTED - 0.1, failures).failures == failures + 1


def test_an_expired_token_is_final_unless_there_comes_another_by_itself() -> None:
    assert decide(Ending(4500)).final
    assert not decide(Ending(4500), renews=True).final
    assert decide(Ending(4502), renews=True).final


@pytest.mark.parametrize(
    ("status", "known", "final"),
    [
        *((400, False, True), (403, False, True), (404, False, True), (426, False, True)),
        *((403, True, False), (404, True, False)),  # a proxy whose pods restart
        *((408, False, False), (429, False, False), (503, False, False), (500, False, False)),
        (302, False, False),
    ],
)
def test_a_refusal_of_http_is_final_for_who_was_never_let_in(
    status: int, known: bool, final: bool
) -> None:
    assert decide(Ending(1006, "", status), known=known).final == final
