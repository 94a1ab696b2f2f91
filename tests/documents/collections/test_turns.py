"""Turns that wait for each other."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from deployd.documents.collections.turns import Turns


@pytest.mark.parametrize(
    ("waits", "held", "wanted", "closes"),
    [
        ((), "a", "b", False),
        (("bc", "cd"), "a", "b", False),
        (("ba",), "a", "b", True),
        (("bc", "cd", "da"), "a", "b", True),
        (("bc", "cb"), "a", "b", False),
        (("ab",), "a", "b", False),
        (("ba",), "", "b", False),
        (("cb", "bd", "dc"), "c", "b", True),
    ],
)
def test_a_circle_is_seen_before_it_is_closed(
    waits: tuple[str, ...], held: str, wanted: str, *, closes: bool
) -> None:
    turns = Turns()
    with ExitStack() as stack:
        for wait in waits:
            stack.enter_context(turns.waiting(frozenset(wait[0]), wait[1]))
            stack.enter_context(turns.waiting(frozenset(wait[0]), wait[1]))
        assert turns.would_close_a_circle(frozenset(held), wanted) is closes
    assert not turns.would_close_a_circle(frozenset("a"), "b")
