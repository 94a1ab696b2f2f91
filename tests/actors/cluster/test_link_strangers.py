"""Beats that no pod of this cluster says: made up, forged, old, of the future, far too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pytest
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.actors.cluster import Degraded
from deployd.actors.cluster.counters import Counters
from deployd.actors.cluster.deduplicator import Deduplicator
from deployd.actors.cluster.inbound import Inbound
from deployd.actors.cluster.membership import MOST_KNOWN, Peers
from deployd.actors.cluster.names import PodName
from deployd.actors.cluster.pace import interval
from deployd.actors.cluster.peer import LONGEST, PROVEN, SHORTEST
from deployd.actors.cluster.sequences import Sequences
from deployd.actors.cluster.witnesses import MOST_WITNESSES, witnesses
from deployd.transport import EnvelopeError
from deployd.transport.brokers import Beat, Miss, beat, unpack
from deployd.transport.brokers.contract import EVERYONE
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods

REAL = {"ann": 1000, "bob": 2000}
"""Real pods, and when they began."""
LARGEST = 100_000
FAR = 2**53 - 1
PLAIN: dict[str, Any] = {"n": 1, "i": 1.0, "t": 1, "name": "", "ver": "", "at": ""} | {
    "c": 0,
    "r": 0,
    "l": 0,
}


def hail(pod: str, number: int = 1, epoch: int = 1, word: str = "here", **more: Any) -> Beat:
    return Beat(pod, epoch, word, number, **more)


def note(peers: Peers, at: float, *beats: Beat) -> None:
    for one in beats:
        peers.note(one, at, 1000.0 + at)


def two_of(peers: Peers, pod: str, at: float = 0.0, **more: Any) -> None:
    note(peers, at, hail(pod, 1, **more), hail(pod, 2, **more))


# Under a real pod's id -------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [0, 6, FAR])
@pytest.mark.parametrize("word", ["hello", "here", "bye"])
def test_another_epoch_under_the_id_of_a_pod_that_is_heard_changes_nothing(
    epoch: int, word: str
) -> None:
    peers = Peers("me")
    two_of(peers, "ann", epoch=5)
    before = peers.known["ann"].beat
    note(peers, 1.0, hail("ann", 9, epoch, word, interval=60.0, name="eve"))
    assert peers.known["ann"].beat == before
    assert peers.take_owed() == []
    note(peers, 2.0, hail("ann", 3, 5))
    assert peers.look(4.4, 1004.4) == []
    assert peers.known["ann"].beat.number == 3


def test_who_came_first_under_a_false_epoch_loses_the_id_when_it_falls_silent() -> None:
    peers = Peers("me")
    note(peers, 0.0, hail("ann", 1, FAR))
    for at in (1.0, 2.0):
        note(peers, at, hail("ann", int(at), 5))
    assert peers.known["ann"].beat.epoch == FAR
    news = peers.note(hail("ann", 3, 5), 3.0, 1003.0)
    assert news is not None
    assert news.after == 0  # nothing of what it told is known
    assert peers.known["ann"].beat.epoch == 5


def test_a_goodbye_that_somebody_else_says_is_over_with_the_next_beat() -> None:
    peers = Peers("me")
    two_of(peers, "ann", epoch=5)
    note(peers, 0.5, hail("ann", 2, 5, "bye"))
    news = peers.note(hail("ann", 3, 5), 1.0, 1001.0)
    assert news is not None
    assert (news.came, news.after) == (True, 0)  # it is asked for all that it has said


def test_a_number_that_was_made_up_hides_the_beats_that_are_missed_for_one_beat_only() -> None:
    peers = Peers("me")
    two_of(peers, "ann", epoch=5)
    note(peers, 0.5, hail("ann", FAR, 5, after=0))
    note(peers, 1.0, hail("ann", 3, 5))
    news = peers.note(hail("ann", 6, 5), 2.0, 1002.0)
    assert news is not None
    assert news.after == 3


# How often it says that it beats ---------------------------------------------------------------


def test_a_pod_that_beats_at_all_times_is_not_missing_between_two_beats() -> None:
    peers = Peers("me")
    two_of(peers, "ann", interval=0.0)
    assert peers.look(2.4, 1002.4) == []
    assert len(peers.look(2.6, 1002.6)) == 1


def test_a_pod_among_as_many_as_are_known_is_believed_how_seldom_it_beats() -> None:
    assert interval(0) == SHORTEST
    assert interval(MOST_KNOWN) <= LONGEST


@pytest.mark.parametrize("age", [-1, 1e13, 2**63])
def test_a_mark_of_something_that_was_said_before_there_were_pods_is_none(age: float) -> None:
    body = PLAIN | {"h": []}
    with pytest.raises(EnvelopeError):
        unpack(encoded("ann", 1, "here", {**body, "m": [["bob", age]]}))
    for ages in ([0, age], [age, 0]):
        with pytest.raises(EnvelopeError):
            unpack(encoded("ann", 1, "here", {**body, "q": [["tea", 1, 2, *ages]]}))
    old = unpack(encoded("ann", 1, "here", {**body, "q": [["tea", 1, 2, 1e11, 0]]}))
    assert isinstance(old, Beat)


def test_a_pod_that_beats_once_a_minute_is_missing_after_half_of_one() -> None:
    peers = Peers("me")
    two_of(peers, "ann", interval=60.0)
    assert peers.look(29.0, 1029.0) == []
    [told] = peers.look(31.0, 1031.0)
    assert isinstance(told, Degraded)
    assert told.since == 988.0


def test_a_voice_that_was_heard_once_is_not_believed_whom_it_misses() -> None:
    peers = Peers("me")
    misses = (Miss("eve", 0.4), Miss("mal", 0.4))
    note(peers, 0.0, hail("ghost", 1, misses=misses))
    assert peers.look(0.1, 1000.1) == []
    note(peers, 1.0, hail("ghost", 2, clock=1.0, misses=misses))
    [told] = peers.look(1.1, 1001.1)
    assert isinstance(told, Degraded)
    assert told.missing == 2


def test_so_many_are_missed_on_the_word_of_others_as_are_known() -> None:
    peers = Peers("me")
    for n in range(20):
        two_of(peers, f"pod{n}", misses=[Miss(f"made-up-{n}-{m}", 1.0) for m in range(256)])
    [told] = peers.look(0.1, 1000.1)
    assert isinstance(told, Degraded)
    assert told.missing == MOST_KNOWN


# Too many --------------------------------------------------------------------------------------


def invented(count: int, beats: int = 1) -> Iterator[Beat]:
    for n in range(count):
        for number in range(beats):
            yield hail(f"pod{n}", number + 1, name=f"name{n}", interval=60.0)


def test_real_pods_that_come_after_a_hundred_thousand_invented_ones_are_found() -> None:
    peers = Peers("me")
    two_of(peers, "before")
    note(peers, 0.0, *invented(100_000))
    note(peers, 0.0, hail("after", 1))
    assert len(peers.known) == MOST_KNOWN
    note(peers, 0.5, *invented(MOST_KNOWN - 3))
    note(peers, 1.0, hail("after", 2), hail("before", 3))
    note(peers, 1.5, *invented(100_000))
    assert {"before", "after"} <= peers.known.keys()
    assert len(peers.known) == MOST_KNOWN


def test_invented_pods_that_were_heard_twice_make_room_when_they_fall_silent() -> None:
    peers = Peers("me")
    note(peers, 0.0, *(hail("old", number, epoch=5) for number in range(5)))
    note(peers, 0.0, *invented(MOST_KNOWN, beats=2))
    assert len(peers.known) == MOST_KNOWN
    note(peers, 1.0, hail("late", 1))
    assert "late" not in peers.known  # nobody pushes out who is heard
    peers.look(31.0, 1031.0)
    for at in range(32, 36):
        note(peers, at, hail("late", at))
        peers.look(at, 1000.0 + at)
    assert "late" in peers.known
    assert "old" in peers.known  # though it is missing too
    assert len(peers.known) <= MOST_KNOWN


def test_a_look_at_as_many_pods_as_are_known_takes_no_longer_for_their_names() -> None:
    peers = Peers("me")
    note(peers, 0.0, *invented(MOST_KNOWN, beats=2))
    compared = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    for peer in peers.known.values():
        peer.beat = hail(peer.beat.origin, 2, name=Name(peer.beat.name))
    peers.look(31.0, 1031.0)
    assert compared < 10 * MOST_KNOWN


def test_no_more_servers_are_asked_than_a_broker_has_and_the_longest_known_first() -> None:
    peers = Peers("me")
    note(peers, 0.0, *(hail(f"false{n}", 1, node=f"made{n}") for n in range(500)))
    for n in range(3):
        note(peers, 0.0, *(hail(f"true{n}", i, node=f"node{n}") for i in range(5)))
    asked = witnesses("me", "node0", peers.known)
    assert len(asked) == MOST_WITNESSES
    assert {"true1", "true2"} <= set(asked)
    assert "true0" not in asked


# Whatever comes ----------------------------------------------------------------------------------

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=70),
    st.lists(st.integers() | st.text(max_size=3), max_size=6),
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "n": st.sampled_from([0, 1, 7, FAR]),
    "i": st.sampled_from([0, 0.001, 1.0, 60.0]),
    "t": st.sampled_from([0, 1, FAR]),
    "name": st.sampled_from(["", "ann", "me", "me-2", "x" * 64]),
    "ver": st.just("1.0"),
    "at": st.sampled_from(["", "node1", "node2"]),
    "c": st.sampled_from([0, FAR]),
    "r": st.sampled_from([0, FAR]),
    "l": st.sampled_from([0, 0.5, 1.0]),
    "h": st.lists(st.sampled_from(["ann", "bob", "x" * 64]), max_size=4),
    "m": st.lists(
        st.tuples(st.sampled_from(["ann", "me", "nobody", "x" * 64]), st.sampled_from([0, 1e12])),
        max_size=3,
    ),
    "a": st.sampled_from([0, 5, FAR]),
    "q": st.lists(
        st.tuples(
            st.sampled_from([None, "tea"]),
            st.sampled_from([0, 1]),
            st.sampled_from([1, 9, FAR]),
            st.sampled_from([0, 1e12, 5]),
            st.sampled_from([0, 1e12, 5]),
        ),
        max_size=3,
    ),
}


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw what anybody may write where pods say their beats; now and then a field is odd."""
    body = {
        key: draw(good) for key, good in GOOD.items() if key not in "amq" or draw(st.booleans())
    }
    for key in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=1)):
        body[key] = draw(ODD)
    return encoded(
        draw(st.sampled_from([*REAL, "me", "eve", "mal", *(f"pod{n}" for n in range(9))])),
        draw(st.sampled_from([0, 1, 999, 1001, FAR])),  # of no real pod
        draw(st.sampled_from(["hello", "here", "bye"])),
        body,
    )


