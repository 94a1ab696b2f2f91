from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import redis
import trio

from deployd.config.brokers import Redis
from deployd.tools.chaos.servers import free_port
from deployd.transport import (
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    MessageTooLarge,
    SubscriptionRefused,
)
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.redis.driver import redis_driver
from support.inboxes import HANGS, Heard, wait_until
from support.redis_links import connect, linked, unwrapped
from support.redis_server import MakeRedisServer, RedisServer, RedisTls

HALL = "room.hall"
SECRET = "swordfish"


async def test_kill_9_is_noticed_at_once(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (broker, heard):
        server.kill()
        await heard.until_lost()
        assert isinstance(heard.losses[0], BrokerUnavailable)
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(HALL, b"")])
        assert len(heard.losses) == 1


async def test_a_server_that_ends_in_peace_is_noticed(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (_, heard):
        server.terminate()
        await heard.until_lost()


async def test_a_lost_link_never_comes_back_by_itself(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (broker, heard):
        server.kill()
        await heard.until_lost()
        server.start()
        for call in (broker.publish([(HALL, b"")]), broker.subscribe(["room.attic"])):
            with pytest.raises(BrokerUnavailable):
                await call
        assert not server.clients()


async def test_a_frozen_server_does_not_delay_close(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (broker, _):
        server.freeze()
        with trio.move_on_after(0.3) as patience:
            await broker.publish([(HALL, bytes(8 * 2**20))] * 4)  # more than sockets hold
        assert patience.cancelled_caught
        with trio.fail_after(HANGS):
            await broker.close()
    server.thaw()
    await wait_until(lambda: not server.clients())


async def test_a_frozen_server_hangs_connect_until_it_is_given_up(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    server.freeze()
    broker = Bridged(redis_driver(server.settings()))
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.3) as patience:
            await broker.connect(Heard(), nursery)
        with trio.fail_after(HANGS):
            await broker.close()
    assert patience.cancelled_caught
    server.thaw()
    await wait_until(lambda: not server.clients())


@pytest.mark.parametrize("listening", [True, False])
async def test_either_connection_that_the_server_kills_ends_the_link(
    make_redis_server: MakeRedisServer, listening: bool
) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (_, heard):
        chosen = [client for client in server.clients() if (client["sub"] == "1") == listening]
        server.ask("CLIENT", "KILL", "ID", chosen[0]["id"])
        await heard.until_lost()


async def test_a_cancelled_publish_ends_the_link(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (broker, heard):
        server.freeze()
        with trio.move_on_after(0.1):
            await broker.publish([(HALL, b"")])
        await heard.until_lost()
        server.thaw()


async def test_a_master_that_becomes_a_replica_ends_the_link(
    make_redis_server: MakeRedisServer,
) -> None:
    server, other = make_redis_server(), make_redis_server()
    async with linked(server.settings(), HALL) as (_, heard):
        server.ask("REPLICAOF", "127.0.0.1", other.port)
        await heard.until_lost()
    assert "is a replica" in str(heard.losses[0])
    with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{server.port} is a replica"):
        await connect(server.settings())


async def test_a_subscriber_that_the_server_cuts_off_learns_of_it(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server("--client-output-buffer-limit", "pubsub 1mb 0 0")
    behind = trio.Event()

    class Slow(Heard):
        def deliver(self, channel: str, payload: bytes) -> None:
            super().deliver(channel, payload)
            if not behind.is_set():
                behind.set()
                # Trio's thread is busy, which is what makes a pod slow.
                publish_much(server)

    heard = Slow()
    broker = Bridged(redis_driver(server.settings()))
    async with trio.open_nursery() as nursery:
        await broker.connect(heard, nursery)
        await broker.subscribe([HALL])
        await broker.publish([(HALL, b"first")])
        await heard.until_lost()
        await broker.close()
    assert 1 < len(heard.messages) < 601


def publish_much(server: RedisServer) -> None:
    name, payload = "deployd:db0:room.hall", "x" * 100_000
    with redis.Redis(port=server.port) as other:
        for _ in range(600):
            other.publish(name, payload)


async def test_an_error_for_a_publish_is_raised_and_ends_the_link(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    async with linked(server.settings(), HALL) as (broker, heard):
        server.ask("ACL", "SETUSER", "default", "-publish")
        with pytest.raises(BrokerRefused, match="denies the user"):
            await broker.publish([(HALL, b"")])
        await heard.until_lost()


async def test_wrong_credentials_are_refused_and_never_repeated(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server("--requirepass", "right", login=["-a", "right"])
    await connect(server.settings(password="right"))
    await connect(server.settings(username="default", password="right"))
    await connect(Redis(url=f"redis://:right@127.0.0.1:{server.port}/3"))
    for wrong, sentence in (
        (server.settings(), "set broker.redis.password"),
        (server.settings(password=SECRET), "broker.redis.password"),
        (server.settings(username="nobody", password=SECRET), "broker.redis.username"),
    ):
        with pytest.raises(BrokerRefused, match=sentence) as caught:
            await connect(wrong)
        assert SECRET not in str(caught.value)
        assert SECRET not in redis_driver(wrong).endpoint


async def test_what_else_the_operator_has_to_change(redis_server: RedisServer) -> None:
    for changes, sentence in (
        ({"password": SECRET}, "clear broker.redis.password"),
        ({"cluster": True}, "broker.redis.cluster"),
        ({"cluster": True, "database": 1}, "broker.redis.database"),
    ):
        with pytest.raises(BrokerRefused, match=sentence) as caught:
            await connect(redis_server.settings(**changes))
        assert SECRET not in str(caught.value)


async def test_a_user_with_few_rights_needs_no_more(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    rights = ["+publish", "+subscribe", "+unsubscribe", "resetchannels", "&deployd:*"]
    server.ask("ACL", "SETUSER", "pod", "on", ">word", *rights)
    await connect(server.settings(username="pod", password="word"))
    with pytest.raises(SubscriptionRefused, match="ACL"):
        await connect(server.settings(username="pod", password="word", prefix="other:"))


async def test_who_is_not_there_is_unavailable() -> None:
    port = free_port()
    with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{port} is out of reach"):
        await connect(Redis(host="127.0.0.1", port=port))
    with pytest.raises(BrokerUnavailable, match=r"nowhere.invalid:6379 cannot be resolved"):
        await connect(Redis(host="nowhere.invalid"))


async def test_who_does_not_speak_the_protocol_is_unavailable() -> None:
    with unwrapped():
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, babble, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            with pytest.raises(BrokerUnavailable, match=str(port)):
                await connect(Redis(host="127.0.0.1", port=port))
            nursery.cancel_scope.cancel()


async def babble(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def test_tls_is_verified(redis_tls: RedisTls) -> None:
    files = redis_tls.files
    for host in ("localhost", "127.0.0.1"):
        await connect(redis_tls.settings(host, ca_file=files.authority))
    for wrong in (
        redis_tls.settings(),
        redis_tls.settings(ca_file=files.stranger),
        redis_tls.settings(ca_file="/nonexistent.pem"),
    ):
        with pytest.raises(BrokerRefused, match=r"broker\.redis\.caFile"):
            await connect(wrong)


async def test_a_certificate_of_another_name_is_called_that(
    make_redis_tls: Callable[..., RedisTls],
) -> None:
    tls = make_redis_tls(host="127.0.0.2")
    with pytest.raises(BrokerRefused, match=r"somebody else .* correct broker\.redis\.host"):
        await connect(tls.settings("127.0.0.2", **tls.files.ca))


async def test_a_server_that_asks_for_a_certificate_gets_the_pods(
    make_redis_tls: Callable[..., RedisTls],
) -> None:
    tls = make_redis_tls("yes")
    await connect(tls.settings(**tls.files.own))
    # Redis resets the connection behind its alert, which then is lost or not.
    with pytest.raises(BrokerError, match=r"set broker\.redis\.certFile and keyFile"):
        await connect(tls.settings(**tls.files.ca))


async def test_a_certificate_out_of_its_time_is_called_that(
    make_redis_tls: Callable[..., RedisTls],
) -> None:
    tls = make_redis_tls(expired=True)
    with pytest.raises(BrokerRefused, match=r"out of its time .* renew it there"):
        await connect(tls.settings(**tls.files.ca))


async def test_plain_text_for_a_server_with_tls_is_unavailable(redis_tls: RedisTls) -> None:
    with pytest.raises(BrokerUnavailable, match=str(redis_tls.port)):
        await connect(Redis(host="127.0.0.1", port=redis_tls.port))


@pytest.mark.parametrize("prefix", ["*", "?", "[a-z]", "{x}", "{", "", "a b\r\n", "\N{SNOWMAN}"])
async def test_a_prefix_is_taken_literally(redis_server: RedisServer, prefix: str) -> None:
    ours, deep, short = (
        linked(redis_server.settings(prefix=each), HALL) for each in (prefix, "deep", "x")
    )
    async with ours as (broker, heard), deep as (_, other), short as (_, third):
        await broker.publish([(HALL, b"1")])
        await heard.until_heard(1)
        assert not other.messages
        assert not third.messages


async def test_databases_are_apart(redis_server: RedisServer) -> None:
    ours, theirs = redis_server.settings(database=1), redis_server.settings(database=2)
    async with linked(ours, HALL) as (broker, heard), linked(theirs, HALL) as (_, other):
        await broker.publish([(HALL, b"1")])
        await heard.until_heard(1)
        assert not other.messages


async def test_what_would_get_subscribers_cut_off_is_refused(redis_server: RedisServer) -> None:
    async with linked(redis_server.settings(), HALL) as (broker, heard):
        with pytest.raises(MessageTooLarge):
            await broker.publish([(HALL, bytes(broker.max_payload + 1))])
        await broker.publish([(HALL, bytes(broker.max_payload))])
        await heard.until_heard(1)
        assert broker.endpoint == f"127.0.0.1:{redis_server.port}"
