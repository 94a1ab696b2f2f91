from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from nats.aio.subscription import Subscription

from deployd.config.brokers import Nats
from deployd.tools.chaos.servers import free_port
from deployd.transport import BrokerRefused, BrokerUnavailable, MessageTooLarge
from deployd.transport.brokers.contract.conformance import CHECKS
from support.inboxes import HANGS, Heard, threads, wait_until
from support.nats_fakes import Operator, scripted_server
from support.nats_links import ROOM, connected, made, refusal, works
from support.nats_server import MakeNatsServer, NatsServer


async def test_a_subscription_that_has_ended_leaves_nothing_for_the_garbage_collector(
    make_nats_server: MakeNatsServer,
) -> None:
    def left() -> int:
        return sum(isinstance(thing, Subscription) for thing in gc.get_objects())

    async with connected(make_nats_server().settings()) as (broker, heard):
        await broker.subscribe([ROOM])
        gc.collect()
        gc.disable()
        try:
            before = left()
            await broker.unsubscribe([ROOM])
            assert left() == before - 1
        finally:
            gc.enable()
        await broker.subscribe([ROOM])
        await broker.publish([(ROOM, b"hello")])
        await heard.until_heard(1)


# Who is let in.


async def test_a_user_signs_in_and_a_wrong_password_is_refused(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("authorization { user: ann, password: right-password }")
    assert await works(server.settings(username="ann", password="right-password"))
    for password in ("wrong-password", ""):
        error = await refusal(server.settings(username="ann", password=password))
        assert isinstance(error, BrokerRefused)
        assert "broker.nats.password" in str(error)
        assert "wrong-password" not in str(error)
    assert isinstance(await refusal(server.settings()), BrokerRefused)


async def test_a_token_signs_in_and_a_wrong_one_is_refused(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("authorization { token: right-token }")
    assert await works(server.settings(token="right-token"))
    error = await refusal(server.settings(token="wrong-token"))
    assert isinstance(error, BrokerRefused)
    assert "broker.nats.token" in str(error)
    assert "wrong-token" not in str(error)


async def test_a_file_of_credentials_signs_in(
    make_nats_server: MakeNatsServer, tmp_path: Path
) -> None:
    operator, file = Operator(), tmp_path / "pod.creds"
    server = make_nats_server(operator.configuration)
    file.write_text(operator.credentials())
    settings = server.settings(credentials_file=str(file))
    assert await works(settings)
    file.write_text(operator.credentials(expires=-10))
    error = await refusal(settings)
    assert isinstance(error, BrokerRefused)
    assert "broker.nats.credentialsFile" in str(error)
    file.write_text(Operator().credentials())
    assert isinstance(await refusal(settings), BrokerRefused)


JWT = "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n"
SEED = "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", JWT, SEED.format("abc"), JWT + SEED.format("SUSECRET"), JWT + SEED, "é"],
)
async def test_a_file_without_credentials_is_refused(
    text: str, tmp_path: Path, nats_server: NatsServer
) -> None:
    file = tmp_path / "pod.creds"
    file.write_text(text)
    error = await refusal(nats_server.settings(credentials_file=str(file)))
    assert isinstance(error, BrokerRefused)
    assert f"broker.nats.credentialsFile: {file}" in str(error)
    assert "SECRET" not in str(error)


async def test_a_file_of_credentials_that_is_missing_is_refused(nats_server: NatsServer) -> None:
    error = await refusal(nats_server.settings(credentials_file="/nowhere/pod.creds"))
    assert isinstance(error, BrokerRefused)
    assert "No such file" in str(error)


