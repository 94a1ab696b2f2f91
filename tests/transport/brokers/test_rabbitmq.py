"""What RabbitMQ does on its own: refusals, and the ways in which a connection ends."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from deployd.config.brokers import RabbitMQ as RabbitMQSettings
from deployd.tools.chaos.proxy import Latency, fault_proxy
from deployd.tools.chaos.servers import free_port
from deployd.transport import BrokerRefused, BrokerUnavailable
from deployd.transport.brokers.contract import Broker
from support import rabbitmq_links
from support.inboxes import HANGS, descriptors, threads, wait_until
from support.rabbitmq_server import MakeRabbitServer, RabbitServer

PATIENCE = 20


# Some of these wait for the server's own clocks: each has deadlines of its own.
joined = partial(rabbitmq_links.joined, within=math.inf)


async def refusal(settings: RabbitMQSettings) -> str:
    with pytest.RaisesGroup(BrokerRefused) as raised:
        async with joined(settings):
            pytest.fail("connected")
    said = str(raised.value.exceptions[0])
    assert said.startswith(f"{settings.host}:{settings.port}: "), said
    assert settings.password not in said
    return said


@pytest.fixture
def user(rabbitmq_server: RabbitServer) -> str:
    """A user without any permission, whose password is `sesame`."""
    if "stranger" not in rabbitmq_server.ctl("list_users"):
        rabbitmq_server.ctl("add_user", "stranger", "sesame")
    return "stranger"


async def test_a_wrong_password_is_refused_with_the_settings_to_change(
    rabbitmq_server: RabbitServer,
) -> None:
    said = await refusal(rabbitmq_server.settings(password="wr0ng-secret"))
    assert "broker.rabbitmq.username and broker.rabbitmq.password" in said


async def test_an_unknown_vhost_is_refused_with_the_setting_to_change(
    rabbitmq_server: RabbitServer,
) -> None:
    said = await refusal(rabbitmq_server.settings(vhost="no/where %2F", password="guest"))
    assert "not found" in said
    assert "broker.rabbitmq.vhost" in said
    assert "no/where %2F" in said


async def test_a_user_without_the_vhost_is_refused(
    rabbitmq_server: RabbitServer, user: str
) -> None:
    said = await refusal(rabbitmq_server.settings(username=user, password="sesame"))
    assert "set_permissions" in said


async def test_a_user_without_permission_for_the_names_is_refused(
    rabbitmq_server: RabbitServer, user: str
) -> None:
    rabbitmq_server.ctl("set_permissions", user, "^other", "^other", "^other")
    try:
        said = await refusal(rabbitmq_server.settings(username=user, password="sesame"))
        assert "begins with deployd." in said
    finally:
        rabbitmq_server.ctl("clear_permissions", user)


async def test_an_exchange_of_another_type_is_refused(rabbitmq_server: RabbitServer) -> None:
    # What another program has declared: a direct exchange by the name of our fanout.
    rabbitmq_server.ctl(
        "eval",
        'rabbit_exchange:declare({resource,<<"/">>,exchange,<<"taken.all">>},'
        "direct,false,false,false,[],<<>>).",
    )
    async with joined(rabbitmq_server.settings(exchange="taken")) as (broker, heard):
        with pytest.raises(BrokerRefused, match=r"another broker\.rabbitmq\.exchange"):
            await broker.subscribe(["all.x"])
        assert isinstance(heard.losses[0], BrokerRefused)


@pytest.mark.parametrize("host", ["nowhere.invalid", "127.0.0.1", "a" * 70 + ".invalid"])
async def test_a_server_out_of_reach_is_unavailable_and_named(host: str) -> None:
    settings = RabbitMQSettings(host=host, port=free_port())
    with pytest.RaisesGroup(BrokerUnavailable) as raised:
        async with joined(settings):
            pytest.fail("connected")
    assert f"{host}:{settings.port}" in str(raised.value.exceptions[0])


async def test_a_ca_file_that_is_none_is_refused() -> None:
    settings = RabbitMQSettings(tls=True, ca_file="/nowhere.pem")
    with pytest.RaisesGroup(pytest.RaisesExc(BrokerRefused, match=r"broker\.rabbitmq\.caFile")):
        async with joined(settings):
            pytest.fail("connected")


async def test_a_killed_server_is_noticed_at_once_and_without_noise(
    make_rabbitmq_server: MakeRabbitServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_rabbitmq_server()
    before = descriptors()
    async with joined(server.settings()) as (broker, heard):
        await broker.subscribe(["room.a"])
        await broker.publish([("room.a", b"1")])
        await heard.until_heard(1)
        server.kill()
        await heard.until_lost()  # long before a heartbeat would be missed
        with pytest.raises(BrokerUnavailable):
            await broker.publish([("room.a", b"2")])
    assert len(heard.losses) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    await wait_until(lambda: not threads() and descriptors() <= before)
    # The next incarnation declares again what the server has forgotten.
    server.start()
    async with joined(server.settings()) as (broker, heard):
        await broker.subscribe(["room.a"])
        await broker.publish([("room.a", b"3")])
        await heard.until_heard(1)


async def test_a_frozen_server_does_not_hold_up_close(
    make_rabbitmq_server: MakeRabbitServer,
) -> None:
    server = make_rabbitmq_server()
    async with joined(server.settings()) as (broker, heard):
        server.freeze()
        try:
            with trio.move_on_after(0.2):
                await broker.publish([("room.a", bytes(10**6))] * 20)
            with trio.fail_after(HANGS):
                await broker.close()
        finally:
            server.thaw()
    await wait_until(lambda: not threads())
    assert not heard.losses


async def publish_for_ever(broker: Broker) -> None:
    while True:
        await broker.publish([("room.a", b"2")])


async def test_a_memory_alarm_is_a_loss_that_names_it(
    make_rabbitmq_server: MakeRabbitServer,
) -> None:
    server = make_rabbitmq_server()
    async with joined(server.settings()) as (broker, heard):
        await broker.publish([("room.a", b"1")])
        await trio.to_thread.run_sync(server.ctl, "set_vm_memory_high_watermark", "0.0001")
        with trio.fail_after(PATIENCE), pytest.raises(BrokerUnavailable, match="memory"):
            await publish_for_ever(broker)
        assert "memory" in str(heard.losses[0])
    # It does not read what it has blocked, and yet it is not left with a connection each try.
    await until(lambda: connections(server) == 0, 15)
    # It lets us in again, and the first message tells.
    async with joined(server.settings()) as (broker, heard):
        with trio.fail_after(2), pytest.raises(BrokerUnavailable, match="memory"):
            await broker.publish([("room.a", b"3")])
        await trio.to_thread.run_sync(server.ctl, "set_vm_memory_high_watermark", "0.6")
    async with joined(server.settings()) as (broker, heard):
        await broker.publish([("room.a", b"4")])
        assert not heard.losses


async def until(condition: Callable[[], bool], seconds: float) -> None:
    with trio.fail_after(seconds):
        while not await trio.to_thread.run_sync(condition):
            pass  # each look takes a second


def connections(server: RabbitServer) -> int:
    return len(server.ctl("list_connections", "--no-table-headers", "pid").split())


def queues(server: RabbitServer, *columns: str) -> list[str]:
    return server.ctl("list_queues", "--no-table-headers", *columns).split("\n")


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (lambda server, queue: server.ctl("delete_queue", queue), "queue was deleted"),
        (lambda server, _: server.ctl("close_all_connections", "out you go"), "out you go"),
        (lambda server, _: server.ctl("stop_app"), "shutdown"),
    ],
    ids=["queue deleted", "connections closed", "server stopped"],
)
async def test_what_an_operator_takes_away_is_a_loss(
    do: Callable[[RabbitServer, str], Any],
    reason: str,
    make_rabbitmq_server: MakeRabbitServer,
) -> None:
    server = make_rabbitmq_server()
    async with joined(server.settings()) as (broker, heard):
        await broker.subscribe(["room.a"])
        queue = next(row for row in queues(server, "name") if not row.endswith(".dropped"))
        await trio.to_thread.run_sync(do, server, queue)
        await heard.until_lost()
        assert reason in str(heard.losses[0])
        assert len(heard.losses) == 1


async def test_the_queue_is_the_pods_own_and_bounded(rabbitmq_server: RabbitServer) -> None:
    settings = rabbitmq_server.settings(exchange="bounds", queue_length=7)
    async with joined(settings, ttl=2.5) as (_, _):
        rows = queues(rabbitmq_server, "name", "exclusive", "auto_delete", "arguments")
        row = next(row for row in rows if row.startswith("bounds.") and "overflow" in row)
    assert "true\ttrue" in row
    assert '"x-message-ttl",2500' in row
    assert '"x-max-length",7' in row
    assert '"x-overflow","drop-head"' in row
    assert "x-max-length-bytes" in row
    assert not [row for row in queues(rabbitmq_server, "name") if row.startswith("bounds.")]


async def test_a_thousand_rooms_are_joined_and_left_in_a_moment(
    rabbitmq_server: RabbitServer,
) -> None:
    rooms = [f"room.r{number}" for number in range(1000)]
    async with fault_proxy(rabbitmq_server.port) as proxy:
        # Each way: who waits for each answer waits for 100 s.
        proxy.toxics.put_both(Latency(latency=50))
        settings = rabbitmq_server.settings(exchange="many", port=proxy.port)
        async with joined(settings) as (broker, _):
            with trio.fail_after(4 * HANGS):
                await broker.subscribe(rooms)
    async with joined(rabbitmq_server.settings(exchange="many")) as (broker, heard):
        await broker.subscribe(rooms)
        await broker.publish([(room, b"") for room in rooms])
        await heard.until_heard(1000)
        assert [channel for channel, _ in heard.messages] == rooms
        await broker.unsubscribe(rooms)
        await broker.publish([(room, b"") for room in rooms])
        assert len(heard.messages) == 1000
