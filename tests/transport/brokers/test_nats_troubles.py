"""What a NATS server refuses for one subject, how it wants to be spoken to, and when it is full."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
import pytest
import trio

from deployd.config.brokers import Nats
from deployd.tools.chaos.servers import free_port
from deployd.transport import (
    BrokerRefused,
    BrokerUnavailable,
    MessagesRefused,
    SubscriptionRefused,
)
from support.certificates import BrokerFiles
from support.inboxes import wait_until
from support.nats_fakes import scripted_server
from support.nats_links import ROOM, connected, refusal, works
from support.nats_server import MakeNatsServer, NatsServer

UPPER, POD = "room.A", "pod.a"


async def reload(server: NatsServer, configuration: str) -> None:
    server.configure(configuration)
    times = server.log.count("Reloaded server configuration")
    os.kill(server.pid, signal.SIGHUP)
    await wait_until(lambda: server.log.count("Reloaded server configuration") > times)


def rights(publish: str = "deployd.>", subscribe: str = "deployd.>", deny: str = "") -> str:
    hear = f'{{ allow: "{subscribe}", deny: "{deny}" }}' if deny else f'"{subscribe}"'
    return (
        "authorization { users: [ { user: ann, password: x, permissions: "
        f'{{ publish: "{publish}", subscribe: {hear} }} }} ] }}'
    )


# What is refused.


async def test_what_may_not_be_said_is_refused_alone(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server(rights(publish="deployd.room.A"))
    async with connected(server.settings(username="ann", password="x")) as (broker, heard):
        await broker.subscribe([ROOM, UPPER, POD])
        batch = [(POD, b"1"), (UPPER, b"2"), (ROOM, b"3"), (UPPER, b"4")]
        with pytest.raises(MessagesRefused, match=r"let this user publish to deployd\.>") as caught:
            await broker.publish(batch)
        assert caught.value.indexes == (0, 2)
        await broker.publish([(UPPER, b"5")])
        await heard.until_heard(3)
        assert heard.messages == [(UPPER, b"2"), (UPPER, b"4"), (UPPER, b"5")]
        assert not heard.losses


async def test_who_says_what_may_be_said_at_the_same_time_does_not_notice(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server(rights(publish="deployd.room.>"))
    refused: list[tuple[int, ...]] = []
    async with connected(server.settings(username="ann", password="x")) as (broker, heard):
        await broker.subscribe([ROOM])

        async def say_what_is_denied() -> None:
            for _ in range(20):
                with pytest.raises(MessagesRefused) as caught:
                    await broker.publish([(ROOM, b"0"), (POD, b"")])
                refused.append(caught.value.indexes)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_what_is_denied)
            for _ in range(20):
                await broker.publish([(ROOM, b"1")])
        await heard.until_heard(40)
        assert refused == [(1,)] * 20
        assert not heard.losses


async def test_what_may_not_be_heard_is_refused_alone(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server(rights(subscribe="deployd.room.a"))
    async with connected(server.settings(username="ann", password="x")) as (broker, heard):
        for call in (broker.subscribe, broker.resubscribe):
            with pytest.raises(SubscriptionRefused, match="let this user subscribe") as caught:
                await call([POD, ROOM, UPPER])
            assert set(caught.value.channels) == {POD, UPPER}
        await broker.publish([(channel, b"1") for channel in (POD, ROOM, UPPER)])
        await heard.until_heard(1)
        assert heard.messages == [(ROOM, b"1")]
        assert heard.silent == []
        assert not heard.losses


async def test_a_right_that_is_taken_away_is_told_and_one_given_back_is_used(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server(rights())
    async with connected(server.settings(username="ann", password="x")) as (broker, heard):
        await broker.subscribe([ROOM, POD])
        await reload(server, rights(deny="deployd.room.>"))
        await heard.until(lambda: bool(heard.silent))
        assert heard.silent == [ROOM]
        with pytest.raises(SubscriptionRefused):
            await broker.resubscribe([ROOM])
        await reload(server, rights())
        await broker.resubscribe([ROOM])
        await broker.publish([(ROOM, b"1"), (POD, b"1")])
        await heard.until_heard(2)
        assert not heard.losses


async def test_more_subscriptions_than_the_server_takes_are_refused_alone(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("max_subscriptions: 3")
    rooms = [f"room.{number}" for number in range(5)]
    async with connected(server.settings()) as (broker, heard):
        with pytest.raises(SubscriptionRefused, match="max_subs") as caught:
            await broker.subscribe(rooms)
        assert list(caught.value.channels) == rooms[3:]
        await broker.publish([(room, b"") for room in rooms])
        await heard.until_heard(3)
        await broker.unsubscribe(rooms[:1])
        await broker.subscribe(rooms[4:])
        await broker.publish([(rooms[4], b"")])
        await heard.until_heard(4)
        assert not heard.losses


async def test_a_stream_over_the_pods_subjects_changes_nothing(
    make_nats_server: MakeNatsServer, tmp_path: Path
) -> None:
    server = make_nats_server(f'jetstream {{ store_dir: "{tmp_path}" }}')
    make = b'{"name":"ALL","subjects":["deployd.>"],"max_msgs":5,"storage":"memory"}'
    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
    subject = b"$JS.API.STREAM.CREATE.ALL"
    await stream.send_all(
        b"CONNECT {}\r\nSUB answer 1\r\nPUB %b answer %d\r\n%b\r\n" % (subject, len(make), make)
    )
    said = b""
    while b"did_create" not in said and b"error" not in said:
        said += await stream.receive_some()
    await stream.aclose()
    assert b'"did_create":true' in said
    async with connected(server.settings()) as (broker, heard):
        await broker.subscribe([ROOM])
        await broker.publish([(ROOM, b"%d" % number) for number in range(50)])
        await heard.until_heard(50)
        assert [int(payload) for _, payload in heard.messages] == list(range(50))
        assert not heard.losses


# What it is full of.


async def test_a_server_without_a_connection_left_says_so(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server()
    async with connected(server.settings()):
        # Not before: who looked whether it serves may still be counted.
        await reload(server, "max_connections: 1")
        error = await refusal(server.settings())
    assert type(error) is BrokerUnavailable
    assert "raise its max_connections" in str(error)


# How it wants to be spoken to.


def tls(files: BrokerFiles, more: str = "", cert: str = "", key: str = "") -> str:
    pair = f'cert_file: "{cert or files.cert}", key_file: "{key or files.key}"'
    return f"tls {{ {pair}{more} }}"


async def test_a_server_that_wants_tls_is_not_spoken_to_without(
    make_nats_server: MakeNatsServer, broker_files: BrokerFiles
) -> None:
    server = make_nats_server(tls(broker_files))
    for settings in (server.settings(), server.settings(**broker_files.ca)):
        error = await refusal(settings)
        assert type(error) is BrokerRefused
        assert "set broker.nats.tls on" in str(error)
    assert await works(server.settings(tls=True, **broker_files.ca))


async def test_a_server_that_begins_with_tls_is_spoken_to_so(
    make_nats_server: MakeNatsServer, broker_files: BrokerFiles
) -> None:
    server = make_nats_server(tls(broker_files, ", handshake_first: true"))
    assert await works(server.settings(tls=True, tls_first=True, **broker_files.ca))


async def test_a_server_that_asks_for_a_certificate_gets_the_pods(
    make_nats_server: MakeNatsServer, broker_files: BrokerFiles
) -> None:
    more = f', ca_file: "{broker_files.authority}", verify: true'
    server = make_nats_server(tls(broker_files, more))
    assert await works(server.settings(tls=True, **broker_files.own))
    error = await refusal(server.settings(tls=True, **broker_files.ca))
    assert type(error) is BrokerRefused
    assert "broker.nats.certFile" in str(error)


async def test_a_certificate_out_of_its_time_is_called_that(
    make_nats_server: MakeNatsServer, broker_files: BrokerFiles
) -> None:
    expired = {"cert": broker_files.expired, "key": broker_files.expired_key}
    server = make_nats_server(tls(broker_files, **expired))
    error = await refusal(server.settings(tls=True, **broker_files.ca))
    assert type(error) is BrokerRefused
    assert "out of its time" in str(error)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cert_file": "/nowhere.pem"}, "broker.nats.certFile: /nowhere.pem"),
        ({"key_file": "/nowhere.pem"}, "set broker.nats.certFile"),
        ({"ca_file": "/nowhere.pem"}, "broker.nats.caFile: /nowhere.pem"),
    ],
)
async def test_a_file_for_tls_that_is_none_is_named(
    changes: dict[str, str], sentence: str, nats_server: NatsServer
) -> None:
    error = await refusal(nats_server.settings(tls=True, **changes))
    assert type(error) is BrokerRefused
    assert sentence in str(error)


async def test_a_key_that_is_not_the_certificates_is_named(
    nats_server: NatsServer, broker_files: BrokerFiles
) -> None:
    mixed = {"cert_file": broker_files.pod, "key_file": broker_files.key}
    error = await refusal(nats_server.settings(tls=True, **mixed))
    assert "broker.nats.certFile" in str(error)


async def test_an_nkey_signs_in(make_nats_server: MakeNatsServer, tmp_path: Path) -> None:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(seed).public_key.decode()
    server = make_nats_server(f"authorization {{ users: [ {{ nkey: {public} }} ] }}")
    file = tmp_path / "pod.nk"
    marked = f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    for text in (seed.decode(), f"\n{seed.decode()}\n", marked):
        file.write_text(text)
        assert await works(server.settings(nkey_file=str(file)))
    other = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    account = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)
    for text in (other.decode(), account.decode(), "SUSECRET", ""):
        file.write_text(text)
        error = await refusal(server.settings(nkey_file=str(file)))
        assert type(error) is BrokerRefused
        assert "broker.nats.nkeyFile" in str(error)
        assert not text or text not in str(error)


# Where it is, and which.


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_a_host_may_be_an_address_of_ipv6(
    host: str, make_nats_server: MakeNatsServer
) -> None:
    port = make_nats_server(host="::1").port
    for settings in (
        Nats(host=host, port=port),
        Nats(host=host, port=port, cluster=True),
        Nats(host="127.0.0.1", port=free_port(), servers=(f"[::1]:{port}",)),
    ):
        async with connected(settings) as (broker, _):
            assert broker.endpoint == f"[::1]:{port}"


async def test_pods_of_one_server_know_that_it_is_one(nats_cluster: list[NatsServer]) -> None:
    nodes = []
    for server in (*nats_cluster, nats_cluster[0]):
        async with connected(server.settings()) as (broker, _):
            nodes.append(broker.node)
    assert nodes[0] == nodes[-1] != ""
    assert len(set(nodes)) == 3


async def test_a_server_that_tells_no_name_is_unknown() -> None:
    async with scripted_server(server_id=7) as server, connected(server.settings) as (broker, _):
        assert broker.node == ""
