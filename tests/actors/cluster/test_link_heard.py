"""Receipts that mean it, between pods: whoever has members in the room has said that it got it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
import trio
import trio.testing

from deployd.config import FailurePolicy, ReceiptPolicy
from deployd.transport import EnvelopeFault, InDoubt, Outcome, Reach, Scope
from deployd.transport.brokers import Acks, Got, acks
from deployd.transport.brokers.contract import EVERYONE, Message, pod_channel, room_channel
from support.fake_broker import FakeBroker, FakeBus
from support.links import SimPod, passes, sim_pods

BIDS = "bids-1"


async def acquainted(*pods: SimPod) -> None:
    """Wait until all hear each other, and are sure of it."""
    await passes(lambda: all(pod.well and len(pod.state.peers) == len(pods) - 1 for pod in pods))
    await trio.sleep(2.5)


async def asked(pod: SimPod, data: object = 1, room: str = BIDS) -> Outcome | None:
    """Say something and return what its receipt says."""
    event_id = pod.ask(room, data)
    await passes(lambda: pod.reach(event_id) is not None)
    return pod.reach(event_id)


def acknowledged(bus: FakeBus, pod: SimPod) -> list[dict[str, object]]:
    """Return what was said to a pod of who has heard what."""
    own = [body for channel, body in bus.published if channel == pod_channel(pod.name)]
    return [body["a"] for body in map(orjson.loads, own) if "a" in body]


async def test_a_receipt_counts_the_pods_and_members_that_have_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 4) as [a, b, c, d]:
        await acquainted(a, b, c, d)
        for pod, members in ((b, 3), (c, 4)):
            pod.members[BIDS] = members
            await pod.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 2, 2, 7)
        assert b.data(BIDS) == c.data(BIDS) == [1]
        assert d.heard == []


async def test_a_receipt_of_a_room_in_which_nobody_is_comes_at_once_and_counts_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 3) as pods:
        await acquainted(*pods)
        began = trio.current_time()
        assert await asked(pods[0]) == Reach(Scope.CLUSTER, 0, 0, 0)
        assert trio.current_time() - began < 0.1


async def test_who_has_not_told_its_members_is_not_counted_and_the_receipt_says_how_many_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 3) as [a, b, c]:
        await acquainted(a, b, c)
        for pod in (b, c):
            await pod.come(BIDS)
        c.silent = True
        began = trio.current_time()
        assert await asked(a) == Reach(Scope.PARTIAL, 1, 2, 1)
        assert 2.4 < trio.current_time() - began < 3.5
        c.silent = False
        assert await asked(a) == Reach(Scope.CLUSTER, 2, 2, 2)


async def test_a_mailbox_that_is_full_has_not_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        b.full = True
        assert await asked(a) == Reach(Scope.PARTIAL, 0, 1, 0)


async def test_a_message_that_the_broker_loses_was_heard_by_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        bus.dropping.add(room_channel(BIDS))
        assert await asked(a) == Reach(Scope.PARTIAL, 0, 1, 0)


async def test_an_acknowledgement_that_is_lost_is_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)
        bus.deaf.add(pod_channel(a.name))
        event_id = a.ask(BIDS, 2)
        await passes(lambda: b.data(BIDS) == [1, 2])
        await trio.testing.wait_all_tasks_blocked()
        bus.deaf.clear()
        assert a.reach(event_id) is None
        assert await passes(lambda: a.reach(event_id)) < 1
        assert a.reach(event_id) == Reach(Scope.CLUSTER, 1, 1, 1)


async def test_who_comes_into_a_room_later_is_awaited_from_the_moment_it_is_in(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)
        await b.come(BIDS)
        bus.dropping.add(room_channel(BIDS))
        assert await asked(a) == Reach(Scope.PARTIAL, 0, 1, 0)  # and not all of nobody
        bus.dropping.clear()
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)


async def test_nobody_is_let_in_before_those_who_rely_on_it_have_noted_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await asked(a)
        bus.dropping.add(pod_channel(a.name))
        let_in = False

        async def come() -> None:
            nonlocal let_in
            await b.come(BIDS)
            let_in = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come)
            await trio.sleep(1)
            assert not let_in
            bus.dropping.clear()
            assert await passes(lambda: let_in) < 0.5


async def test_who_relied_on_it_and_is_gone_is_waited_for_no_longer_than_it_can_be_deceived(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await asked(a)
        assert isinstance(a.broker, FakeBroker)
        a.broker.side = 1
        began = trio.current_time()
        await b.come(BIDS)
        assert 2.5 < trio.current_time() - began <= 5
        assert await asked(a) != Reach(Scope.CLUSTER, 0, 0, 0)
        assert await asked(a) == InDoubt()  # no other pod is heard at all


async def test_a_pod_that_left_a_room_is_not_waited_for_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)
        b.go(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)  # it lingers, and says so
        await trio.sleep(10)
        began = trio.current_time()
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)
        assert trio.current_time() - began < 0.1
        await b.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)


async def test_a_pod_that_does_not_hear_the_room_any_more_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)
        b.go(BIDS)
        await trio.sleep(10)  # nothing is subscribed any more, and nobody has told the other
        began = trio.current_time()
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)
        assert trio.current_time() - began < 1


async def test_a_pod_that_is_missing_has_not_heard_and_is_not_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 3) as [a, b, c]:
        await acquainted(a, b, c)
        for pod in (b, c):
            await pod.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 2, 2, 2)
        assert isinstance(c.broker, FakeBroker)
        c.broker.side = 1
        event_id = a.ask(BIDS, "in doubt")
        await passes(lambda: a.reach(event_id))
        assert a.reach(event_id) == Reach(Scope.PARTIAL, 1, 2, 1)
        await passes(lambda: a.outages)
        began = trio.current_time()
        assert await asked(a) == Reach(Scope.PARTIAL, 1, 2, 1)
        assert trio.current_time() - began < 0.1
        c.broker.side = 0
        await passes(lambda: a.well and c.well)
        assert await asked(a) == Reach(Scope.CLUSTER, 2, 2, 2)


async def test_a_pod_that_has_said_goodbye_has_no_members(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 3) as [a, b, c]:
        await acquainted(a, b, c)
        for pod in (b, c):
            await pod.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 2, 2, 2)
        c.supervisor.request_stop("it goes")
        await passes(lambda: len(a.state.peers) == 1)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)


async def test_acknowledgements_of_what_came_together_go_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        await asked(a)
        before = len(acknowledged(bus, a))
        ids = [a.ask(BIDS, n) for n in range(500)]
        await passes(lambda: all(a.reach(one) for one in ids))
        assert {a.reach(one) for one in ids} == {Reach(Scope.CLUSTER, 1, 1, 1)}
        assert len(acknowledged(bus, a)) - before <= 3


async def test_rooms_of_which_receipts_are_confirmed_cost_no_message_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"]) as [a, b]:
        await acquainted(a, b)
        said = [a.say("tea", n) for n in range(10)]
        await passes(lambda: len(b.data("tea")) == 10)
        assert {a.outcome(one) for one in said} == {Scope.CLUSTER}
        assert acknowledged(bus, a) == acknowledged(bus, b) == []
        assert not any(b'"w"' in body for _, body in bus.published)


async def test_acknowledgements_of_strangers_and_what_nobody_waits_for_change_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        bus.dropping.add(room_channel(BIDS))
        event_id = a.ask(BIDS, 1)
        lies = [Got(BIDS, 1, 2**53 - 1, 99), Got("bids-2", 1, 1, 99)]
        await say(bus, a, acks(Acks("nobody", 2**53 - 1, lies)))
        assert a.state.counters.refused[EnvelopeFault.MISPLACED] == 1
        await passes(lambda: a.reach(event_id))
        assert a.reach(event_id) == Reach(Scope.PARTIAL, 0, 1, 0)


async def test_acknowledgements_that_nobody_signed_change_nothing_where_there_is_a_secret(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2, secret="s" * 32) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)
        bus.dropping.add(room_channel(BIDS))
        event_id = a.ask(BIDS, 2)
        await say(bus, a, acks(Acks(b.name, 1000, [Got(BIDS, 1, 9, 99)])))
        assert a.state.counters.refused[EnvelopeFault.UNSIGNED] == 1
        await passes(lambda: a.reach(event_id))
        assert a.reach(event_id) == Reach(Scope.PARTIAL, 0, 1, 0)


async def say(bus: FakeBus, pod: SimPod, body: bytes) -> None:
    """Say something to a pod as somebody who reaches the broker."""
    for listener in bus.listeners(pod_channel(pod.name)):
        listener.hear(pod_channel(pod.name), body)
    await trio.testing.wait_all_tasks_blocked()


async def test_a_message_that_comes_twice_is_counted_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = FakeBus()
    publish = FakeBroker.publish

    async def twice(self: FakeBroker, batch: Sequence[Message]) -> None:
        await publish(self, [message for message in batch for _ in range(2)])

    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        b.members[BIDS] = 5
        await b.come(BIDS)
        monkeypatch.setattr(FakeBroker, "publish", twice)
        assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 5)


async def test_a_promise_that_comes_again_after_it_was_taken_back_is_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        await asked(a)
        [promise] = [body for to, body in bus.published if to == "pod.pod0" and b'"no":' in body]
        await b.come(BIDS)
        await say(bus, a, promise)
        bus.dropping.add(room_channel(BIDS))
        assert await asked(a) == Reach(Scope.PARTIAL, 0, 1, 0)


async def test_an_outage_settles_once_and_says_what_was_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 3) as [a, b, c]:
        await acquainted(a, b, c)
        for pod in (b, c):
            await pod.come(BIDS)
        c.silent = True
        event_id = a.ask(BIDS, 1)
        await trio.sleep(0.1)  # the broker has it, and one of the two has acknowledged it
        bus.kill()
        await passes(lambda: a.reach(event_id), 1)
        assert a.reach(event_id) == Reach(Scope.PARTIAL, 1, 2, 1)
        assert await asked(a) is Scope.LOCAL
        bus.start()
        await passes(lambda: all(pod.closed for pod in (a, b, c)))
        c.silent = False
        assert await asked(a, 2) == Reach(Scope.CLUSTER, 2, 2, 2)
        assert {outcome for outcomes in a.counted.values() for outcome in outcomes}
        assert all(len(outcomes) == 1 for outcomes in a.counted.values())


async def test_what_waits_in_the_buffer_is_queued_and_settled_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    kept = {"kept-*": FailurePolicy.BUFFER}
    heard = {"kept-*": ReceiptPolicy.HEARD}
    async with sim_pods(bus, 2, policies=kept, receipts=heard) as [a, b]:
        await acquainted(a, b)
        await b.come("kept-1")
        bus.kill()
        await passes(lambda: not a.closed)
        assert await asked(a, 1, "kept-1") is Scope.QUEUED
        bus.start()
        await passes(lambda: b.data("kept-1") == [1])
        await trio.sleep(5)
        assert all(len(outcomes) == 1 for outcomes in a.counted.values())


async def test_what_is_said_before_a_pod_knows_who_is_there_waits_until_it_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1) as [b]:
        await passes(lambda: b.well)
        await b.come(BIDS)
        late = SimPod("late", bus, b.settings)
        async with trio.open_nursery() as nursery:
            bus.deaf.add(pod_channel("late"))  # nobody's greeting comes back
            await nursery.start(late.run)
            bus.deaf.clear()
            await passes(lambda: late.closed)
            event_id = late.ask(BIDS, 1)
            await passes(lambda: late.reach(event_id))
            assert late.reach(event_id) == Reach(Scope.CLUSTER, 1, 1, 1)
            late.supervisor.request_stop("the test is over")


async def test_who_has_just_come_lets_nobody_in_before_the_others_know_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 1) as [a]:
        await passes(lambda: a.well)
        await trio.sleep(3)
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)
        late = SimPod("late", bus, a.settings)
        async with trio.open_nursery() as nursery:
            bus.dropping.add(EVERYONE)  # nobody hears its greeting
            await nursery.start(late.run)
            await passes(lambda: late.closed)
            await trio.sleep(0.3)
            bus.dropping.clear()
            await late.come(BIDS)
            assert await asked(a) == Reach(Scope.CLUSTER, 1, 1, 1)
            late.supervisor.request_stop("the test is over")


async def test_a_pod_that_slept_asks_again_who_is_there(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = FakeBus()
    async with sim_pods(bus, 2) as [a, b]:
        await acquainted(a, b)
        assert await asked(a) == Reach(Scope.CLUSTER, 0, 0, 0)
        receipts = a.link.acknowledgements
        slept = trio.current_time() + 60
        monkeypatch.setattr(receipts, "_clock", lambda: slept)
        bus.dropping.add(pod_channel(a.name))
        await b.uplink.heard(BIDS)
        bus.dropping.clear()
        event_id = a.ask(BIDS, 1)
        asks = [x for x in acknowledged(bus, b) if "ask" in x]
        await trio.testing.wait_all_tasks_blocked()
        assert len([x for x in acknowledged(bus, b) if "ask" in x]) == len(asks) + 1
        del event_id


async def test_nobody_is_told_of_an_outage_by_all_this(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with sim_pods(FakeBus(), 2) as [a, b]:
        await acquainted(a, b)
        await b.come(BIDS)
        for n in range(20):
            await asked(a, n)
            await trio.sleep(1)
        assert a.outages == b.outages == []
        assert a.gaps == b.gaps == []