async def test_credentials_that_change_while_connected_end_in_a_refusal(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("authorization { user: ann, password: old }")
    settings = server.settings(username="ann", password="old")
    async with connected(settings) as (_, heard):
        server.configure("authorization { user: ann, password: new }")
        os.kill(server.pid, signal.SIGHUP)
        await heard.until_lost()  # some servers say why, some just hang up
    assert isinstance(await refusal(settings), BrokerRefused)


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", names, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


async def test_tls_proves_the_server(
    make_nats_server: MakeNatsServer, certificate: tuple[Path, Path]
) -> None:
    file, key = certificate
    server = make_nats_server(f'tls {{ cert_file: "{file}", key_file: "{key}" }}')
    assert await works(server.settings(tls=True, ca_file=str(file)))
    error = await refusal(server.settings(tls=True))
    assert isinstance(error, BrokerRefused)
    assert "broker.nats.caFile" in str(error)


async def test_a_frozen_server_with_tls_is_left_within_a_second(
    make_nats_server: MakeNatsServer, certificate: tuple[Path, Path]
) -> None:
    file, key = certificate
    server = make_nats_server(f'tls {{ cert_file: "{file}", key_file: "{key}" }}')
    async with connected(server.settings(tls=True, ca_file=str(file))) as (broker, _):
        server.freeze()
        with trio.move_on_after(0.1):
            await broker.publish([(ROOM, bytes(1000))] * 1000)
        with trio.fail_after(HANGS):
            await broker.close()
    assert threads() == []


@pytest.mark.parametrize("content", [None, "nonsense"])
async def test_certificates_that_cannot_be_read_are_refused(
    content: str | None, tmp_path: Path, nats_server: NatsServer
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = await refusal(nats_server.settings(tls=True, ca_file=str(file)))
    assert isinstance(error, BrokerRefused)
    assert "broker.nats.caFile" in str(error)


async def test_a_server_without_the_tls_asked_for_is_told_no_secret() -> None:
    async with scripted_server() as server:
        error = await refusal(attrs.evolve(server.settings, tls=True))
        assert isinstance(error, BrokerRefused)
        assert "offers no TLS" in str(error)
        assert server.received == b""


# Where the server is.


async def test_a_port_where_nobody_listens_is_an_outage() -> None:
    port = free_port()
    error = await refusal(Nats(host="127.0.0.1", port=port))
    assert isinstance(error, BrokerUnavailable)
    assert f"127.0.0.1:{port}: " in str(error)


async def test_a_name_that_is_none_is_an_outage() -> None:
    error = await refusal(Nats(host="nowhere.invalid"))
    assert isinstance(error, BrokerUnavailable)
    assert "nowhere.invalid:4222" in str(error)


@asynccontextmanager
async def servers_that_hang_up(count: int) -> AsyncIterator[tuple[list[int], dict[int, int]]]:
    """Listen on so many ports and hang up at once; the calls of each port are counted."""
    calls: dict[int, int] = {}

    async def hang_up(stream: trio.SocketStream) -> None:
        calls[stream.socket.getsockname()[1]] += 1
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            calls[listeners[0].socket.getsockname()[1]] = 0
            nursery.start_soon(trio.serve_listeners, hang_up, listeners)
        yield list(calls), calls
        nursery.cancel_scope.cancel()


async def test_each_server_is_tried_once(nats_server: NatsServer) -> None:
    dead = Nats(host="127.0.0.1", port=free_port())
    for _ in range(4):  # in any order
        settings = attrs.evolve(dead, servers=(f"127.0.0.1:{nats_server.port}",))
        async with connected(settings) as (broker, _):
            assert broker.endpoint == f"127.0.0.1:{nats_server.port}"
    async with servers_that_hang_up(2) as (ports, calls):
        nowhere = Nats(host="127.0.0.1", port=ports[0], servers=(f"127.0.0.1:{ports[1]}",))
        assert isinstance(await refusal(nowhere), BrokerUnavailable)
        assert calls == dict.fromkeys(ports, 1)


async def test_a_cluster_may_hide_behind_one_name(nats_server: NatsServer) -> None:
    # `localhost` may have two addresses, and the server listens on one of them.
    settings = nats_server.settings(host="localhost", cluster=True)
    for _ in range(4):
        async with connected(settings) as (broker, _heard):
            assert broker.endpoint == f"127.0.0.1:{nats_server.port}"
    nowhere = attrs.evolve(settings, host="nowhere.invalid")
    assert "nowhere.invalid" in str(await refusal(nowhere))


async def test_a_silent_server_is_passed_over(nats_server: NatsServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = nats_server.settings(servers=(f"127.0.0.1:{port}",))
        for _ in range(3):
            assert await works(settings)


async def test_a_silent_server_hangs_until_it_is_cancelled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = made(Nats(host="127.0.0.1", port=silent.getsockname()[1]))
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.1) as scope:
                await broker.connect(Heard(), nursery)
            assert scope.cancelled_caught
            with trio.fail_after(HANGS):
                await broker.close()
    assert threads() == []


# What becomes of a connection.


@pytest.mark.parametrize(
    "end", [NatsServer.kill, NatsServer.terminate], ids=["kill -9", "terminate"]
)
async def test_a_server_that_ends_is_noticed_at_once(
    end: Callable[[NatsServer], None], make_nats_server: MakeNatsServer
) -> None:
    server = make_nats_server()
    async with connected(server.settings()) as (broker, heard):
        await broker.subscribe([ROOM])
        end(server)
        await heard.until_lost()
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(ROOM, b"")])
    assert isinstance(heard.losses[0], BrokerUnavailable)
    assert len(heard.losses) == 1


