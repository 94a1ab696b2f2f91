"""Clients of a running pod: slow, silent, expired, gone."""

from __future__ import annotations

import socket

import trio
from attrs import evolve

from deployd.config import AuthSettings
from deployd.supervisors import Pod
from support import PATIENCE, connected, find_node, pod_config, running_pod


async def test_a_client_that_never_reads_is_closed_alone() -> None:
    config = pod_config(message_buffer_size=64, message_rate_limit=0, byte_rate_limit=0)
    async with running_pod(config) as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("flood")
        await ben.join("flood")
        with await deaf_member(pod, "flood") as deaf:
            size = len(pod.members)
            while len(pod.members) == size:
                await ada.send("emit", event="n", data="x" * 20_000, room="flood")
                await ada.expect("emit")
                await ben.expect("emit")
            # When it reads again at once, it still finds whole frames, and why it was closed.
            assert b"\x0f\xa0too many messages wait for you" in await rest_of(deaf)
        await ada.join("calm")
        await ben.join("calm")


async def rest_of(raw: socket.socket) -> bytes:
    sock, received = trio.socket.from_stdlib_socket(raw), b""
    with trio.fail_after(PATIENCE):
        while data := await sock.recv(1 << 20):
            received += data
    return received


async def deaf_member(pod: Pod, room: str) -> socket.socket:
    """Join a room over a raw socket with a small window that is never read from again."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock = trio.socket.from_stdlib_socket(raw)
    await sock.connect(("127.0.0.1", pod.port))
    await sock.send(
        b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n\r\n"
    )
    text = b'{"type":"join","room":"%s"}' % room.encode()
    await sock.send(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
    received = b""
    while b'"type":"join"' not in received:
        received += await sock.recv(1024)
    return raw


async def test_an_expired_token_closes_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        assert (await client.closed())[0] == 4500


async def test_an_expired_token_can_leave_an_anonymous_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = evolve(pod_config(), auth=AuthSettings(on_expiry="downgrade"))
    async with running_pod(config) as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        error = await client.expect("error")
        assert error["data"]["code"] == "expired_token"
        assert pod.members[client.client_id].identity is None
        await client.join("tea")


async def test_a_silent_client_is_closed_and_one_that_answers_pings_is_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [answers]:
        raw = await deaf_member(pod, "tea")
        with raw:
            await trio.sleep(200)
            assert list(pod.members) == [answers.client_id]


async def test_a_renewed_token_keeps_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2))
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=1000))
        await trio.sleep(100)
        assert client.client_id in pod.members
        assert (await client.ask("join", room="tea"))["type"] == "join"


async def test_nothing_is_kept_of_a_client_that_has_gone() -> None:
    async with running_pod() as pod:
        async with connected(pod, 3) as clients:
            for client in clients:
                await client.join("tea")
            assert len(pod.heartbeat) == 3
            assert find_node(pod.tree(), "pod/rooms/tea").detail["members"] == 3
            assert find_node(pod.tree(), f"pod/connections/{client.client_id}").detail["rooms"] == 1
        while find_node(pod.tree(), "pod/connections").detail["count"]:
            await trio.lowlevel.checkpoint()
        assert (len(pod.heartbeat), len(pod.members)) == (0, 0)
        with trio.fail_after(PATIENCE):
            while find_node(pod.tree(), "pod/rooms/tea").detail["members"]:
                await trio.lowlevel.checkpoint()
        assert pod.dead_letters.statistics().total == 0
