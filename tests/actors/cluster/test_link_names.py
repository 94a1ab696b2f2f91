"""What a pod is called when others have its name."""

from __future__ import annotations

import re

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from deployd.actors.cluster import Degraded, Healed
from deployd.actors.cluster.effects import write_down_name
from deployd.actors.cluster.membership import REMEMBERED, Peers
from deployd.actors.cluster.names import LONGEST, PodName, Renamed, borne
from deployd.config import formats
from deployd.transport.brokers import Beat, beat, unpack
from support.fake_broker import FakeBus
from support.links import SETTINGS, SimPod, links, passes


def heard(peers: Peers, pod: str, epoch: int, name: str, *, times: int = 2) -> None:
    for number in range(times):
        peers.note(Beat(pod, epoch, "here", number, name=name), 0.0, 1000.0)


def test_the_elder_keeps_its_name_and_the_younger_takes_the_next_that_is_free() -> None:
    elder, younger = PodName("ann", 5, "a"), PodName("ann", 9, "b")
    of_elder, of_younger = Peers("a"), Peers("b")
    heard(of_elder, "b", 9, "ann")
    heard(of_younger, "a", 5, "ann")
    heard(of_younger, "c", 6, "ann-2")
    assert elder.look(of_elder.known) is None
    renamed = younger.look(of_younger.known)
    assert renamed is not None
    assert (elder.name, younger.name, renamed.times) == ("ann", "ann-3", 1)
    assert renamed.holder is younger.holder is of_younger.known["a"].beat
    assert younger.look(of_younger.known) is None  # once


def test_of_two_that_began_at_one_moment_one_keeps_the_name() -> None:
    one, other = PodName("ann", 5, "a"), PodName("ann", 5, "b")
    of_one, of_other = Peers("a"), Peers("b")
    heard(of_one, "b", 5, "ann")
    heard(of_other, "a", 5, "ann")
    assert one.look(of_one.known) is None
    assert other.look(of_other.known) is not None
    assert (one.name, other.name) == ("ann", "ann-2")


def test_a_pod_without_a_name_has_none_taken_from_it() -> None:
    peers, nameless = Peers("b"), PodName("", 9, "b")
    heard(peers, "a", 5, "")
    assert nameless.look(peers.known) is None
    assert (nameless.name, nameless.holder) == ("", None)


def test_a_voice_that_was_heard_once_takes_nobodys_name() -> None:
    peers, mine = Peers("b"), PodName("ann", 9, "b")
    heard(peers, "ghost", 0, "ann", times=1)
    assert mine.look(peers.known) is None


def test_a_name_is_back_when_the_other_has_gone_and_not_while_it_may_be_cut_off() -> None:
    for gone in (True, False):
        peers, mine = Peers("b"), PodName("ann", 9, "b")
        heard(peers, "a", 5, "ann")
        assert mine.look(peers.known) is not None
        peers.look(60.0, 1060.0)
        assert peers.known["a"].missing
        assert mine.look(peers.known) is None
        assert mine.name == "ann-2"
        if gone:
            peers.note(Beat("a", 5, "bye"), 61.0, 1061.0)
        else:
            peers.look(REMEMBERED + 1.0, 1601.0)
        assert mine.look(peers.known) == Renamed("ann", "ann", None, 1)
        assert (mine.name, mine.holder) == ("ann", None)


@given(
    st.text("ab-2", min_size=1, max_size=LONGEST),
    st.integers(0, 40),
)
def test_whatever_is_taken_a_name_is_found_and_may_be_one(wanted: str, count: int) -> None:
    taken: set[str] = set()
    for _ in range(count):
        name = borne(wanted, taken)
        assert name not in taken
        assert name
        assert formats.pod_name(name) is None
        read = unpack(beat(Beat("a", 1, name=name)))
        assert isinstance(read, Beat)
        assert read.name == name
        taken.add(name)
    assert len(taken) == count


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ann", "ann-2", "bob"])), max_size=7))
def test_pods_that_hear_each_other_come_to_different_names_and_stay_with_them(
    pods: list[tuple[int, str]],
) -> None:
    names = {f"p{n}": PodName(wanted, epoch, f"p{n}") for n, (epoch, wanted) in enumerate(pods)}
    epochs = {f"p{n}": epoch for n, (epoch, _) in enumerate(pods)}
    views = {pod: Peers(pod) for pod in names}
    changed = True
    rounds = 0
    while changed:
        rounds += 1
        assert rounds <= len(pods) + 2
        for view in views.values():
            for pod, name in names.items():
                heard(view, pod, epochs[pod], name.name)
        changes = [name.look(views[pod].known) for pod, name in names.items()]
        changed = any(change is not None for change in changes)
    assert len({name.name for name in names.values()}) == len(pods)
    by_wanted = {wanted for _, wanted in pods}
    assert by_wanted <= {name.name for name in names.values()}  # each name, somebody has


