"""What is answered where nobody on this pod could hear an emit."""

from __future__ import annotations

import pytest

from deployd.actors.rooms.replies import scope_of, settle_unheard
from deployd.transport import InDoubt, Outcome, Reach, Scope


class Asker:
    """Keeps what it is answered."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def begin(self) -> bool:
        return True

    def settle(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def refuse(self, problem: object) -> None:
        raise AssertionError(problem)

    def returned(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("outcome", "scope"),
    [
        (Scope.LOCAL, Scope.REJECTED),  # it has stayed here, where nobody is
        (Reach(Scope.LOCAL, 0, 0, 0), Scope.REJECTED),
        (InDoubt(), Scope.LOCAL),  # others may have it
        (Scope.CLUSTER, Scope.CLUSTER),
        (Scope.QUEUED, Scope.QUEUED),
    ],
)
def test_what_nobody_has_heard_is_rejected_and_what_is_in_doubt_is_not(
    outcome: Outcome, scope: Scope
) -> None:
    asker = Asker()
    settle_unheard(asker, outcome)
    assert [scope_of(one) for one in asker.outcomes] == [scope]
