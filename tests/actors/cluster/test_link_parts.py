"""The pure parts of a link, against tables and naive models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from deployd.actors.cluster import Breaker, BreakerState, Degraded, Healed, OutageCode
from deployd.actors.cluster import subscriptions as subscriptions_module
from deployd.actors.cluster.deduplicator import Deduplicator
from deployd.actors.cluster.outages import OutageHistory
from deployd.actors.cluster.packing import Packer
from deployd.actors.cluster.publication import Buffer, Publication, weight
from deployd.actors.cluster.sequences import Sequences
from deployd.actors.cluster.subscriptions import Subscriptions
from deployd.transport import Event
from deployd.transport.brokers import Envelope, unpack
from deployd.transport.brokers.contract import room_channel


def publication(
    number: int, room: str | None = "a", size: int = 10, born: float = 0.0, name: str = "said"
) -> Publication:
    data = b'"' + b"x" * (size - 2) + b'"'
    event = Event(room, name, data, f"id-{room}-{number}", number, 0.0, "me")
    return Publication(event, born, weight(name, data))


# Breaker -------------------------------------------------------------------------------------

CLOSED, OPEN, HALF, AUTH = (
    BreakerState.CLOSED,
    BreakerState.OPEN,
    BreakerState.HALF_OPEN,
    BreakerState.AUTH,
)


@pytest.mark.parametrize(
    ("moves", "state"),
    [
        ("", OPEN),
        ("a", HALF),
        ("ppp", OPEN),
        ("app", HALF),
        ("appp", CLOSED),
        ("apptappp", CLOSED),
        ("apptapp", HALF),
        ("appapp", HALF),
        ("apppt", OPEN),
        ("at", OPEN),
        ("ar", AUTH),
        ("arppp", AUTH),
        ("ara", HALF),
        ("apppr", AUTH),
        ("apppppp", CLOSED),
    ],
)
def test_a_breaker_moves_as_its_table_says(moves: str, state: BreakerState) -> None:
    breaker = Breaker()
    for move in moves:
        if move == "a":
            breaker = breaker.attempted(1.0)
        elif move == "p":
            breaker = breaker.proven(1.0)
        else:
            breaker = breaker.tripped(1.0, "why", refused=move == "r")
    assert breaker.state is state
    assert breaker.reason == ("" if state is CLOSED else breaker.reason)


def cut_off(at: float, why: str = "cut off") -> Degraded:
    return Degraded(OutageCode.CUT_OFF, at, why)


def test_an_outage_is_remembered_as_one_whatever_is_tried_in_it() -> None:
    history = OutageHistory()
    history.ended(Healed(90.0, 2.0, 0, 0, 0, code=OutageCode.STARTING))  # of which none was told
    assert history.to_json() == []
    history.began(cut_off(100.0), OPEN)
    for number in range(1000):
        history.still(f"refused {number}")
    [going_on] = history.to_json()
    history.ended(Healed(100.0, 40.0, 3, 2, 1))
    assert history.current is None
    [over] = history.to_json()
    assert isinstance(going_on, dict)
    assert over == {
        **going_on,
        "at": 100.0,
        "until": 140.0,
        "code": "cut_off",
        "state": "open",
        "reason": "cut off",
        "last_reason": "refused 999",
        "lost": 3,
        "replayed": 2,
        "missed": 1,
    }
    assert going_on["until"] is None


def test_pods_that_are_missing_are_an_outage_which_one_of_the_broker_ends() -> None:
    history = OutageHistory()
    for missing in (1, 3, 2):
        history.began(Degraded(OutageCode.PARTITIONED, 100.0, missing=missing), CLOSED)
    assert history.current is not None
    assert (history.current.at, history.current.missing) == (100.0, 3)
    history.began(cut_off(110.0), OPEN)
    assert [one.code for one in history.each()] == ["partitioned", "cut_off"]
    assert [one.until for one in history.each()] == [110.0, None]
    history.ended(Healed(110.0, 5.0, 0, 0, 0))
    history.began(Degraded(OutageCode.PARTITIONED, 112.0, missing=1), CLOSED)
    assert [one.until for one in history.each()] == [110.0, 115.0, None]


def test_of_a_link_that_flaps_the_last_outages_are_remembered() -> None:
    history = OutageHistory()
    for number in range(200):
        history.began(cut_off(float(number)), OPEN)
        history.ended(Healed(float(number), 0.5, 0, 0, 0))
    assert [one.at for one in history.each()] == [float(number) for number in range(150, 200)]


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 100.0
        self.in_a_row = 0
        self.closed_at = math.nan
        self.least = 0.25

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def attempt(self) -> None:
        if not self.breaker.closed:
            self.breaker = self.breaker.attempted(self.now)
            self.in_a_row = 0

    @rule()
    def prove(self) -> None:
        was = self.breaker
        self.breaker = was.proven(self.now)
        self.in_a_row += was.state is HALF
        if self.breaker.closed and not was.closed:
            assert self.in_a_row == 3
            self.closed_at = self.now

    @rule(refused=st.booleans())
    def trip(self, refused: bool) -> None:
        was = self.breaker
        self.breaker = was.tripped(self.now, "why", refused=refused)
        self.in_a_row = 0
        if was.closed:
            steady = self.now - self.closed_at >= 10
            self.least = 0.25 if steady else min(4.0, 2 * self.least)
            assert self.breaker.outage_since == self.now
        wait = self.breaker.wait(self.now)
        assert wait == pytest.approx(30.0 if refused else self.least)

    @invariant()
    def open_times_are_bounded(self) -> None:
        assert 0.25 <= self.breaker.open_for <= 4.0
        assert self.breaker.wait(self.now) >= 0
        assert self.breaker.wait(self.now + 31) == 0


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

# Subscriptions ------------------------------------------------------------------------------------

CHANNELS = st.sampled_from(["room.a", "room.b", "room.c"])


class SubscriptionsMachine(RuleBasedStateMachine):
    """The link's loop is one rule, so that the model needs only: who is wanted, since when not."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = Subscriptions(5.0)
        self.now = 0.0
        self.wanted: set[str] = set()
        self.left: dict[str, float] = {}
        self.broker: set[str] = set()

    @rule(channel=CHANNELS)
    def want(self, channel: str) -> None:
        self.subscriptions.want(channel, channel)
        self.wanted.add(channel)
        self.left.pop(channel, None)

    @rule(channel=CHANNELS)
    def unwant(self, channel: str) -> None:
        self.subscriptions.unwant(channel, self.now)
        if channel in self.wanted:
            self.wanted.discard(channel)
            self.left[channel] = self.now

    @rule(seconds=st.floats(0, 4))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(channel=CHANNELS, meanwhile=st.sampled_from(["want", "unwant", "nothing"]))
    def link_turns(self, channel: str, meanwhile: str) -> None:
        missing = self.subscriptions.missing(100, self.now)
        if meanwhile == "want":
            self.want(channel)
        elif meanwhile == "unwant":
            self.unwant(channel)
        self.broker |= set(missing)
        self.subscriptions.subscribed(missing)
        surplus = self.subscriptions.surplus(self.now, 100)
        assert not set(surplus) & self.wanted
        self.broker -= set(surplus)

    @rule()
    def reconnect(self) -> None:
        self.broker.clear()
        self.subscriptions.begin_anew()

    @invariant()
    def what_is_wanted_is_heard_or_missing(self) -> None:
        missing = set(self.subscriptions.missing(100, self.now))
        assert missing == self.wanted - self.broker
        assert {
            c for c in ("room.a", "room.b", "room.c") if self.subscriptions.hears(c)
        } == self.broker
        for channel in self.broker - self.wanted:
            assert channel in self.left  # it is on its way out
        assert self.subscriptions.next_due() >= min(
            (t + 5.0 for t in self.left.values()), default=0
        )


