"""Parts of the brokers' client libraries that are not public and that we use: they are still there.

Each fails with a sentence where a new version has changed one; `docs/libraries.md` says what each
is for. What the parts do is tried by `test_nats`, `test_rabbitmq` and `test_redis`, with servers.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from aiormq.channel import Channel
from aiormq.connection import Connection as AmqpConnection
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from redis.asyncio.connection import AbstractConnection, Connection

from deployd.transport.brokers.nats.client import NatsConnection
from deployd.transport.brokers.rabbitmq.client import (
    ConsumingChannel,
    PublishingChannel,
    RabbitConnection,
)


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def names_in(function: Any) -> set[str]:
    """Return the attributes and globals that a function's code names."""
    return set(function.__code__.co_names)


def test_nats_keeps_what_waits_to_be_written_in_two_attributes_and_no_third() -> None:
    client = Client()
    waiting = {name: value for name, value in vars(client).items() if name.startswith("_pending")}
    assert waiting == {"_pending": [], "_pending_data_size": 0}, (
        f"NatsConnection.settle writes what waits by itself; nats-py now keeps it in {waiting}"
    )


def test_nats_answers_pongs_in_the_order_of_a_list() -> None:
    assert Client()._pongs == [], "NatsConnection.settle appends its PONG to a list; it is none"
    assert "_pongs" in names_in(Client._process_pong), "nats-py takes PONGs from somewhere else now"


def test_nats_knows_subscriptions_by_number_and_its_transport_by_name() -> None:
    client = Client()
    assert client._subs == {}, "NatsConnection asks _subs for whom a message is; it is no dict"
    assert client._transport is None, "_transport is not the connection's transport any more"


@pytest.mark.parametrize("name", ["_read_loop", "_process_msg", "_process_info", "_process_err"])
def test_nats_calls_what_we_override_with_what_we_take(name: str) -> None:
    theirs = getattr(Client, name, None)
    assert theirs is not None, f"nats-py's client has no {name} any more: nothing calls ours"
    assert inspect.iscoroutinefunction(theirs), f"{name} is not async any more"
    assert parameters(theirs) == parameters(getattr(NatsConnection, name)), f"{name} has changed"


def test_nats_still_calls_what_we_override() -> None:
    source = inspect.getsource(Client) + inspect.getsource(inspect.getmodule(Client) or Client)
    for name in ("_read_loop", "_process_info"):
        assert f"self.{name}(" in source, f"nats-py's client does not call {name} any more"
    parser = inspect.getsource(__import__("nats.protocol.parser", fromlist=["parser"]))
    assert "_process_msg(" in parser, "nats-py's parser hands messages to something else now"


def test_nats_has_an_errors_line_in_its_parser_and_its_reader_in_its_transport() -> None:
    assert Client()._ps.buf == b"", "NatsConnection reads a denied subject from _ps.buf"
    transport = TcpTransport()  # type: ignore[no-untyped-call]
    assert "_io_reader" in vars(transport), "NatsConnection reads parting words from _io_reader"


def test_asyncio_keeps_what_was_not_read_in_a_buffer() -> None:
    loop = asyncio.new_event_loop()
    try:
        reader = asyncio.StreamReader(loop=loop)
        assert getattr(reader, "_buffer", None) == b"", (
            "what a server said before it hung up is read from StreamReader._buffer"
        )
    finally:
        loop.close()


def test_nats_keeps_the_bare_writer_in_its_transport() -> None:
    transport = TcpTransport()  # type: ignore[no-untyped-call]
    assert "_bare_io_writer" in vars(transport), (
        "NatsConnection.abandon aborts the socket of _bare_io_writer, which is not there"
    )


def test_nats_makes_an_iterator_for_each_subscription() -> None:
    assert "_message_iterator" in names_in(Subscription.__init__), (
        "NatsDriver cuts a subscription's cycle at _message_iterator, which is not there"
    )


def test_aiormq_reads_in_a_task_that_is_known_by_name() -> None:
    assert "_reader_task" in AmqpConnection.__annotations__, (
        "RabbitConnection's end is that of _reader_task, which is not there"
    )


def test_aiormq_signs_in_by_a_call_that_we_override() -> None:
    theirs = AmqpConnection._rpc
    assert isinstance(vars(AmqpConnection)["_rpc"], staticmethod), "_rpc is not static any more"
    assert parameters(theirs) == parameters(RabbitConnection._rpc), "_rpc has changed"
    connect = inspect.unwrap(AmqpConnection.connect)
    assert "_rpc" in names_in(connect), "connect does not sign in by _rpc any more"


def test_aiormq_calls_what_learns_that_a_connection_is_blocked() -> None:
    name = "_Connection__handle_connection_blocked"
    assert name in vars(AmqpConnection), f"aiormq has no {name}: nobody learns of an alarm"
    reader = vars(AmqpConnection)["_Connection__reader"]
    assert name in names_in(reader), f"aiormq's reader does not call {name} any more"
    ours = vars(RabbitConnection)[name]
    assert parameters(ours) == parameters(vars(AmqpConnection)[name]), f"{name} has changed"


@pytest.mark.parametrize(
    ("ours", "name"),
    [(PublishingChannel, "_on_confirm_frame"), (ConsumingChannel, "_on_deliver_frame")],
)
def test_aiormq_hands_frames_to_what_we_override(ours: type[Channel], name: str) -> None:
    assert name in names_in(Channel._reader), f"aiormq's channel does not call {name} any more"
    assert parameters(getattr(ours, name)) == parameters(getattr(Channel, name)), f"{name} changed"


def test_aiormq_reads_the_rest_of_a_message_by_two_calls() -> None:
    assert parameters(Channel._get_frame) == ["self"], "_get_frame has changed"
    assert parameters(Channel._read_content) == ["self", "frame", "header"], (
        "_read_content has changed, by which ConsumingChannel reads a message's body"
    )


def test_aiormq_keeps_why_a_channel_was_closed() -> None:
    assert "_close_exception" in names_in(Channel.__init__), (
        "_OnlyChannel.reason reads _close_exception, which is not there"
    )


def test_redis_keeps_its_writer_by_name_and_forgets_it_when_it_disconnects() -> None:
    assert Connection()._writer is None, "a new connection of redis-py has a writer already"
    for function in (Connection._connect, AbstractConnection.disconnect):
        assert "_writer" in names_in(function), (
            f"{function.__qualname__} does not know _writer, whose transport we abort"
        )
    assert "nowait" in parameters(AbstractConnection.disconnect), "disconnect has no `nowait`"


def test_redis_connects_by_what_we_override_and_keeps_its_reader_by_name() -> None:
    assert Connection()._reader is None, "a new connection of redis-py has a reader already"
    assert parameters(Connection._connect) == ["self"]
    assert "_connect" in names_in(
        AbstractConnection.connect_check_health
    ) or "_connect" in names_in(AbstractConnection.connect), (
        "redis-py connects by something else than _connect"
    )
    assert "_connection_arguments" in names_in(Connection._connect), (
        "Secure names the host to prove in _connection_arguments, which nothing calls"
    )