def encoded(pod: str, epoch: int, word: str, body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps({"v": 1, "o": pod, "e": epoch, "g": word, "b": body})
    except (TypeError, orjson.JSONEncodeError):
        return b"{}"  # text that no JSON can hold


class Nobody:
    """Hears nothing: beats are for no room."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called for a beat")


@given(st.lists(st.lists(messages(), max_size=8), min_size=4, max_size=16))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_strangers_say_real_pods_that_beat_are_heard_and_all_can_be_shown(
    seconds: list[list[bytes]],
) -> None:
    counters, sequences, peers = Counters(), Sequences(), Peers("me")
    inbound = Inbound(
        *("me", Nobody(), counters, Deduplicator("me"), sequences),
        lambda: 1000.0,
        {EVERYONE: None},
        LARGEST,
    )
    name = PodName("me", 3000, "me")
    sequences.entered("tea", 0.0)
    told: list[Degraded] = []

    def hear(payloads: Iterable[bytes], at: float) -> None:
        for payload in payloads:
            said = inbound.receive(EVERYONE, payload)
            if isinstance(said, Beat):
                news = peers.note(said, at, 1000.0 + at)
                if news is not None:
                    sequences.marked(said, at, 1000.0 + at, news.late)

    for at, payloads in enumerate(seconds):
        hear((beat(hail(pod, at, epoch, clock=at)) for pod, epoch in REAL.items()), at)
        hear(payloads, at + 0.1)
        for look in (at + 0.25, at + 0.75):
            told += [one for one in peers.look(look, 1000.0 + look) if isinstance(one, Degraded)]
            sequences.due(look)
            name.look(peers.known)
    assert set(REAL) <= set(peers.heard)
    assert {pod: peers.known[pod].beat.epoch for pod in REAL} == REAL
    assert "me" not in peers.known
    assert len(peers.known) <= MOST_KNOWN
    assert name.name
    assert not any(pod in one.detail.split(", ") for one in told for pod in REAL)
    shown = [
        [p.beat.name, p.beat.version, p.beat.node, p.beat.load, p.missing_since, *p.hears]
        for p in peers.known.values()
    ]
    assert orjson.loads(orjson.dumps([shown, [one.since for one in told]])) is not None


@given(ODD)
def test_whom_a_beat_hears_can_be_shown_anywhere(odd: object) -> None:
    body = PLAIN | {"h": [odd]}
    payload = encoded("ann", 1, "here", body)
    if payload == b"{}":
        return
    try:
        read = unpack(payload)
    except EnvelopeError:
        return
    assert isinstance(read, Beat)
    assert all(pod.isascii() and pod.isprintable() for pod in read.hears or ())


# Pods ------------------------------------------------------------------------------------------


def shout(bus: FakeBus, *beats: Beat) -> None:
    """Say beats as somebody does who can write on the broker and is no pod."""
    for one in beats:
        for listener in bus.listeners(EVERYONE):
            assert isinstance(listener, FakeBroker)
            listener.hear(EVERYONE, beat(one))


async def test_a_pod_that_starts_among_a_hundred_thousand_invented_ones_finds_the_real_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1) as [first]:
        await passes(lambda: first.well)
        shout(bus, *invented(100_000))
        second = SimPod("second", bus, SETTINGS)
        async with links([second]):
            await passes(lambda: "second" in first.state.peers.heard)
            await passes(lambda: "pod0" in second.state.peers.heard)
            await trio.sleep(40)
            assert first.state.peers.heard == ["second"]
            assert second.state.peers.heard == ["pod0"]
    assert first.outages == second.outages == []


async def test_nobody_is_told_that_a_pod_is_missing_because_others_speak_under_its_id(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus) as [first, second]:
        await passes(lambda: len(first.state.peers) == len(second.state.peers) == 1)
        await trio.sleep(3)
        for _ in range(20):
            shout(bus, hail("pod1", FAR, FAR, interval=60.0), hail("pod1", 9, FAR, "bye"))
            await trio.sleep(0.4)
        assert first.state.peers.known["pod1"].beats >= PROVEN + 5
        assert first.outages == second.outages == []
