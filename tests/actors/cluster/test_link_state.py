"""What a link decides, event by event, with no clock and no broker."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deployd.actors.cluster import BreakerState, Degraded, Healed, OutageCode
from deployd.actors.cluster.publication import Publication
from deployd.actors.cluster.state import Effect, LinkState, Settled, StillAway
from deployd.config import Broker, FailurePolicy
from deployd.transport import Event, Scope
from deployd.transport.brokers import Beat

SETTINGS = Broker(
    type="redis",
    buffer_messages=4,
    policies={"kept-*": FailurePolicy.BUFFER, "strict-*": FailurePolicy.REJECT},
)
TTL, LARGEST = 60.0, 2000
ROOMS = ["kept-a", "strict-b", "plain", None]


def made() -> LinkState:
    return LinkState("me", SETTINGS, TTL, LARGEST, 100.0, 1100.0)


def say(state: LinkState, room: str | None = "plain", now: float = 100.0) -> Publication:
    return state.number(Event(room, "said", b"1", "id", 0, 1000.0 + now), None, now)


def close(state: LinkState, now: float = 100.0, round_trip: float = 0.0) -> None:
    state.attempted(now)
    for _ in range(3):
        state.proven(now, 1000.0 + now, round_trip)


def well(now: float = 100.0) -> LinkState:
    """A link that carries events, and whose pod has told all that it does."""
    state = made()
    close(state, now)
    state.healed(1000.0 + now, 0)
    return state


def scopes(effects: Sequence[Effect]) -> list[Scope]:
    return [e.scope for e in effects if isinstance(e, Settled) for _ in e.publications]


def told(effects: Sequence[Effect]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Settled)]


# What is told of an outage -------------------------------------------------------------------


def test_a_pod_that_was_never_joined_says_so_until_it_is() -> None:
    state = made()
    assert state.degraded is not None
    assert (state.degraded.code, state.degraded.since) == (OutageCode.STARTING, 1100.0)
    close(state, 103.0)
    [healed] = state.healed(1103.5, 0)
    assert healed == Healed(1100.0, 3.5, 0, 0, 0, OutageCode.STARTING)
    assert state.degraded is None


def test_what_is_still_missing_when_an_outage_ends_is_told_anew() -> None:
    state = well(100.0)
    for number in (1, 2):
        state.peers.note(Beat("other", 1, "here", number), 100.0, 1100.0)
    state.tripped(101.0, 1101.0, "connection reset")
    close(state, 102.0)
    [missing] = state.peers.look(110.0, 1110.0)  # while what waited is still held for it
    assert isinstance(missing, Degraded)
    healed, anew = state.healed(1111.0, 0)
    assert isinstance(healed, Healed)
    assert healed.code is OutageCode.CUT_OFF
    assert anew == missing


def test_the_first_failure_of_a_pod_that_was_never_joined_is_told_as_an_outage() -> None:
    state = made()
    state.attempted(100.0)
    effects = state.tripped(101.0, 1101.0, "connection refused")
    assert effects == [Degraded(OutageCode.CUT_OFF, 1100.0, "connection refused")]
    assert state.degraded == effects[0]


def test_an_outage_is_told_once_and_other_reasons_for_it_are_only_written_down() -> None:
    state = well()
    [outage] = state.tripped(110.0, 1110.0, "reset")
    assert outage == Degraded(OutageCode.CUT_OFF, 1100.0, "reset")
    state.attempted(111.0)
    assert state.tripped(112.0, 1112.0, "reset") == []
    state.attempted(113.0)
    assert state.tripped(114.0, 1114.0, "refused") == [StillAway("refused")]
    assert state.degraded == outage


def test_a_link_that_closed_and_had_not_healed_is_still_in_the_same_outage() -> None:
    state = well()
    [outage] = state.tripped(110.0, 1110.0, "reset")
    close(state, 111.0)
    assert state.tripped(112.0, 1112.0, "reset again") == [StillAway("reset again")]
    assert state.degraded == outage
    assert state.counters.trips == 2


def test_an_outage_began_when_the_last_canary_that_came_back_was_sent() -> None:
    state = well()
    state.proven(120.0, 1120.0, 0.5)
    [outage] = state.tripped(130.0, 1130.0, "reset")
    assert isinstance(outage, Degraded)
    assert outage.since == 1119.5
    assert state.seconds_deaf(130.0) == 10.5


def test_nobody_is_deaf_while_the_breaker_is_closed() -> None:
    state = well()
    assert state.seconds_deaf(500.0) == 0.0


def test_a_healing_says_what_was_lost_replayed_and_missed_since_the_outage_began() -> None:
    state = well()
    state.counters.cut_off, state.counters.replayed = 100, 50  # of outages before
    state.tripped(110.0, 1110.0, "reset", missed=7)
    for room in ("kept-a", "plain", "kept-a"):
        state.admit(say(state, room, 110.0))
    close(state, 115.0)
    state.replay_confirmed(state.replay(115.0, 9, 10**6), [])
    assert state.replay(115.0, 9, 10**6) == []
    [healed] = state.healed(1116.0, 9)
    assert healed == Healed(1100.0, 16.0, lost=1, replayed=2, missed=2)


def test_a_clock_that_was_set_back_makes_no_outage_shorter_than_nothing() -> None:
    state = made()
    close(state)
    [healed] = state.healed(1000.0, 0)
    assert isinstance(healed, Healed)
    assert healed.seconds == 0.0


def test_only_the_first_healing_tells_anything() -> None:
    state = well()
    assert state.healed(1200.0, 0) == []


# Healing -------------------------------------------------------------------------------------


def test_what_waits_is_not_overtaken_and_the_road_opens_when_nothing_does() -> None:
    state = well()
    state.tripped(110.0, 1110.0, "reset")
    assert state.admit(say(state, "kept-a", 110.0)) is Scope.QUEUED
    close(state, 111.0)
    assert state.admit(say(state, "kept-a", 111.0)) is Scope.QUEUED  # behind the one that waits
    assert state.admit(say(state, "plain", 111.0)) is None
    assert state.healed(1111.0, 0) == []  # as long as something waits
    waited = state.replay(111.0, 9, 10**6)
    assert [one.event.sequence for one in waited] == [1, 2]
    assert state.healed(1111.0, 0) == []  # or is on its way
    assert state.admit(say(state, "kept-a", 111.0)) is Scope.QUEUED
    state.replay_confirmed(waited, [])
    state.replay_confirmed(state.replay(111.0, 9, 10**6), [])
    assert len(told(state.healed(1112.0, 0))) == 1
    assert state.admit(say(state, "kept-a", 112.0)) is None


def test_a_link_that_closes_with_nothing_waiting_lets_events_go_at_once() -> None:
    state = made()
    close(state)
    assert state.admit(say(state, "kept-a")) is None


def test_a_link_that_is_not_closed_does_not_heal() -> None:
    state = made()
    state.attempted(100.0)
    assert state.healed(1100.0, 0) == []
    assert state.admit(say(state)) is Scope.LOCAL


def test_peers_that_were_known_are_awaited_when_the_link_closes() -> None:
    state = well()
    state.peers.note(Beat("other", 1), 100.0, 1100.0)
    state.proven(101.0, 1101.0, 0.0)
    waiting = [state.peers.complete]  # it was closed already
    state.tripped(110.0, 1110.0, "reset")
    close(state, 111.0)
    assert [*waiting, state.peers.complete] == [True, False]


def test_what_the_broker_takes_where_nobody_is_heard_may_be_heard_all_the_same() -> None:
    state = well()
    for number in (1, 2):
        state.peers.note(Beat("other", 1, number=number), 100.0, 1100.0)
    batch = [say(state)]
    state.taken(batch)
    assert state.confirmed(batch, []) == [Settled(batch, Scope.CLUSTER)]
    state.peers.look(103.0, 1103.0)
    state.taken(batch)
    assert state.confirmed(batch, []) == [Settled(batch, Scope.LOCAL, in_doubt=True)]


# How a connection ends -----------------------------------------------------------------------


def test_what_was_in_flight_or_waited_is_settled_by_policy_and_in_order() -> None:
    state = well()
    batch = [say(state, room) for room in ("plain", "kept-a", "strict-b")]
    state.taken(batch)
    behind = [say(state, room) for room in ("kept-a", "plain")]
    effects = state.tripped(110.0, 1110.0, "reset", waiting=behind)
    assert [e.publications for e in effects if isinstance(e, Settled)] == [
        (one,) for one in (*batch, *behind)
    ]
    local, queued = Scope.LOCAL, Scope.QUEUED
    assert scopes(effects) == [local, queued, local, queued, local]
    # What was with the broker may have got there; what waited cannot, nor what will be said again.
    doubts = [e.in_doubt for e in effects if isinstance(e, Settled)]
    assert doubts == [True, False, True, False, False]
    assert isinstance(effects[0], Degraded)  # before anything is settled
    assert (state.counters.cut_off, state.counters.buffered, len(state.buffer)) == (3, 2, 2)
    assert (state.in_flight, state.replaying) == ([], [])


def test_what_was_being_replayed_keeps_its_place_and_is_answered_no_second_time() -> None:
    state = well()
    state.tripped(110.0, 1110.0, "reset")
    for _ in range(3):
        state.admit(say(state, "kept-a", 110.0))
    close(state, 111.0)
    assert [one.event.sequence for one in state.replay(111.0, 2, 10**6)] == [1, 2]
    assert scopes(state.tripped(112.0, 1112.0, "reset")) == []
    close(state, 113.0)
    assert [one.event.sequence for one in state.replay(113.0, 9, 10**6)] == [1, 2, 3]


def test_a_link_that_is_stopped_tells_nothing_and_settles_everything() -> None:
    state = well()
    batch = [say(state), say(state, "kept-a")]
    state.taken(batch[:1])
    effects = state.stopped(110.0, batch[1:])
    assert told(effects) == []
    assert scopes(effects) == [Scope.LOCAL, Scope.QUEUED]
    assert (state.breaker.state, state.breaker.reason) == (
        BreakerState.OPEN,
        "the link has stopped",
    )
    assert state.counters.trips == 0
    assert state.admit(say(state)) is Scope.LOCAL


def test_a_link_that_is_stopped_while_it_is_open_keeps_the_reason() -> None:
    state = made()
    state.attempted(100.0)
    state.tripped(101.0, 1101.0, "connection refused")
    state.stopped(102.0)
    assert state.breaker.reason == "connection refused"


def test_a_refusal_is_not_tried_again_soon() -> None:
    state = made()
    state.attempted(100.0)
    state.tripped(101.0, 1101.0, "no such user", refused=True)
    assert (state.breaker.state, state.breaker.wait(101.0)) == (BreakerState.AUTH, 30.0)


def test_the_first_try_is_over_when_it_worked_and_when_it_did_not() -> None:
    works, fails = made(), made()
    assert (works.tried, fails.tried) == (False, False)
    close(works)
    fails.attempted(100.0)
    fails.tripped(101.0, 1101.0, "refused")
    assert (works.tried, fails.tried) == (True, True)
    assert (works.counters.connects, fails.counters.connects) == (1, 0)


def test_when_there_will_be_no_other_connection_what_waits_is_lost_and_nothing_more_is_kept() -> (
    None
):
    state = made()
    for _ in range(3):
        assert state.admit(say(state, "kept-a")) is Scope.QUEUED
    state.lost(len(state.ended()))
    assert state.admit(say(state, "kept-a")) is Scope.LOCAL
    assert (state.counters.cut_off, len(state.buffer)) == (4, 0)


# What the broker takes -----------------------------------------------------------------------


def test_what_the_broker_took_is_confirmed_and_what_it_never_will_stays_on_this_pod() -> None:
    state = well()
    batch = [say(state) for _ in range(3)]
    state.taken(batch)
    effects = state.confirmed(batch[:2], batch[2:])
    assert effects == [Settled(batch[2:], Scope.LOCAL), Settled(batch[:2], Scope.CLUSTER)]
    assert (state.counters.published, state.counters.too_large) == (2, 1)
    assert state.in_flight == []
    assert scopes(state.tripped(110.0, 1110.0, "reset")) == []  # nothing of it is in doubt


def test_who_said_what_was_replayed_was_told_that_it_waits_and_is_told_no_more() -> None:
    state = made()
    for _ in range(3):
        state.admit(say(state, "kept-a"))
    close(state)
    waited = state.replay(100.0, 9, 10**6)
    state.replay_confirmed(waited[:2], waited[2:])
    counters = state.counters
    assert (counters.published, counters.replayed, counters.too_large) == (2, 2, 1)
    assert state.replaying == []
    assert scopes(state.tripped(110.0, 1110.0, "reset")) == []


# What a room is told -------------------------------------------------------------------------


@pytest.mark.parametrize("open_road", [False, True])
@pytest.mark.parametrize(
    ("room", "away"),
    [
        ("plain", (None, Scope.LOCAL, Scope.LOCAL)),
        ("kept-a", (None, Scope.QUEUED, Scope.QUEUED)),
        ("strict-b", ("cut_off", Scope.LOCAL, Scope.LOCAL)),
        (None, (None, Scope.LOCAL, Scope.LOCAL)),
    ],
)
def test_an_emit_is_refused_foretold_and_admitted_by_the_policy_of_its_room(
    room: str | None, away: tuple[str | None, Scope, Scope], open_road: bool
) -> None:
    state = well() if open_road else made()
    problem = state.refusal(room, 10)
    found = (problem and problem.code, state.outlook(room), state.admit(say(state, room)))
    assert found == ((None, Scope.QUEUED, None) if open_road else away)


def test_what_no_message_or_no_client_takes_is_refused_and_counted() -> None:
    state = well()
    assert state.limit == math.inf
    assert state.refusal("plain", LARGEST - 256) is None
    problem = state.refusal("plain", LARGEST - 255)
    assert problem is not None
    assert problem.code == "too_large"
    data = b"1" * LARGEST
    large = state.number(Event("plain", "said", data, "id", 0, 1100.0), None, 100.0)
    assert state.admit(large) is Scope.LOCAL
    state.limit = 0
    assert state.admit(say(state)) is Scope.LOCAL
    assert state.counters.too_large == 2


def test_what_waited_too_long_is_lost_before_more_is_kept_or_replayed() -> None:
    state = made()
    for _ in range(4):
        assert state.admit(say(state, "kept-a", 100.0)) is Scope.QUEUED
    assert state.admit(say(state, "kept-a", 100.0)) is Scope.LOCAL  # it is full
    assert state.admit(say(state, "kept-a", 161.0)) is Scope.QUEUED
    assert (state.counters.overflowed, state.counters.expired) == (1, 4)
    assert state.replay(222.0, 9, 10**6) == []
    assert state.counters.expired == 5


# Whatever happens ----------------------------------------------------------------------------

FITS = st.sampled_from([None, 1, 9, 9])
"""How many of a batch are small enough for the broker; None while it has not answered."""
SAID = st.tuples(st.sampled_from(ROOMS), st.sampled_from([1, 1, 1, LARGEST]))


class LinkMachine(RuleBasedStateMachine):
    """The outbox and the broker are the model; whatever becomes of an event is counted once."""

    def __init__(self) -> None:
        super().__init__()
        self.state = made()
        self.now = 100.0
        self.outbox: list[Publication] = []
        self.said: list[Publication] = []
        self.outcomes: dict[int, list[Scope]] = {}
        self.last: dict[str | None, int] = {}
        self.never_taken_late = self.left_at_the_end = 0
        self.outage: OutageCode | None = OutageCode.STARTING
        self.ended = False

    @property
    def wall(self) -> float:
        return 1000.0 + self.now

    @property
    def closed(self) -> bool:
        return self.state.breaker.closed

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Settled):
                for publication in effect.publications:
                    self.outcomes[id(publication)].append(effect.scope)
            elif isinstance(effect, Degraded):
                assert self.outage is not OutageCode.CUT_OFF
                self.outage = effect.code
            elif isinstance(effect, Healed):
                assert self.outage is effect.code
                assert not self.state.buffer
                self.outage = None
            else:
                assert self.outage is OutageCode.CUT_OFF

    def go(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            event = publication.event
            assert event.sequence > self.last.get(event.room, 0)
            self.last[event.room] = event.sequence

    @initialize(joined=st.sampled_from([False, True, True]))
    def most_pods_are_joined(self, joined: bool) -> None:
        if joined:
            close(self.state, self.now)
            self.perform(self.state.healed(self.wall, 0))

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(said=st.lists(SAID, min_size=1, max_size=5), taken=st.booleans(), fits=FITS)
    def rooms_speak(
        self, said: list[tuple[str | None, int]], taken: bool, fits: int | None
    ) -> None:
        for room, size in said:
            self.speak(room, size)
        if taken and self.closed:
            self.the_link_takes_some(len(self.outbox), fits)

    def speak(self, room: str | None, size: int) -> None:
        publication = self.state.number(
            Event(room, "said", b"1" * size, "id", 0, self.wall), None, self.now
        )
        self.said.append(publication)
        outcome = self.state.admit(publication)
        if outcome is None and len(self.outbox) < 3:
            self.outbox.append(publication)
            self.outcomes[id(publication)] = []
        else:
            scope = self.state.overflowed() if outcome is None else outcome
            self.outcomes[id(publication)] = [scope]

    @rule()
    def a_name_is_spoken_that_none_may_have(self) -> None:
        self.said.append(say(self.state, "plain", self.now))
        self.state.unspeakable()
        self.outcomes[id(self.said[-1])] = [Scope.LOCAL]

    @precondition(lambda self: not self.closed and not self.ended)
    @rule()
    def a_connection_is_tried(self) -> None:
        self.state.attempted(self.now)

    @precondition(lambda self: not self.ended)
    @rule()
    def a_canary_comes_back(self) -> None:
        self.state.proven(self.now, self.wall, 0.01)

    @precondition(lambda self: not self.closed and not self.ended)
    @rule(count=st.integers(0, 3), fits=FITS)
    def a_connection_works(self, count: int, fits: int | None) -> None:
        close(self.state, self.now)
        assert self.closed
        if count:
            self.some_are_replayed(count, fits)

    @precondition(lambda self: self.closed and self.outbox)
    @rule(count=st.integers(1, 3), fits=FITS)
    def the_link_takes_some(self, count: int, fits: int | None) -> None:
        self.state.taken(self.outbox[:count])
        del self.outbox[:count]
        self.the_broker_answers(fits)

    @precondition(lambda self: self.state.in_flight)
    @rule(fits=FITS)
    def the_broker_answers(self, fits: int | None) -> None:
        if fits is not None:
            batch = self.state.in_flight
            self.go(batch[:fits])
            self.perform(self.state.confirmed(batch[:fits], batch[fits:]))

    @precondition(lambda self: self.closed and self.state.buffer and not self.state.replaying)
    @rule(count=st.integers(1, 3), fits=FITS)
    def some_are_replayed(self, count: int, fits: int | None) -> None:
        replayed = self.state.replay(self.now, count, 10**6)
        assert replayed or not self.state.buffer
        self.the_broker_answers_the_replay(fits)

    @precondition(lambda self: self.state.replaying)
    @rule(fits=FITS)
    def the_broker_answers_the_replay(self, fits: int | None) -> None:
        if fits is not None:
            batch = list(self.state.replaying)
            self.go(batch[:fits])
            self.state.replay_confirmed(batch[:fits], batch[fits:])
            self.never_taken_late += len(batch[fits:])

    @precondition(lambda self: self.closed)
    @rule()
    def it_heals_when_nothing_waits(self) -> None:
        waiting = len(self.state.buffer) + len(self.state.replaying)
        self.perform(self.state.healed(self.wall, 0))
        assert waiting or self.state.degraded is None

    @precondition(lambda self: not self.ended)
    @rule(how=st.sampled_from(["reset", "hangs", "refused", "stopped"]))
    def it_ends(self, how: str) -> None:
        waiting, self.outbox = self.outbox, []
        if how == "stopped":
            effects = self.state.stopped(self.now, waiting)
            assert told(effects) == []
        else:
            effects = self.state.tripped(
                self.now, self.wall, how, refused=how == "refused", waiting=waiting
            )
        self.perform(effects)
        self.nothing_is_under_way()

    @precondition(lambda self: not self.ended and not self.closed)
    @rule(dice=st.integers(1, 6))
    def it_ends_for_good(self, dice: int) -> None:
        if dice == 6:
            self.it_ends("stopped")
            self.ended = True
            self.left_at_the_end = len(self.state.ended())
            self.state.lost(self.left_at_the_end)
            assert not self.state.buffer

    def nothing_is_under_way(self) -> None:
        assert not self.closed
        assert not self.state.in_flight
        assert not self.state.replaying

    @invariant()
    def every_event_is_accounted_for_once(self) -> None:
        state, counters = self.state, self.state.counters
        waiting = len(self.outbox) + len(state.in_flight) + len(state.replaying)
        known = counters.published + counters.lost + waiting + len(state.buffer)
        assert known == len(self.said)

    @invariant()
    def who_waits_for_an_event_hears_of_it_once(self) -> None:
        under_way = {id(one) for one in (*self.outbox, *self.state.in_flight)}
        for one, outcomes in self.outcomes.items():
            assert len(outcomes) == (0 if one in under_way else 1)

    @invariant()
    def what_is_said_of_events_is_what_is_counted(self) -> None:
        counters = self.state.counters
        found = Counter(scope for outcomes in self.outcomes.values() for scope in outcomes)
        assert found[Scope.CLUSTER] == counters.published - counters.replayed
        assert found[Scope.QUEUED] == counters.buffered
        late = counters.expired + self.never_taken_late + self.left_at_the_end
        assert found[Scope.LOCAL] == counters.lost - late

    @invariant()
    def who_comes_now_is_told_what_all_were_told(self) -> None:
        degraded = self.state.degraded
        assert (None if degraded is None else degraded.code) is self.outage


TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
