"""The simulator's models of brokers, and the servers that they stand for, in the same scenarios."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from deployd.transport import (
    BrokerUnavailable,
    MessagesRefused,
    MessageTooLarge,
)
from deployd.transport.brokers.contract.conformance import CHECKS, Check
from support.broker_stages import (
    LARGE,
    MODELS,
    STAGES,
    ClusterStage,
    ModelStage,
    Stage,
    joined,
    model_maker,
)
from support.inboxes import HANGS
from support.redis_server import RedisCluster

HALL, TEA, POD = "room.hall", "room.tea", "pod.a"
LONG = 0.3
"""Seconds that a frozen server is left alone; what it is asked is with it by then."""


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
@pytest.mark.parametrize("name", MODELS)
async def test_each_model_keeps_every_promise_of_a_broker(name: str, check: Check) -> None:
    await check(model_maker(name))


@pytest.fixture(scope="module", params=list(STAGES))
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A server and its model, one after the other."""
    if not request.param.endswith("model"):
        request.getfixturevalue("servers_wanted")
    made = STAGES[request.param](tmp_path_factory)
    yield made
    made.end()


@pytest.fixture(params=["cluster", "model"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A Redis cluster and its model."""
    if request.param == "model":
        yield ModelStage("redis", 3)
        return
    servers: RedisCluster = request.getfixturevalue("redis_cluster")
    made = ClusterStage(servers)
    yield made
    made.end()


def only(stage: Stage, *kinds: str) -> None:
    """Skip what this server does not know."""
    if stage.kind not in kinds:
        pytest.skip(f"{stage.kind} has no such thing")


# What all of them do alike.


async def test_nothing_is_kept_for_who_does_not_hear_yet(stage: Stage) -> None:
    async with joined(stage.make()) as (speaker, _), joined(stage.make()) as (hearer, heard):
        await speaker.publish([(HALL, b"1")])
        await hearer.subscribe([HALL])
        await speaker.publish([(HALL, b"2")])
        await heard.until_heard(1)
        await hearer.unsubscribe([HALL])
        await speaker.publish([(HALL, b"3")])
        await hearer.subscribe([HALL])
        await speaker.publish([(HALL, b"4")])
        await heard.until_heard(2)
    assert heard.messages == [(HALL, b"2"), (HALL, b"4")]


async def test_who_speaks_at_the_same_time_is_heard_in_its_own_order(stage: Stage) -> None:
    async with joined(stage.make(), HALL) as (_, heard):

        async def speak(name: bytes) -> None:
            async with joined(stage.make()) as (speaker, _):
                for number in range(50):
                    await speaker.publish([(HALL, b"%b %d" % (name, number))])

        async with trio.open_nursery() as nursery:
            for name in (b"ann", b"bob", b"eve"):
                nursery.start_soon(speak, name)
        await heard.until_heard(150)
    for name in (b"ann", b"bob", b"eve"):
        said = [payload for _, payload in heard.messages if payload.startswith(name)]
        assert said == [b"%b %d" % (name, number) for number in range(50)]


async def test_a_server_that_dies_is_told_and_remembers_nobody(stage: Stage) -> None:
    async with joined(stage.make(), HALL) as (broker, heard):
        await stage.kill()
        await heard.until_lost()
        for call in (broker.subscribe, broker.resubscribe, broker.unsubscribe):
            with pytest.raises(BrokerUnavailable):
                await call([HALL])
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(HALL, b"1")])
        with pytest.RaisesGroup(BrokerUnavailable, flatten_subgroups=True, allow_unwrapped=True):
            async with joined(stage.make()):
                pytest.fail("connected")
        await stage.start()
        async with joined(stage.make()) as (again, anew):
            await again.publish([(HALL, b"2")])
            await again.subscribe([HALL])
            await again.publish([(HALL, b"3")])
            await anew.until_heard(1)
    assert anew.messages == [(HALL, b"3")]
    assert len(heard.losses) == 1
    assert not heard.messages


async def test_what_is_asked_of_a_frozen_server_fails_when_it_dies(stage: Stage) -> None:
    async with joined(stage.make(), HALL) as (broker, heard), trio.open_nursery() as nursery:
        await stage.freeze()
        failed: list[BrokerUnavailable] = []

        async def ask() -> None:
            try:
                await broker.publish([(HALL, b"1")])
            except BrokerUnavailable as error:
                failed.append(error)

        nursery.start_soon(ask)
        await trio.sleep(LONG)
        assert not failed
        assert not heard.losses
        await stage.kill()
        await heard.until_lost()
        await stage.start()
    assert failed
    assert not heard.messages


async def test_a_frozen_server_does_what_it_was_asked_when_it_goes_on(stage: Stage) -> None:
    async with joined(stage.make(), HALL) as (_, heard):
        async with joined(stage.make()) as (impatient, _):
            await impatient.publish([(HALL, b"1")])
            await heard.until_heard(1)
            await stage.freeze()
            with trio.move_on_after(LONG) as gave_up:
                await impatient.publish([(HALL, b"2")])
        assert gave_up.cancelled_caught
        await stage.thaw()
        # Who said it has long gone, and takes it for not said.
        await heard.until_heard(2)
    assert heard.messages == [(HALL, b"1"), (HALL, b"2")]
    assert not heard.losses


async def test_a_frozen_server_keeps_what_others_are_to_hear(stage: Stage) -> None:
    async with joined(stage.make(), HALL) as (hearer, heard), trio.open_nursery() as nursery:
        await stage.freeze()
        nursery.start_soon(hearer.publish, [(HALL, b"1"), (HALL, b"2")])
        await trio.sleep(LONG)
        await stage.thaw()
        await heard.until_heard(2)
    assert heard.messages == [(HALL, b"1"), (HALL, b"2")]


async def test_what_may_not_be_said_is_refused_and_the_rest_is_taken(stage: Stage) -> None:
    limited = await trio.to_thread.run_sync(stage.make_limited)
    async with joined(stage.make(), HALL, POD) as (_, heard), joined(limited) as (broker, own):
        with pytest.raises(MessagesRefused) as caught:
            await broker.publish([(POD, b"1"), (HALL, b"2"), (POD, b"3"), (HALL, b"4")])
        assert caught.value.indexes == (1, 3)
        await broker.publish([(POD, b"5")])
        await heard.until(lambda: (POD, b"5") in heard.messages)
        assert not own.losses
    # RabbitMQ closes the channel for it, and what was in doubt is said again.
    assert {channel for channel, _ in heard.messages} == {POD}
    assert list(dict.fromkeys(payload for _, payload in heard.messages)) == [b"1", b"3", b"5"]
    assert len(heard.messages) == 3 or stage.kind == "rabbitmq"


# What some of them do.


async def test_a_limit_that_was_lowered_is_learned_by_one_message(stage: Stage) -> None:
    only(stage, "nats", "rabbitmq")
    large = (HALL, bytes(LARGE + 1))
    async with joined(stage.make(), HALL) as (_, heard), joined(stage.make()) as (before, _):
        await stage.lower_limit()
        if stage.kind == "nats":
            with pytest.raises((BrokerUnavailable, MessageTooLarge)):
                await before.publish([large])
        else:  # a channel keeps what was the limit when it was opened
            await before.publish([large])
            await heard.until_heard(1)
        async with joined(stage.make()) as (broker, own):
            assert (broker.max_payload == LARGE) == (stage.kind == "nats")
            with pytest.raises(MessageTooLarge):
                await broker.publish([large])
            assert broker.max_payload == LARGE
            await broker.publish([(HALL, b"small")])
            await heard.until(lambda: (HALL, b"small") in heard.messages)
            assert not own.losses
    assert heard.messages.count(large) == (stage.kind == "rabbitmq")


async def test_an_exchange_that_was_deleted_is_made_again_by_who_misses_it(stage: Stage) -> None:
    only(stage, "rabbitmq")
    async with (
        joined(stage.make(), HALL, TEA, POD) as (speaker, own),
        joined(stage.make(), HALL, POD) as (hearer, heard),
    ):
        await stage.delete_exchange("room")
        await speaker.publish([(HALL, b"1"), (POD, b"1")])
        await own.until_heard(2)
        await heard.until_heard(1)
        assert sorted(own.silent) == [HALL, TEA]
        await hearer.resubscribe([HALL])
        await speaker.publish([(HALL, b"2")])
        await heard.until_heard(2)
    assert sorted(own.messages)[:2] == [(POD, b"1"), (HALL, b"1")]
    assert heard.messages == [(POD, b"1"), (HALL, b"2")]
    assert not own.losses
    assert not heard.losses
    assert not heard.silent


async def test_subscribing_to_a_deleted_exchange_gives_the_others_theirs_back(stage: Stage) -> None:
    only(stage, "rabbitmq")
    async with joined(stage.make(), HALL) as (broker, heard):
        await stage.delete_exchange("room")
        await broker.subscribe([TEA])
        assert heard.silent == [HALL]
        await broker.publish([(HALL, b"1"), (TEA, b"1")])
        await heard.until_heard(2)
    assert not heard.losses


async def test_a_queue_that_was_deleted_is_a_loss(stage: Stage) -> None:
    only(stage, "rabbitmq")
    async with joined(stage.make(), HALL) as (_, heard):
        await stage.delete_queues()
        await heard.until_lost()


async def test_a_master_that_was_demoted_is_found_out_by_who_speaks_and_soon_by_all(
    stage: Stage,
) -> None:
    only(stage, "redis")
    async with joined(stage.make(), HALL) as (_, heard), joined(stage.make()) as (speaker, own):
        await stage.demote()
        with pytest.raises(BrokerUnavailable, match="replica"):
            await speaker.publish([(HALL, b"1")])
        await own.until_lost()
        # Who is with it hears what its speaker takes for not said.
        await heard.until_heard(1)
        await stage.look()
        await heard.until_lost()
    assert heard.messages == [(HALL, b"1")]


async def test_a_server_about_to_stop_is_left_by_all_and_takes_nobody(stage: Stage) -> None:
    only(stage, "nats")
    async with joined(stage.make(), HALL) as (_, heard), joined(stage.make()) as (_, other):
        await stage.lame()
        await heard.until_lost()
        await other.until_lost()
        assert "about to stop" in str(heard.losses[0])
        with pytest.RaisesGroup(BrokerUnavailable, flatten_subgroups=True, allow_unwrapped=True):
            async with joined(stage.make()):
                pytest.fail("connected")


async def test_a_slot_that_moves_ends_the_links_that_know_it_elsewhere(cluster: Stage) -> None:
    async with (
        joined(cluster.make(), HALL) as (_, heard),
        joined(cluster.make()) as (speaker, own),
        joined(cluster.make()) as (_, idle),
    ):
        await cluster.move_slot(HALL)
        await heard.until_lost(HANGS)
        with pytest.raises(BrokerUnavailable, match="slots"):
            await speaker.publish([(HALL, b"")])
        await own.until_lost()
        await cluster.look()
        await idle.until_lost()
