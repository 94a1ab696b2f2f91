"""What a link says of an event is true, whatever happens to the event and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
import pytest
import trio
import trio.testing

from deployd.actors import Degraded, Exit, Healed
from deployd.transport import BrokerUnavailable, Event, InDoubt, Scope
from deployd.transport.brokers import DEEPEST
from deployd.transport.brokers.contract import Broker, Channel, Message
from support.fake_broker import FakeBroker, FakeBus
from support.links import SETTINGS, SimPod, links, passes, sim_pods


class Hooked(FakeBroker):
    """Asks a test before and after it takes events of rooms."""

    def __init__(self, bus: FakeBus) -> None:
        super().__init__(bus)
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    async def publish(self, batch: Sequence[Message]) -> None:
        room = any(channel.startswith("room.") for channel, _ in batch)
        if room:
            self.before()
            await self._answer()
        await super().publish(batch)
        if room:
            self.after()
            await self._answer()


def hooked(pod: SimPod) -> Hooked:
    assert isinstance(pod.broker, Hooked)
    return pod.broker


def on_hooks(bus: FakeBus, pod: SimPod) -> SimPod:
    pod.make = lambda: Hooked(bus)
    return pod


async def test_cluster_is_said_when_the_broker_has_taken_it_and_not_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea", "kept-1", "strict-1"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.freeze()
        said = [a.say(room, 1) for room in ("tea", "kept-1", "strict-1", None)]
        await trio.sleep(0.5)
        assert [a.outcome(id_) for id_ in said] == [None] * 4
        bus.thaw()
        await trio.testing.wait_all_tasks_blocked()
        assert [a.outcome(id_) for id_ in said] == [Scope.CLUSTER] * 4
        assert sorted(h.id for h in b.heard) == sorted(said)


async def test_what_the_other_pods_would_not_take_is_never_said_to_be_theirs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus, deep = FakeBus(), orjson.loads("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        assert a.outcome(a.say("tea", deep)) is Scope.LOCAL
        taken = a.say("tea", deep[0])
        await trio.testing.wait_all_tasks_blocked()
        assert a.outcome(taken) is Scope.CLUSTER
        assert [heard.id for heard in b.heard] == [taken]
        assert (a.state.counters.unspeakable, b.link.sequences.missed) == (1, 0)


@pytest.mark.parametrize("taken", [False, True])
async def test_what_was_in_doubt_is_local_or_queued_by_its_policy_and_heard_once(
    autojump_clock: trio.testing.MockClock, taken: bool
) -> None:
    bus = FakeBus()
    a = on_hooks(bus, SimPod("a", bus, SETTINGS))
    b = SimPod("b", bus, SETTINGS)
    async with links([a, b], ["tea", "kept-1", "strict-1"]):
        await passes(lambda: a.well and b.well)
        setattr(hooked(a), "after" if taken else "before", bus.kill)
        said = {room: a.say(room, room) for room in ("tea", "kept-1", "strict-1")}
        await trio.testing.wait_all_tasks_blocked()
        assert a.outcome(said["tea"]) is Scope.LOCAL
        assert a.outcome(said["strict-1"]) is Scope.LOCAL
        assert a.outcome(said["kept-1"]) is Scope.QUEUED
        assert a.state.counters.lost == 2
        bus.start()
        await passes(lambda: a.well and b.well)
        assert b.data("kept-1") == ["kept-1"]
        assert b.data("tea") == (["tea"] if taken else [])
        assert b.link.deduplicator.duplicates == (1 if taken else 0)
        healed = a.outages[-1][1]
        assert isinstance(healed, Healed)
        assert (healed.lost, healed.replayed) == (2, 1)


class Shrinks(FakeBroker):
    """A broker whose limit is lowered each time something is handed to it, so often."""

    times = 0

    async def publish(self, batch: Sequence[Message]) -> None:
        if Shrinks.times and batch[0][0].startswith("room."):
            Shrinks.times -= 1
            self.max_payload = max(len(payload) for _, payload in batch) - 1
        await super().publish(batch)


async def test_cluster_is_not_said_of_what_a_broker_refused_for_its_size_twice(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    a.make = lambda: Shrinks(bus)
    async with links([a, b], ["tea"]):
        await passes(lambda: a.well and b.well)
        Shrinks.times = 2
        bus.freeze()
        said = [a.say("tea", "x" * 30_000) for _ in range(20)]
        bus.thaw()
        await trio.testing.wait_all_tasks_blocked()
        heard = {heard.id for heard in b.heard}
        for id_ in said:
            assert (a.outcome(id_) is Scope.CLUSTER) == (id_ in heard)


async def test_who_enters_while_the_link_proves_itself_is_heard_before_it_is_called_healed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()

    class Slow(FakeBroker):
        async def subscribe(self, channels: Sequence[Channel]) -> None:
            await trio.sleep(0.5)
            await super().subscribe(channels)

    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    b.make = lambda: Slow(bus)
    async with links([a, b]):
        await passes(lambda: a.well and b.well)
        b.cut()
        await passes(lambda: b.state.breaker.proofs == 2)
        b.uplink.enter("tea")
        await passes(lambda: b.well)
        said = a.say("tea", 1)
        await trio.sleep(1)
        assert a.outcome(said) is Scope.CLUSTER
        assert b.data("tea") == [1]


async def test_what_was_taken_while_the_last_canary_flew_is_after_since(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()

    sent: list[float] = []

    class Slow(FakeBroker):
        """What it publishes arrives 0.4 s later."""

        async def publish(self, batch: Sequence[Message]) -> None:
            if batch[0][0].startswith("pod."):
                sent.append(trio.current_time())
            await trio.sleep(0.4)
            await super().publish(batch)

    pod = SimPod("a", bus, SETTINGS)
    pod.make = lambda: Slow(bus)
    async with links([pod]):
        await passes(lambda: pod.well)
        await passes(lambda: len(sent) == 6)  # three proofs, and three canaries
        await trio.sleep(0.45)
        pod.cut()
        await trio.testing.wait_all_tasks_blocked()
        news = pod.outages[-1][1]
        assert isinstance(news, Degraded)
        assert news.since == pytest.approx(sent[-1])


async def test_what_a_stopping_pod_could_not_hand_over_is_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea", "kept-1"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.freeze()
        said = [a.say(room, 1) for room in ("tea", "kept-1")]
        await trio.sleep(0.01)
        said += [a.say(room, 2) for room in ("tea", "kept-1")]
        a.supervisor.request_stop("the pod stops")
        await trio.sleep(4)
        outcomes = [a.outcome(id_) for id_ in said]
        assert Scope.CLUSTER not in outcomes
        assert None not in outcomes
        later = a.say("tea", 3)
        assert a.outcome(later) is Scope.LOCAL


async def test_what_a_killed_link_leaves_is_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    a = SimPod("a", bus, SETTINGS)
    async with trio.open_nursery() as nursery:
        a.uplink.enter("tea")
        await nursery.start(a.run)
        await passes(lambda: a.well)
        bus.freeze()
        said = [a.say("tea", 1)]
        await trio.sleep(0.01)
        said.append(a.say("tea", 2))
        nursery.cancel_scope.cancel()
    assert [a.outcome(id_) for id_ in said] == [Scope.LOCAL] * 2
    assert a.state.counters.lost == 2


async def test_what_waits_when_a_pod_ends_is_counted_and_nothing_waits_from_then_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1, ["kept-1"]) as [pod]:
        await passes(lambda: pod.well)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        assert pod.outcome(pod.say("kept-1", 1)) is Scope.QUEUED
    assert pod.state.counters.lost == 0
    pod.supervisor.terminated(Exit.shutdown("the pod has stopped"))
    assert pod.state.counters.lost == 1
    assert pod.outcome(pod.say("kept-1", 2)) is Scope.LOCAL


async def test_last_words_are_handed_over(autojump_clock: trio.testing.MockClock) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        said = [a.say("tea", n) for n in range(3000)]
        a.supervisor.request_stop("the pod stops")
        await passes(lambda: len(b.heard) == 3000)
        assert {a.outcome(id_) for id_ in said} == {Scope.CLUSTER}
        assert b.data("tea") == list(range(3000))
        assert len(b.state.peers) == 0  # it said goodbye


async def test_what_is_in_doubt_does_not_overfill_the_buffer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["kept-1"], buffer_messages=5) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.freeze()
        said = [a.say("kept-1", n) for n in range(20)]
        await trio.sleep(0.01)
        bus.kill()
        await trio.testing.wait_all_tasks_blocked()
        assert len(a.state.buffer) == 5
        assert [a.outcome(id_) for id_ in said] == [Scope.QUEUED] * 5 + [Scope.LOCAL] * 15
        assert a.state.counters.lost == 15
        bus.thaw()
        bus.start()
        await passes(lambda: a.well and b.well)
        assert b.data("kept-1") == list(range(5))


@pytest.mark.parametrize(
    ("room", "event"),
    [("tea", ""), ("tea", "two words"), ("tea", "x" * 2000), ("tea", "\ud800"), ("\ud800", "said")],
)
async def test_a_name_that_no_other_pod_takes_costs_nothing_but_its_own_event(
    autojump_clock: trio.testing.MockClock, room: str, event: str
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        first = a.say("tea", 1)
        outcomes: list[Scope | InDoubt] = []
        scope = a.uplink.publish(Event(room, event, b"0", a.ids(), 0, 0.0), outcomes.append)
        last = a.say("tea", 2)
        await trio.testing.wait_all_tasks_blocked()
        assert [a.outcome(first), a.outcome(last)] == [Scope.CLUSTER] * 2
        assert [scope, *outcomes] == [Scope.LOCAL]
        assert b.data("tea") == [1, 2]
        assert b.state.counters.invalid == 0
        assert a.outages == b.outages == []
        assert a.state.counters.lost == 1


async def test_what_is_said_while_nobody_is_in_a_room_is_not_missed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"], linger=1.0) as [a, b]:
        await passes(lambda: a.well and b.well)
        a.say("tea", 1)
        await trio.sleep(0.1)
        b.uplink.leave("tea")
        a.say("tea", 2)
        await trio.sleep(2)
        for n in (3, 4, 5):
            a.say("tea", n)
        await trio.sleep(0.1)
        b.uplink.enter("tea")
        await trio.sleep(0.1)
        a.say("tea", 6)
        await trio.sleep(0.1)
        assert b.data("tea")[-1] == 6
        assert b.link.sequences.missed == 0


async def test_a_client_that_comes_before_the_first_try_is_over_is_told_and_told_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    bus.freeze()
    async with sim_pods(bus, 1) as [pod]:
        assert pod.uplink.degraded is not None
        await trio.sleep(0.5)
        bus.thaw()
        await passes(lambda: pod.well)
        assert pod.joined is not None
        assert pod.outages == []


async def test_an_answer_to_hello_is_heard_where_the_canary_has_channels_of_its_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()

    class Several(FakeBroker):
        def probes(self, channel: Channel) -> Sequence[Channel]:
            return (f"{channel}=-0", f"{channel}=-1")

    a, b = SimPod("a", bus, SETTINGS), SimPod("b", bus, SETTINGS)
    a.make = b.make = lambda: Several(bus)
    async with links([a, b], ["kept-1"]):
        await passes(lambda: a.well and b.well and len(a.state.peers) == 1)
        await trio.sleep(20)
        a.cut()
        await trio.testing.wait_all_tasks_blocked()
        a.say("kept-1", 1)
        assert await passes(lambda: a.well) <= 1
        assert b.data("kept-1") == [1]


async def test_a_password_in_the_name_of_the_host_is_shown_by_no_outage_and_no_endpoint(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus, away = FakeBus(), True

    def make() -> Broker:
        if away:
            raise BrokerUnavailable("user:hunter2@fake:1: connection refused.")
        named = FakeBroker(bus)
        named.endpoint = "user:hunter2@fake:1"
        return named

    pod = SimPod("a", bus, SETTINGS)
    pod.make = make
    async with links([pod]):
        await trio.sleep(10)
        assert pod.link.figures.health()["reason"] == "********@fake:1: connection refused."
        away = False
        await passes(lambda: pod.well)
        assert pod.link.figures.health()["endpoint"] == "********@fake:1"


async def test_a_broker_that_cannot_be_made_or_closed_is_an_outage(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    broken = True

    class Rude(FakeBroker):
        async def close(self) -> None:
            await super().close()
            raise BrokerUnavailable("fake:1 hung up.")

    def make() -> Broker:
        if broken:
            raise BrokerUnavailable("fake has no credentials.")
        return Rude(bus)

    pod = SimPod("a", bus, SETTINGS)
    pod.make = make
    async with links([pod]):
        await trio.sleep(60)
        assert "no credentials" in pod.state.breaker.reason
        broken = False
        await passes(lambda: pod.well)
        pod.cut()
        await passes(lambda: not pod.well)
        await passes(lambda: pod.well)


@pytest.mark.parametrize("how", ["freeze", "kill"])
async def test_an_outage_makes_no_dead_letters(
    autojump_clock: trio.testing.MockClock, how: str
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["kept-1"]) as [a, b]:
        await passes(lambda: a.well and b.well)
        bus.freeze()
        said = [a.say("kept-1", n) for n in range(3)]
        await trio.sleep(0.1)
        if how == "kill":
            bus.kill()
        await trio.sleep(5)
        bus.thaw()
        bus.start()
        await passes(lambda: a.well and b.well)
        assert {a.outcome(id_) for id_ in said} == {Scope.QUEUED}
        assert b.data("kept-1") == [0, 1, 2]
        assert a.dead_letters.statistics().total == 0


async def test_a_link_whose_last_words_are_not_taken_ends_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    began = trio.current_time()
    async with sim_pods(bus, 1, ["tea"]) as [pod]:
        await passes(lambda: pod.well)
        bus.freeze()
        said = [pod.say("tea", n) for n in range(5)]
        pod.supervisor.request_stop("the pod stops")
        await trio.sleep(0.5)
        bus.kill()
    assert trio.current_time() - began < 5
    assert {pod.outcome(id_) for id_ in said} == {Scope.LOCAL}
    assert pod.state.counters.lost == 5
