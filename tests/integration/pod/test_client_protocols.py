"""Two protocols in one room: whoever speaks the one is heard by who speaks the other."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from deployd.actors import JSON, Member, Room
from deployd.supervisors import Pod, open_pod
from deployd.transport import NATIVE, ClientMessage, PodMessage
from support import connected, pod_config
from support.clients import KEYS, PATIENCE
from support.lines import LINES, Lines


class Octets(Lines):
    """The same lines, as binary messages, reversed."""

    name, binary = "octets", True

    def decode(self, message: str | bytes) -> ClientMessage:
        assert isinstance(message, bytes)
        return super().decode(message[::-1])

    def encode(self, message: PodMessage) -> bytes:
        return super().encode(message)[::-1]


class Echo(Room):
    """Answers the one who speaks, beside everyone."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.send_to(member, "heard", data)
        self.broadcast(event, data)


@asynccontextmanager
async def bilingual_pod(**limits: object) -> AsyncIterator[Pod]:
    async with open_pod(
        pod_config(**limits),
        keys=KEYS,
        rooms={"tea": Echo},
        protocols=[NATIVE, LINES, Octets()],
    ) as pod:
        yield pod


@asynccontextmanager
async def speaking(
    pod: Pod, *protocols: str, extension: str | None = None
) -> AsyncIterator[ClientConnection]:
    offered = [Subprotocol(name) for name in protocols]
    url = f"ws://127.0.0.1:{pod.port}/socket.io/"
    async with connect(url, subprotocols=offered, compression=extension) as socket:
        yield socket


async def hear_backwards(socket: ClientConnection) -> str:
    with trio.fail_after(PATIENCE):
        said = await socket.recv()
    assert isinstance(said, bytes)
    return said[::-1].decode()


async def hear(socket: ClientConnection) -> str:
    with trio.fail_after(PATIENCE):
        said = await socket.recv()
    assert isinstance(said, str)
    return said


async def test_all_in_a_room_hear_the_same_each_in_the_protocol_it_asked_for() -> None:
    async with (
        bilingual_pod() as pod,
        connected(pod) as [ada],
        speaking(pod, "chat", "lines") as ben,
        speaking(pod, "octets") as eve,
    ):
        assert (ben.subprotocol, eve.subprotocol) == ("lines", "octets")
        assert (await hear(ben)).startswith("hello ")
        assert (await hear_backwards(eve)).startswith("hello ")
        await ada.join("tea")
        await ben.send("join tea #7")
        assert await hear(ben) == "joined tea #7"
        await eve.send(b"join tea"[::-1])
        assert await hear_backwards(eve) == "joined tea"

        await ben.send('emit tea said {"n": 1} #8')
        assert [await hear(ben) for _ in range(3)] == [
            '1 tea heard {"n":1}',
            '2 tea said {"n":1}',
            "taken local #8",
        ]
        told = await ada.expect("emit", room="tea", event="said", data={"n": 1})
        assert told["meta"]["seq"] == 2
        assert await hear_backwards(eve) == '2 tea said {"n":1}'

        await ada.send("emit", room="tea", event="said", data=[2], id="x")
        await ada.expect("emit", event="heard", data=[2])
        await ada.expect("emit", event="said", data=[2])
        assert (await ada.expect("receipt", id="x"))["data"]["scope"] == "local"
        assert await hear(ben) == "4 tea said [2]"
        assert await hear_backwards(eve) == "4 tea said [2]"

        pod.hub.emit_to_all("news", "all")
        await ada.expect("emit", event="news", data="all")
        assert await hear(ben) == '1 * news "all"'
        await ben.send("leave tea #9")
        assert await hear(ben) == "left tea #9"


async def test_what_goes_wrong_is_told_in_the_protocol_of_whom_it_is_told() -> None:
    async with bilingual_pod() as pod, speaking(pod, "lines") as ben:
        await hear(ben)
        await ben.send("dance")
        assert await hear(ben) == "failed bad_line Send a line such as: join tea"
        await ben.send("emit elsewhere said 1 #3")
        assert (await hear(ben)).startswith("failed not_a_member #3 Join the room")
        await ben.send("auth nonsense #4")
        assert (await hear(ben)).startswith("failed bad_token #4 ")
        await ben.send("ping #5")
        assert await hear(ben) == "pong #5"


async def test_a_protocol_pings_in_its_own_words_and_says_farewell_before_the_end() -> None:
    async with (
        bilingual_pod(ping_interval=0.5, pong_timeout=0.4) as pod,
        speaking(pod, "lines") as ben,
    ):
        await hear(ben)
        assert await hear(ben) == "are you there?"
        await ben.send("ping")
        assert await hear(ben) == "pong"
        pod.request_stop("enough")
        said = ""
        with contextlib.suppress(ConnectionClosed):
            while True:
                said = await hear(ben)
        assert said.startswith("bye 1012 retry_after=")
        assert ben.close_code == 1012


async def test_who_offers_what_is_not_spoken_speaks_the_first_and_is_told_of_no_agreement() -> None:
    async with bilingual_pod() as pod, speaking(pod, "chat") as socket:
        assert socket.subprotocol is None
        assert json.loads(await hear(socket))["type"] == "connect"


async def test_a_large_event_is_compressed_for_who_takes_it_in_each_protocol() -> None:
    async with (
        bilingual_pod() as pod,
        speaking(pod, "lines", extension="deflate") as ben,
        speaking(pod, extension="deflate") as ada,
        speaking(pod, "lines") as plain,
    ):
        for socket in (ben, ada, plain):
            await hear(socket)
        written = {m.client_id: m.sink.written[1] for m in pod.members.values()}
        large = "tea " * 5000
        pod.hub.emit_to_all("news", large)
        assert await hear(ben) == f'1 * news "{large}"'
        assert json.loads(await hear(ada))["data"] == large
        assert await hear(plain) == f'1 * news "{large}"'
        taken = sorted(m.sink.written[1] - written[m.client_id] for m in pod.members.values())
        assert taken[0] < 1000
        assert taken[1] < 1000
        assert taken[2] > 20_000