TestSubscriptionsMachine = SubscriptionsMachine.TestCase
TestSubscriptionsMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_room_that_comes_back_within_the_linger_costs_nothing() -> None:
    subscriptions = Subscriptions(5.0)
    subscriptions.want("room.a", "a")
    subscriptions.subscribed(subscriptions.missing(9, 0.0))
    subscriptions.unwant("room.a", 10.0)
    assert subscriptions.surplus(14.9, 9) == []
    subscriptions.want("room.a", "a")
    assert (
        subscriptions.missing(9, 0.0),
        subscriptions.surplus(99.0, 9),
        subscriptions.next_due(),
    ) == (
        [],
        [],
        math.inf,
    )


def test_beyond_the_bound_the_oldest_channels_are_let_go_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriptions_module, "MOST_LINGERING", 3)
    subscriptions = Subscriptions(5.0)
    for n in range(5):
        subscriptions.want(f"room.{n}", str(n))
    subscriptions.subscribed(subscriptions.missing(9, 0.0))
    for n in range(5):
        subscriptions.unwant(f"room.{n}", 0.0)
    assert subscriptions.next_due() <= 0.0
    assert subscriptions.surplus(0.0, 9) == ["room.0", "room.1"]
    assert subscriptions.next_due() == 5.0


# Deduplicator -----------------------------------------------------------------------------------


