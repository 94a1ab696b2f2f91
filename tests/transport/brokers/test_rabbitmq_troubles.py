"""What a RabbitMQ server refuses for one message or one channel, and what that costs the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from aio_pika.exceptions import (
    ChannelClosed,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from aiormq.exceptions import ChannelAccessRefused

from deployd.config.brokers import RabbitMQ as RabbitMQSettings
from deployd.transport import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    MessagesRefused,
    MessageTooLarge,
    SubscriptionRefused,
)
from deployd.transport.brokers.rabbitmq.client import SignInRefused
from deployd.transport.brokers.rabbitmq.errors import translate
from deployd.transport.brokers.rabbitmq.troubles import (
    Denied,
    Missing,
    TooLarge,
    Trouble,
    trouble_of,
)
from support.rabbitmq_links import ROOM, joined, operate
from support.rabbitmq_server import RabbitServer

OTHER, POD = "room.b", "pod.a"
LIMIT = 131_072


async def delete_exchange(server: RabbitServer, name: str) -> None:
    resource = f'rabbit_misc:r(<<"/">>,exchange,<<"{name}">>)'
    await operate(server, "eval", f"rabbit_exchange:delete({resource},false,<<>>).")


@contextmanager
def message_limit(server: RabbitServer, nbytes: int) -> Iterator[None]:
    """Have channels that are opened meanwhile take messages of so many bytes at most."""

    def limit(nbytes: int) -> None:
        server.ctl("eval", f"application:set_env(rabbit, max_message_size, {nbytes}).")

    limit(nbytes)
    try:
        yield
    finally:
        limit(134_217_728)  # what the server comes with


@contextmanager
def permissions(server: RabbitServer, write: str = ".*", read: str = ".*") -> Iterator[str]:
    """Make a user, whose password is `sesame`, with these rights."""
    user = "limited"
    server.ctl("add_user", user, "sesame")
    server.ctl("set_permissions", user, ".*", write, read)
    try:
        yield user
    finally:
        server.ctl("delete_user", user)


async def test_a_limit_of_the_server_is_learned_and_costs_nobody_the_connection(
    rabbitmq_server: RabbitServer,
) -> None:
    with message_limit(rabbitmq_server, LIMIT):
        async with joined(rabbitmq_server.settings(exchange="limit")) as (broker, heard):
            await broker.subscribe([ROOM, OTHER])
            others: list[BrokerError] = []

            async def speak() -> None:
                for number in range(20):
                    try:
                        await broker.publish([(OTHER, b"%d" % number)])
                    except BrokerError as error:
                        others.append(error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(speak)
                for nbytes in (LIMIT + 1, 5 * LIMIT):
                    with pytest.raises(MessageTooLarge) as caught:
                        await broker.publish([(ROOM, b"small"), (ROOM, bytes(nbytes))])
                    assert (caught.value.nbytes, caught.value.limit) == (nbytes, LIMIT)
                assert broker.max_payload == LIMIT
            assert not others
            await broker.publish([(ROOM, bytes(LIMIT))])
            await heard.until(lambda: (ROOM, bytes(LIMIT)) in heard.messages)
        said = [int(payload) for channel, payload in heard.messages if channel == OTHER]
        # Again, perhaps, where the end of the channel left in doubt what had been taken.
        assert sorted(set(said)) == list(range(20))
        assert not heard.losses


async def test_a_publish_to_a_deleted_exchange_declares_it_again_and_says_who_was_deaf(
    rabbitmq_server: RabbitServer,
) -> None:
    async with joined(rabbitmq_server.settings(exchange="gone")) as (broker, heard):
        await broker.subscribe([ROOM, OTHER, POD])
        await broker.publish([(ROOM, b"1"), (POD, b"1")])
        await heard.until_heard(2)
        await delete_exchange(rabbitmq_server, "gone.room")
        await broker.publish([(ROOM, b"2"), (OTHER, b"2")])
        await heard.until_heard(4)
        assert heard.messages[2:] == [(ROOM, b"2"), (OTHER, b"2")]
        assert sorted(heard.silent) == [ROOM, OTHER]
        assert not heard.losses


@pytest.mark.parametrize("what", ["exchange", "binding"])
async def test_what_an_operator_took_away_is_made_good_by_subscribing_again(
    rabbitmq_server: RabbitServer, what: str
) -> None:
    settings = rabbitmq_server.settings(exchange="taken-away")
    async with joined(settings) as (broker, heard), joined(settings) as (other, _):
        await broker.subscribe([ROOM, POD])
        if what == "exchange":
            await delete_exchange(rabbitmq_server, "taken-away.room")
        else:
            source = 'rabbit_misc:r(<<"/">>, exchange, <<"taken-away.room">>)'
            bindings = f"rabbit_binding:list_for_source({source})"
            words = f'[rabbit_binding:remove(B, <<"me">>) || B <- {bindings}].'
            await operate(rabbitmq_server, "eval", words)
        await other.publish([(ROOM, b"lost")])
        await broker.resubscribe([ROOM])
        await other.publish([(ROOM, b"heard"), (POD, b"all the while")])
        await heard.until_heard(2)
        assert heard.messages == [(ROOM, b"heard"), (POD, b"all the while")]
        assert not heard.losses


async def test_a_subscription_that_finds_its_exchange_deleted_gives_the_others_theirs_back(
    rabbitmq_server: RabbitServer,
) -> None:
    async with joined(rabbitmq_server.settings(exchange="found")) as (broker, heard):
        await broker.subscribe([ROOM])
        await delete_exchange(rabbitmq_server, "found.room")
        await broker.subscribe([OTHER])
        assert heard.silent == [ROOM]
        await delete_exchange(rabbitmq_server, "found.room")
        await broker.unsubscribe([OTHER])
        await broker.resubscribe([ROOM])
        await broker.publish([(ROOM, b"1"), (OTHER, b"1")])
        await heard.until_heard(1)
        assert heard.messages == [(ROOM, b"1")]
        assert not heard.losses


async def test_what_may_not_be_said_is_refused_alone(rabbitmq_server: RabbitServer) -> None:
    exchange = "write"
    with permissions(rabbitmq_server, write=r"^write\.([0-9a-f].*|pod|dropped)$") as user:
        settings = rabbitmq_server.settings(exchange=exchange, username=user, password="sesame")
        async with joined(settings) as (broker, heard):
            await broker.subscribe([ROOM, POD])
            for _ in range(2):
                with pytest.raises(MessagesRefused, match="begins with write") as caught:
                    await broker.publish([(POD, b"1"), (ROOM, b"2"), (POD, b"3"), (OTHER, b"4")])
                assert caught.value.indexes == (1, 3)
            await broker.publish([(POD, b"5")])
            await heard.until(lambda: (POD, b"5") in heard.messages)
        assert {channel for channel, _ in heard.messages} == {POD}
        assert {payload for _, payload in heard.messages} == {b"1", b"3", b"5"}
        assert not heard.losses


async def test_what_is_said_at_once_with_what_may_not_be_said_costs_nobody_the_connection(
    rabbitmq_server: RabbitServer,
) -> None:
    with permissions(rabbitmq_server, write=r"^once\.([0-9a-f].*|pod|dropped)$") as user:
        settings = rabbitmq_server.settings(exchange="once", username=user, password="sesame")
        async with joined(settings) as (broker, heard):
            await broker.subscribe([POD])

            async def denied() -> None:
                with pytest.raises(MessagesRefused):
                    await broker.publish([(ROOM, b"denied")])

            for _ in range(5):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(denied)
                    for _ in range(3):
                        nursery.start_soon(broker.publish, [(POD, b"said")])
            await heard.until_heard(15)
        assert not heard.losses


async def test_what_may_not_be_heard_is_refused_alone(rabbitmq_server: RabbitServer) -> None:
    with permissions(rabbitmq_server, read=r"^read\.([0-9a-f].*|pod|dropped)$") as user:
        settings = rabbitmq_server.settings(exchange="read", username=user, password="sesame")
        async with joined(settings) as (broker, heard):
            for call in (broker.subscribe, broker.resubscribe):
                with pytest.raises(SubscriptionRefused, match="begins with read") as caught:
                    await call([ROOM, POD, OTHER])
                assert set(caught.value.channels) == {ROOM, OTHER}
            await broker.publish([(ROOM, b"1"), (POD, b"1")])
            await heard.until_heard(1)
        assert heard.messages == [(POD, b"1")]
        assert not heard.losses


@pytest.mark.parametrize(
    ("on", "off"),
    [
        (
            ("set_vhost_limits", "-p", "/", '{"max-connections": 0}'),
            ("clear_vhost_limits", "-p", "/"),
        ),
        (
            ("set_user_limits", "guest", '{"max-connections": 0}'),
            ("clear_user_limits", "guest", "all"),
        ),
        (("set_vhost_limits", "-p", "/", '{"max-queues": 0}'), ("clear_vhost_limits", "-p", "/")),
    ],
    ids=["connections of a vhost", "connections of a user", "queues"],
)
async def test_a_limit_that_is_reached_is_no_matter_of_credentials(
    rabbitmq_server: RabbitServer, on: tuple[str, ...], off: tuple[str, ...]
) -> None:
    rabbitmq_server.ctl(*on)
    try:
        with pytest.RaisesGroup(BrokerUnavailable, flatten_subgroups=True) as caught:
            async with joined(rabbitmq_server.settings()):
                pytest.fail("connected")
        said = str(caught.value.exceptions[0])
        assert "limit" in said
        assert "username" not in said
        assert "permission" not in said
    finally:
        rabbitmq_server.ctl(*off)


NO_EXCHANGE = "NOT_FOUND - no exchange 'deployd.room' in vhost '/'"
NO_QUEUE = "NOT_FOUND - no queue 'deployd.0a1b' in vhost '/'"
NO_RIGHT = "ACCESS_REFUSED - write access to exchange 'deployd.room' in vhost '/' refused for user"


@pytest.mark.parametrize(
    ("reason", "trouble"),
    [
        (ChannelNotFoundEntity(NO_EXCHANGE), Missing("deployd.room")),
        (ChannelNotFoundEntity(NO_QUEUE), None),
        (ChannelAccessRefused(NO_RIGHT), Denied("deployd.room")),
        (ChannelAccessRefused("ACCESS_REFUSED - access to queue 'q' refused"), None),
        (
            ChannelPreconditionFailed("message size 9 is larger than configured max size 8"),
            TooLarge(8),
        ),
        (ChannelPreconditionFailed("message size 9 is larger than max size 8"), TooLarge(8)),
        (ChannelPreconditionFailed("inequivalent arg 'type' for exchange 'x'"), None),
        (ChannelClosed(541, "INTERNAL_ERROR"), None),
        (ChannelClosed(None, None), None),
        (None, None),
    ],
)
def test_whose_trouble_the_end_of_a_channel_is(
    reason: BaseException | None, trouble: Trouble | None
) -> None:
    assert trouble_of(reason) == trouble


REFUSED = "NOT_ALLOWED - access to vhost '/' refused for user 'guest': "


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (SignInRefused(REFUSED + "connection limit (3) is reached"), BrokerUnavailable, "limit"),
        (
            SignInRefused("NOT_ALLOWED - connection refused for user 'guest': user connection"
            " limit (3) is reached"),
            BrokerUnavailable,
            "raise the limit",
        ),
        (
            SignInRefused("INTERNAL_ERROR - access to vhost '/' refused for user 'guest': vhost"
            " '/' is down"),
            BrokerUnavailable,
            "restart_vhost",
        ),
        (SignInRefused(REFUSED.strip(": ")), BrokerRefused, "set_permissions"),
        (SignInRefused("ACCESS_REFUSED - Login was refused"), BrokerRefused, "password"),
    ],
)  # fmt: skip
def test_how_the_server_says_no_decides_what_helps(
    error: Exception, kind: type[BrokerError], sentence: str
) -> None:
    said = translate(error, RabbitMQSettings())
    assert type(said) is kind
    assert sentence in str(said)
