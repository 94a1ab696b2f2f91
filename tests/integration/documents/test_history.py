"""The checker of histories finds each kind of fault, and none where there is none."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from support.history import Step, Verdict, Written, check, merged

FIRST, SECOND, LAST = (
    Step("a", "created", 1),
    Step("a", "updated", 2),
    Step("a", "deleted", 2),
)
WRITES = [Written(FIRST, 0, 1), Written(SECOND, 2, 3), Written(LAST, 4, 5)]
ALL = [FIRST, SECOND, LAST]


def test_a_faultless_history_has_nothing_wrong() -> None:
    assert check(WRITES, ALL) == Verdict()
    assert check([], []) == Verdict()


def test_what_was_not_heard_is_missing() -> None:
    assert check(WRITES, [FIRST, LAST]) == Verdict(missing=(SECOND,))


def test_what_was_heard_twice_is_a_duplicate_wherever_the_second_time_was() -> None:
    for heard in ([FIRST, FIRST, SECOND, LAST], [*ALL, FIRST]):
        assert check(WRITES, heard) == Verdict(duplicate=(FIRST,))


def test_what_nobody_wrote_is_invented() -> None:
    strange = Step("a", "updated", 7)
    assert check(WRITES, [*ALL, strange]) == Verdict(invented=(strange,))


def test_what_was_heard_too_early_is_out_of_order() -> None:
    assert check(WRITES, [SECOND, FIRST, LAST]) == Verdict(disordered=(SECOND,))
    assert check(WRITES, [LAST, FIRST, SECOND]) == Verdict(disordered=(LAST,))


def test_order_counts_across_documents_too() -> None:
    other = Step("b", "created", 1)
    writes = [*WRITES, Written(other, 10, 11)]
    assert check(writes, [other, *ALL]) == Verdict(disordered=(other,))


def test_writes_at_the_same_time_may_be_heard_in_either_order() -> None:
    one, other = Step("a", "created", 1), Step("b", "created", 1)
    writes = [Written(one, 0, 3), Written(other, 1, 2)]
    assert check(writes, [one, other]) == check(writes, [other, one]) == Verdict()


def test_what_was_never_answered_may_be_heard_once_or_not() -> None:
    unsure = Step("b", "created", 1)
    writes = [*WRITES, Written(unsure, 6)]
    assert check(writes, ALL) == check(writes, [*ALL, unsure]) == Verdict()
    assert check(writes, [*ALL, unsure, unsure]) == Verdict(duplicate=(unsure,))
    assert check(writes, [unsure, *ALL]) == Verdict(disordered=(unsure,))


def test_verdicts_of_several_listeners_add_up() -> None:
    whole = merged([check(WRITES, [FIRST, LAST]), check(WRITES, ALL), check(WRITES, [*ALL, LAST])])
    assert whole == Verdict(missing=(SECOND,), duplicate=(LAST,))


intervals = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=2, max_size=12)


@given(intervals, st.randoms(use_true_random=False))
def test_an_order_is_faulted_exactly_when_some_pair_is_the_wrong_way_round(
    times: list[tuple[int, int]], random: object
) -> None:
    writes = [
        Written(Step(str(n), "created", 1), began, began + took)
        for n, (began, took) in enumerate(times)
    ]
    heard = list(writes)
    random.shuffle(heard)  # type: ignore[attr-defined]
    wrong = any(
        later.answered < earlier.began
        for place, earlier in enumerate(heard)
        for later in heard[place + 1 :]
    )
    verdict = check(writes, [write.step for write in heard])
    assert bool(verdict.disordered) == wrong
    assert all(write.answered < math.inf for write in writes)