def test_it_is_written_down_who_has_the_name_and_ever_less_of_it() -> None:
    holder = Beat("a", 1_764_072_000_123, name="ann")
    with capture_logs() as lines:
        for times in range(1, 10):
            write_down_name(Renamed("ann", "ann-2", holder, times))
            write_down_name(Renamed("ann", "ann", None, times))
    assert len(lines) == 8  # of 1, 2, 4 and 8
    first, second = lines[:2]
    assert (first["other"], first["since"]) == ("a", "2025-11-25T12:00:00+00:00")
    assert (first["wanted"], first["name"], first["log_level"]) == ("ann", "ann-2", "warning")
    assert "server.name" in first["remedy"]
    assert second["log_level"] == "info"


# Pods ----------------------------------------------------------------------------------------


def names_of(*pods: SimPod) -> list[str]:
    return [pod.link.name.name for pod in pods]


def seen(by: SimPod) -> dict[str, str]:
    return {pod: peer.beat.name for pod, peer in by.state.peers.known.items()}


async def test_the_second_of_a_name_takes_another_and_has_it_back_when_the_first_has_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    witness, first = SimPod("w", bus, SETTINGS), SimPod("z", bus, SETTINGS, called="ann")
    async with links([witness]), trio.open_nursery() as nursery:
        await nursery.start(first.run)
        await passes(lambda: seen(witness) == {"z": "ann"})
        second = SimPod("a", bus, SETTINGS, called="ann")  # later, though its id comes first
        await nursery.start(second.run)
        with capture_logs() as lines:
            await passes(lambda: names_of(first, second) == ["ann", "ann-2"], within=2.5)
            await passes(lambda: seen(witness) == {"z": "ann", "a": "ann-2"})
        assert [line["other"] for line in lines if "wanted" in line] == ["z"]
        assert second.link.figures.health()["name"] == "ann-2"
        assert second.link.figures.health()["name_taken_by"] == "z"
        first.supervisor.request_stop("restarted")
        await passes(lambda: seen(witness) == {"a": "ann"}, within=2.5)
        assert second.link.figures.health()["name_taken_by"] == ""
        await trio.sleep(5)
        assert names_of(second) == ["ann"]
        second.supervisor.request_stop("the test is over")
    assert witness.outages == []


async def test_pods_that_start_together_under_one_name_come_to_different_ones(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    pods = [SimPod(f"pod{n}", bus, SETTINGS, called="ann") for n in range(4)]
    async with links(pods):
        await passes(lambda: names_of(*pods) == ["ann", "ann-2", "ann-3", "ann-4"])
        await trio.sleep(10)
        assert names_of(*pods) == ["ann", "ann-2", "ann-3", "ann-4"]
        for pod in pods:
            others = {other.name: other.link.name.name for other in pods if other is not pod}
            assert seen(pod) == others
    assert [outage for pod in pods for outage in pod.outages] == []


async def test_a_pod_that_was_cut_off_and_is_back_finds_its_name_and_the_one_in_its_place_yields(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    witness, frozen = SimPod("w", bus, SETTINGS), SimPod("a", bus, SETTINGS, called="ann")
    async with links([witness, frozen]):
        await passes(lambda: seen(witness) == {"a": "ann"})
        await trio.sleep(2)
        assert frozen.broker is not None
        frozen.broker.side = 1
        await trio.sleep(4)
        second = SimPod("b", bus, SETTINGS, called="ann")
        async with links([second]):
            await passes(lambda: seen(witness) == {"b": "ann"})
            told = [type(outage) for _, outage in witness.outages]
            assert told == [Degraded, Healed]
            frozen.broker.side = 0
            await passes(lambda: seen(witness) == {"a": "ann", "b": "ann-2"})
            assert names_of(frozen, second) == ["ann", "ann-2"]
            await trio.sleep(10)
            assert names_of(frozen, second) == ["ann", "ann-2"]


def test_the_longest_name_in_a_beat_is_the_longest_that_a_pod_may_have() -> None:
    assert formats.pod_name("a" * LONGEST) is None
    assert formats.pod_name("a" * (LONGEST + 1)) is not None
    assert isinstance(unpack(beat(Beat("a", 1, name="a" * LONGEST))), Beat)
    assert re.fullmatch("a{62}-2", borne("a" * LONGEST, {"a" * LONGEST}))
