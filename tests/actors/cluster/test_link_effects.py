"""What is done of what a link's state decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from attrs import evolve
from structlog.testing import capture_logs

from deployd.actors.cluster import (
    BreakerState,
    Degraded,
    Healed,
    Listeners,
    OutageCode,
    Settle,
    weight,
)
from deployd.actors.cluster.effects import perform
from deployd.actors.cluster.publication import Publication
from deployd.actors.cluster.state import Effect, LinkState, Settled, StillAway
from deployd.config import Broker
from deployd.transport import Event, Scope


class Told:
    """The pod's rooms and clients: they write down what they are told."""

    def __init__(self, done: list[object]) -> None:
        self.degraded: Callable[[Degraded], None] = done.append
        self.healed: Callable[[Healed], None] = done.append


def link(breaker: BreakerState) -> LinkState:
    state = LinkState("me", Broker(), 60.0, 1_000_000, 0.0, 0.0)
    state.breaker = evolve(state.breaker, state=breaker)
    return state


def publication(settle: Settle | None) -> Publication:
    event = Event("tea", "said", b"1", "id", 1, 0.0)
    return Publication(event, 0.0, weight("said", b"1"), settle)


def test_effects_are_done_in_their_order_and_who_waits_for_nothing_is_passed_over() -> None:
    done: list[object] = []
    outage = Degraded(OutageCode.CUT_OFF, 5.0, "why")
    waiting = [publication(lambda scope: done.append(scope)), publication(None)]
    effects: list[Effect] = [
        Settled(waiting, Scope.CLUSTER),
        outage,
        Settled(waiting[:1], Scope.LOCAL),
    ]
    with capture_logs():
        perform(effects, link(BreakerState.OPEN), cast("Listeners", Told(done)))
    assert done == [Scope.CLUSTER, outage, Scope.LOCAL]


def test_outages_are_remembered_as_they_are_told() -> None:
    state, outage = link(BreakerState.OPEN), Degraded(OutageCode.CUT_OFF, 5.0, "why")
    told = cast("Listeners", Told([]))
    with capture_logs():
        perform([outage, StillAway("another")], state, told)
        assert state.history.current is not None
        perform([Healed(5.0, 2.0, 1, 2, 3)], state, told)
    [past] = state.history.each()
    assert (past.at, past.until, past.reason, past.last_reason) == (5.0, 7.0, "why", "another")
    assert (past.lost, past.replayed, past.missed) == (1, 2, 3)


@pytest.mark.parametrize(
    ("effect", "line"),
    [
        (
            Degraded(OutageCode.CUT_OFF, 5.0, "why"),
            {
                "event": "switched to the memory broker: the other pods are out of reach",
                "log_level": "warning",
                "reason": "why",
                "state": "auth",
            },
        ),
        (
            StillAway("another"),
            {
                "event": "broker still away",
                "log_level": "info",
                "reason": "another",
                "state": "auth",
            },
        ),
        (
            Healed(5.0, 1.5, 1, 2, 3),
            {
                "event": "back on the broker",
                "log_level": "warning",
                "seconds": 1.5,
                "lost": 1,
                "replayed": 2,
                "missed": 3,
            },
        ),
        (
            Healed(5.0, 1.5, 0, 0, 0, OutageCode.STARTING),
            {
                "event": "reached the broker",
                "log_level": "info",
                "seconds": 1.5,
                "lost": 0,
                "replayed": 0,
                "missed": 0,
            },
        ),
    ],
)
def test_what_is_told_of_an_outage_is_written_down_too(
    effect: Effect, line: dict[str, object]
) -> None:
    with capture_logs() as lines:
        perform([effect], link(BreakerState.AUTH), cast("Listeners", Told([])))
    assert [{key: found[key] for key in line} for found in lines] == [line]
