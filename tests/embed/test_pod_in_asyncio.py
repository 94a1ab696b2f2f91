"""A pod in an asyncio program: answers, errors, cancellation and ends come across."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel
import websockets
from attrs import evolve

import deployd.embed.asyncio
from deployd.actors import JSON, AskTimeout, Member, Request, Room, handles, on
from deployd.config import Broker, Config, Drain, Secrets, Server
from deployd.embed.asyncio import PodInAsyncio, in_asyncio, open_pod_in_asyncio
from deployd.supervisors import IntensityExceeded, Pod, open_pod
from deployd.transport import AddressInUse, WireError
from support.nats_server import NatsServer

KEYS = Secrets("m" * 40, "j" * 40)
CONFIG = Config(
    server=Server(host="127.0.0.1", port=0, api_enabled=False),
    drain=Drain(window=0.0, deadline=2.0),
)


class Patience(Request[str]):
    """Ask a room that never answers."""


class Parlour(Room[list[str]]):
    def initial_state(self) -> list[str]:
        return []

    async def on_server_emit(self, event: str, data: JSON) -> None:
        self.broadcast(event, data)

    async def on_drain(self) -> None:
        self.broadcast("drained", None)

    @on("double")
    async def double(self, member: Member, number: int) -> int:
        return await in_asyncio(doubled, number)

    @handles(Patience)
    async def patience(self, message: Patience) -> str:
        return await in_asyncio(forever)


cancelled: list[str] = []


async def doubled(number: int) -> int:
    await asyncio.sleep(0.01)
    if number < 0:
        raise ValueError("below zero")
    return 2 * number


async def forever() -> str:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        cancelled.append("on asyncio's side")
        raise
    return ""


@asynccontextmanager
async def parlour(config: Config = CONFIG) -> AsyncIterator[PodInAsyncio]:
    async with open_pod_in_asyncio(config, keys=KEYS, rooms={"parlour": Parlour}) as pod:
        yield pod


@asynccontextmanager
async def visited(pod: PodInAsyncio) -> AsyncIterator[websockets.ClientConnection]:
    async with websockets.connect(f"ws://127.0.0.1:{pod.port}/socket.io/") as socket:
        await socket.send(json.dumps({"type": "join", "room": "parlour"}))
        await told(socket, "join")
        yield socket


async def told(socket: websockets.ClientConnection, kind: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while True:
            message: dict[str, object] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


def test_what_asyncio_says_is_heard_and_rooms_await_what_knows_only_asyncio() -> None:
    async def main() -> None:
        async with parlour() as pod, visited(pod) as socket:
            assert pod.connections() == 1
            receipt = await pod.send_to_room("parlour", "said", 1)
            assert receipt.scope == "local"
            assert (await told(socket, "emit"))["data"] == 1
            assert (await pod.emit_to_all("said", 2)).scope == "local"
            assert (await told(socket, "emit"))["data"] == 2
            question = {"type": "emit", "room": "parlour", "event": "double", "data": 4, "id": 1}
            await socket.send(json.dumps(question))
            answer = (await told(socket, "receipt"))["data"]
            assert isinstance(answer, dict)
            assert answer["answer"] == 8
            await socket.send(json.dumps({**question, "data": -4, "id": 2}))
            assert (await told(socket, "error"))["id"] == 2

    asyncio.run(main())


def test_errors_come_across() -> None:
    async def fails(pod: Pod) -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError(pod.port)

    async def main() -> None:
        async with parlour() as pod:
            with pytest.raises(WireError):
                await pod.emit_to_room("parlour", "said", object())  # type: ignore[arg-type]
            with pytest.raises(KeyError):
                await pod.run(fails)
        with pytest.raises(trio.RunFinishedError):
            await pod.emit_to_all("said", 1)

    asyncio.run(main())


def test_a_call_that_is_cancelled_is_cancelled_on_the_other_side_and_on_this_again() -> None:
    async def main() -> None:
        cancelled.clear()
        ended: list[str] = []

        async def waits(_: Pod) -> None:
            try:
                await in_asyncio(forever)
            except trio.Cancelled:
                ended.append("on trio's side")
                raise

        async with parlour() as pod:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await pod.run(waits)
            assert (cancelled, ended) == (["on asyncio's side"], ["on trio's side"])
            with pytest.raises(AskTimeout):
                await pod.ask("parlour", Patience(), 0.05)

    asyncio.run(main())


def test_an_error_of_the_block_drains_the_pod_and_is_raised_as_it_is() -> None:
    sockets: list[websockets.ClientConnection] = []

    async def fails() -> None:
        async with parlour() as pod:
            socket = await websockets.connect(f"ws://127.0.0.1:{pod.port}/socket.io/")
            sockets.append(socket)
            await socket.send(json.dumps({"type": "join", "room": "parlour"}))
            await told(socket, "join")
            raise LookupError("of the block")

    async def main() -> None:
        with pytest.raises(LookupError, match="of the block"):
            await fails()
        assert (await told(sockets[0], "emit"))["event"] == "drained"
        await sockets[0].wait_closed()
        assert sockets[0].close_code == 1012

    asyncio.run(main())


def test_there_is_one_pod_in_a_thread_and_another_after_it() -> None:
    async def main() -> None:
        async with parlour() as pod:
            with pytest.raises(RuntimeError, match="one pod"):
                async with parlour():
                    raise AssertionError("The block runs.")
            assert pod.connections() == 0
        async with parlour() as pod:
            assert pod.connections() == 0

    asyncio.run(main())


@pytest.mark.parametrize(("again", "least", "most"), [(False, 0.5, 5.0), (True, 0.0, 0.5)])
def test_a_block_that_is_cancelled_is_drained_and_a_second_time_ended_at_once(
    again: bool, least: float, most: float
) -> None:
    drain = Drain(window=0.0, deadline=2.0, delay=0.5)

    async def main() -> None:
        lives = asyncio.Event()

        async def program() -> None:
            async with parlour(evolve(CONFIG, drain=drain)):
                lives.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(program())
        await lives.wait()
        began = time.monotonic()
        task.cancel()
        if again:
            await asyncio.sleep(0.05)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert least <= time.monotonic() - began < most

    asyncio.run(main())


def test_a_port_that_is_taken_is_said_before_the_block() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        busy = server.sockets[0].getsockname()[1]
        with pytest.raises(AddressInUse):
            async with parlour(Config(server=Server(host="127.0.0.1", port=busy))):
                raise AssertionError("The block runs.")
        server.close()

    asyncio.run(main())


@asynccontextmanager
async def short_lived(*_: object, **__: object) -> AsyncIterator[Pod]:
    """Open a pod that gives up in a moment."""
    async with trio.open_nursery() as nursery, open_pod(CONFIG, keys=KEYS) as pod:

        async def give_up() -> None:
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()

        nursery.start_soon(give_up)
        yield pod
    raise IntensityExceeded("on purpose")


@pytest.mark.parametrize("how", ["waits", "calls"])
def test_a_pod_that_gives_up_ends_the_block_with_its_error_and_no_more(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployd.embed.asyncio, "open_pod", short_lived)

    async def forever(_: Pod) -> None:
        await trio.sleep_forever()

    async def main() -> None:
        with pytest.raises(IntensityExceeded, match="on purpose"):
            async with parlour() as pod:
                await (pod.run(forever) if how == "calls" else asyncio.sleep(3600))
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(main())


def test_it_hears_other_pods_by_a_broker_whose_client_has_a_loop_of_its_own(
    nats_server: NatsServer,
) -> None:
    broker = Broker(type="nats", enabled=True, nats=nats_server.settings())

    async def linked(pod: Pod) -> None:
        assert pod.link is not None
        with trio.fail_after(20):
            while not pod.link.state.breaker.closed:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)

    async def main() -> None:
        async with parlour(evolve(CONFIG, broker=broker)) as pod:
            await pod.run(linked)
            assert (await pod.send_to_room("elsewhere", "said", 1)).scope == "cluster"

    asyncio.run(main())