def envelope(numbers: Sequence[int], origin: str = "p", room: str | None = "a") -> Envelope:
    events = [Event(room, "said", b"1", f"{origin}-{room}-{n}", n, 0.0, origin) for n in numbers]
    return Envelope(origin, 1, room, events)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("pq"),
            st.sampled_from(["a", None]),
            st.lists(st.integers(1, 30), min_size=1, max_size=5),
        ),
        max_size=20,
    )
)
@settings(max_examples=100, deadline=None)
def test_nothing_comes_out_twice_and_gaps_are_counted(
    arrivals: list[tuple[str, str | None, list[int]]],
) -> None:
    deduplicator, sequences = Deduplicator("me"), Sequences()
    out: list[str] = []
    last: dict[tuple[str, str | None], int] = {}
    missed = total = 0
    for origin, room, numbers in arrivals:
        message = envelope(numbers, origin, room)
        fresh = deduplicator.admit(message)
        if fresh:
            sequences.follow(message, fresh, 0.0)
        total += len(numbers)
        for event in fresh:
            out.append(event.id)
            before = last.setdefault((origin, room), event.sequence - 1)
            missed += max(0, event.sequence - before - 1)
            last[origin, room] = max(before, event.sequence)
    assert len(out) == len(set(out))
    assert deduplicator.duplicates == total - len(out)
    assert sequences.missed == missed