async def test_what_is_being_published_when_the_server_dies_is_not_taken(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server()
    async with connected(server.settings()) as (broker, _), trio.open_nursery() as nursery:
        server.freeze()

        async def publish() -> None:
            with pytest.raises(BrokerUnavailable):
                await broker.publish([(ROOM, b"x")])

        nursery.start_soon(publish)
        await trio.testing.wait_all_tasks_blocked(0.05)
        server.kill()


async def test_a_frozen_server_is_left_within_a_second(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server()
    async with connected(server.settings()) as (broker, heard):
        server.freeze()
        with trio.move_on_after(0.1) as scope:
            await broker.publish([(ROOM, bytes(100_000))] * 200)
        assert scope.cancelled_caught
        with trio.fail_after(HANGS):
            await broker.close()
    assert threads() == []
    assert heard.losses == []


async def test_a_short_pause_of_the_server_is_no_loss(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server()
    async with connected(server.settings()) as (broker, heard), trio.open_nursery() as nursery:
        await broker.subscribe([ROOM])
        server.freeze()
        nursery.start_soon(broker.publish, [(ROOM, b"1")])
        await trio.testing.wait_all_tasks_blocked(0.05)
        server.thaw()
        await heard.until_heard(1)
    assert heard.losses == []


async def test_a_server_about_to_stop_is_left_before_it_does(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server('lame_duck_duration: "30s", lame_duck_grace_period: "10s"')
    async with connected(server.settings()) as (_, heard):
        os.kill(server.pid, signal.SIGUSR2)
        await heard.until_lost()
    assert "about to stop" in str(heard.losses[0])


@pytest.mark.parametrize(
    "words",
    [
        b"-ERR 'Stale Connection'\r\n",
        b"-ERR 'Slow Consumer'\r\n",
        b"-ERR 'maximum connections exceeded'\r\n",
        b"-ERR \r\n",
        b"-ERR '\xff\xfe'\r\n",
        b"-ERR nonsense\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"INFO {nonsense}\r\n",
        b"INFO 7\r\n",
        b"MSG deployd.room.a x 3\r\nabc\r\n",
        b"MSG \xff\xff 1 3\r\nabc\r\n",
    ],
)
async def test_whatever_the_server_says_is_a_loss_and_never_silence(words: bytes) -> None:
    async with scripted_server() as server, connected(server.settings) as (broker, heard):
        await broker.subscribe([ROOM])
        await server.say(words)
        await heard.until_lost()
        with pytest.raises(BrokerUnavailable):
            await broker.publish([(ROOM, b"")])
    assert isinstance(heard.losses[0], BrokerUnavailable)
    assert server.settings.password not in str(heard.losses[0])


@pytest.mark.parametrize(
    "words", [b"-ERR 'Authorization Violation'\r\n", b"-ERR 'User Authentication Expired'\r\n"]
)
async def test_a_user_that_is_put_out_is_a_refusal(words: bytes) -> None:
    async with scripted_server() as server, connected(server.settings) as (broker, heard):
        await broker.subscribe([ROOM])
        await server.say(words)
        await heard.until_lost()
    assert isinstance(heard.losses[0], BrokerRefused)


async def test_messages_in_pieces_arrive_whole_and_those_of_others_do_not() -> None:
    async with scripted_server() as server, connected(server.settings) as (broker, heard):
        await broker.subscribe([ROOM])
        await server.say(b"MSG deployd.room.a 7 2\r\nno\r\n")
        for byte in b"MSG deployd.room.a 1 5\r\n\r\n\r\n!\r\nHMSG deployd.room.a 1 12 14\r\n":
            await server.say(bytes([byte]))
        await server.say(b"NATS/1.0\r\n\r\nhi\r\n")
        await heard.until_heard(2)
    assert heard.messages == [(ROOM, b"\r\n\r\n!"), (ROOM, b"hi")]


async def test_a_subscription_is_let_go_a_round_trip_after_the_new_one_was_taken() -> None:
    async with scripted_server() as server, connected(server.settings) as (broker, heard):
        await broker.subscribe([ROOM])
        await broker.resubscribe([ROOM])
        await server.say(b"MSG deployd.room.a 2 3\r\nnew\r\n")
        await heard.until_heard(1)
        await broker.publish([(ROOM, b"")])
    after = server.received.partition(b"SUB deployd.room.a  2\r\n")[2]
    assert after.partition(b"UNSUB 1")[0].count(b"PING\r\n") == 2


# How much it takes.


async def test_the_limit_is_the_servers(make_nats_server: MakeNatsServer) -> None:
    server = make_nats_server("max_payload: 1000")
    await CHECKS["limit"](lambda: made(server.settings()))
    async with connected(server.settings()) as (broker, heard):
        assert broker.max_payload == 1000
        with pytest.raises(MessageTooLarge):
            await broker.publish([(ROOM, bytes(1001))])
        await broker.publish([(ROOM, bytes(1000))])
    assert heard.losses == []


async def test_a_limit_that_the_server_lowers_is_kept() -> None:
    async with scripted_server() as server, connected(server.settings) as (broker, heard):
        assert broker.max_payload == 1000
        await server.inform(max_payload=100)
        await wait_until(lambda: broker.max_payload == 100)
        with pytest.raises(MessageTooLarge):
            await broker.publish([(ROOM, bytes(101))])
        await server.inform(max_payload=10_000)  # more than the library knows of
        await server.inform(max_payload="nonsense")
        await broker.publish([(ROOM, bytes(100))])
        assert broker.max_payload == 100
    assert heard.losses == []


async def test_a_limit_that_was_lowered_without_a_word_costs_one_connection(
    make_nats_server: MakeNatsServer,
) -> None:
    server = make_nats_server("max_payload: 2000")
    async with connected(server.settings()) as (broker, _):
        server.configure("max_payload: 1000")
        os.kill(server.pid, signal.SIGHUP)
        await wait_until(lambda: "Reloaded: max_payload" in server.log)
        # The server tells its clients when it likes; who is told refuses the message by itself.
        with pytest.raises((BrokerUnavailable, MessageTooLarge)):
            await broker.publish([(ROOM, bytes(1500))])
    async with connected(server.settings()) as (broker, _):
        with pytest.raises(MessageTooLarge):
            await broker.publish([(ROOM, bytes(1500))])


async def test_a_pod_that_is_slow_holds_the_server_back_and_loses_nothing(
    nats_server: NatsServer,
) -> None:
    class Slow(Heard):
        def deliver(self, channel: str, payload: bytes) -> None:
            if len(self.messages) % 2000 == 0:
                time.sleep(0.05)  # the whole pod stands still
            super().deliver(channel, payload)

    heard = Slow()
    async with connected(nats_server.settings()) as (publisher, _), trio.open_nursery() as nursery:
        broker = made(nats_server.settings())
        await broker.connect(heard, nursery)
        await broker.subscribe([ROOM])
        for start in range(0, 20_000, 500):
            await publisher.publish([(ROOM, b"%d" % (start + n)) for n in range(500)])
        await heard.until_heard(20_000)
        await broker.close()
    assert [int(payload) for _, payload in heard.messages] == list(range(20_000))
    assert heard.losses == []