def test_what_a_pod_said_itself_is_not_for_it() -> None:
    deduplicator = Deduplicator("p")
    assert deduplicator.admit(envelope([1, 2])) == []
    assert (deduplicator.own, deduplicator.duplicates) == (2, 0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from deployd.actors.cluster import deduplicator as module
    from deployd.actors.cluster import sequences as followed

    monkeypatch.setattr(module, "REMEMBERED_EVENTS", 10)
    monkeypatch.setattr(followed, "REMEMBERED_ROOMS", 3)
    monkeypatch.setattr(followed, "REMEMBERED_ORIGINS", 2)
    deduplicator, sequences = Deduplicator("me"), Sequences()
    for n in range(1, 50):
        message = envelope([n], origin=f"o{n % 7}", room=f"r{n % 5}")
        sequences.follow(message, deduplicator.admit(message), 0.0)
    assert len(deduplicator._young) + len(deduplicator._old) <= 2 * 10
    for n in range(40, 50):
        assert not deduplicator.admit(envelope([n], origin=f"o{n % 7}", room=f"r{n % 5}"))
    assert deduplicator.duplicates == 10
    assert len(sequences._orders) == 3
    assert all(len(origins) <= 2 for origins in sequences._orders.values())


# Buffer --------------------------------------------------------------------------------------


def test_a_full_buffer_turns_the_newest_away() -> None:
    by_count = Buffer(2, 10_000, 10.0)
    assert [by_count.add(publication(n)) for n in range(3)] == [True, True, False]
    by_bytes = Buffer(100, 2 * publication(0).nbytes, 10.0)
    assert [by_bytes.add(publication(n)) for n in range(3)] == [True, True, False]
    assert by_bytes.nbytes == 2 * publication(0).nbytes
    assert [p.event.sequence for p in by_bytes.take(9, 10_000)] == [0, 1]
    assert by_bytes.nbytes == 0


def test_what_waited_too_long_is_taken_out() -> None:
    buffer = Buffer(9, 10_000, 10.0)
    for n in range(4):
        assert buffer.add(publication(n, born=float(n)))
    assert [p.event.sequence for p in buffer.expire(11.5)] == [0, 1]
    assert len(buffer) == 2


@given(st.lists(st.one_of(st.just("add"), st.integers(1, 4), st.just("back")), max_size=40))
def test_a_buffer_keeps_the_order_whatever_is_taken_and_put_back(moves: list[str | int]) -> None:
    buffer, model, taken, n = Buffer(1000, 10**9, 10.0), list[int](), list[Publication](), 0
    for move in moves:
        if move == "add":
            buffer.add(publication(n))
            model.append(n)
            n += 1
        elif move == "back":
            buffer.put_back(taken)
            model[:0] = [p.event.sequence for p in taken]
            taken = []
        elif isinstance(move, int):
            taken = buffer.take(move, 10**9)
            assert [p.event.sequence for p in taken] == model[:move]
            del model[:move]
        assert len(buffer) == len(model)
        assert buffer.nbytes == len(model) * publication(0).nbytes


def test_one_publication_is_taken_however_large_it_is() -> None:
    buffer = Buffer(9, 10**9, 10.0)
    for n in range(3):
        buffer.add(publication(n, size=5000))
    assert len(buffer.take(9, 10)) == 1


# Packing -------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None, "ü" * 40]), st.integers(2, 3000)), max_size=60
    ),
    st.integers(4000, 12_000),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_messages_keep_the_limit_and_each_rooms_order(
    said: list[tuple[str | None, int]], limit: int, joined: bool
) -> None:
    packer = Packer("9f3c21aa", 1764072000123, limit, joined)
    publications = [publication(n, room, size) for n, (room, size) in enumerate(said, start=1)]
    fit = [p for p in publications if packer.fits(p)]
    heard: dict[str | None, list[int]] = {}
    for (channel, payload), _ in packer.pack(fit):
        assert len(payload) <= limit
        message = unpack(payload)
        assert isinstance(message, Envelope)
        assert channel == ("all.pods" if message.room is None else room_channel(message.room))
        assert joined or len(message.events) == 1
        heard.setdefault(message.room, []).extend(event.sequence for event in message.events)
    for room in {p.event.room for p in fit}:
        assert heard[room] == [p.event.sequence for p in fit if p.event.room == room]


@pytest.mark.parametrize("character", ["x", "ü", "漢", "𝒳"])
@pytest.mark.parametrize("length", [256, 1024])
def test_an_event_that_fits_is_within_the_limit_whatever_its_names(
    character: str, length: int
) -> None:
    packer = Packer("9f3c21aa", 1764072000123, 16_384)
    for size in range(2, 16_384, 64):
        one = publication(2**53, character * length, size, name=character * length)
        if packer.fits(one):
            [((_, payload), _)] = packer.pack([one], replayed=True)
            assert len(payload) <= 16_384
