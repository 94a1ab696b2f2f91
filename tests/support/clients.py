from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import trio
from attrs import evolve
from websockets.trio.client import ClientConnection, connect

from deployd.actors import RoomFactory
from deployd.config import Config, Drain, Limits, Secrets, Server
from deployd.supervisors import Node, Pod, open_pod
from deployd.transport.brokers.contract import Broker

PATIENCE = 10.0
"""Seconds after which a test gives up on something that should have come long before."""

KEYS = Secrets(master_key="a-master-key-for-tests", jwt_secret="a-secret-for-tests-of-32-bytes!!")


def pod_config(**limits: Any) -> Config:
    """Return a configuration on a free port, without collections; keyword arguments are limits."""
    return Config(
        server=Server(port=0, api_enabled=False),
        limits=evolve(Limits(), **limits),
        drain=Drain(window=0.0, deadline=5.0),
    )


@asynccontextmanager
async def running_pod(
    config: Config | None = None,
    rooms: Mapping[str, RoomFactory] | None = None,
    *,
    dev: bool = False,
    broker: Callable[[], Broker] | None = None,
) -> AsyncIterator[Pod]:
    """Run a pod in this process for the length of the block."""
    config = config or pod_config()
    async with open_pod(config, keys=KEYS, rooms=rooms, dev=dev, broker=broker) as pod:
        yield pod


class Client:
    """A client made of the `websockets` library, that speaks the wire protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.client_id = ""

    async def send(self, type_: str, **fields: Any) -> None:
        await self.send_raw(json.dumps({"type": type_, **fields}))

    async def send_raw(self, text: str) -> None:
        with trio.fail_after(PATIENCE):
            await self.socket.send(text)

    async def receive(self) -> dict[str, Any]:
        with trio.fail_after(PATIENCE):
            text = await self.socket.recv()
        message = json.loads(text)
        assert isinstance(message, dict)
        return message

    async def expect(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Return the next message, which must be of this type and have these fields."""
        message = await self.receive()
        assert message["type"] == type_, message
        assert {name: message.get(name) for name in fields} == fields, message
        return message

    async def ask(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Send a message and return the next one."""
        await self.send(type_, **fields)
        return await self.receive()

    async def join(self, room: str) -> None:
        await self.send("join", room=room)
        await self.expect("join", room=room)

    async def closed(self) -> tuple[int, str]:
        """Read until the pod closes the connection and return its code and reason."""
        from websockets.exceptions import ConnectionClosed

        with trio.fail_after(PATIENCE):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed:
                pass
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


async def until(condition: Callable[[], bool]) -> None:
    """Return when something that nobody tells of has come about; fail when it does not."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


class Reachable(Protocol):
    """A pod, wherever it runs."""

    @property
    def port(self) -> int: ...


@asynccontextmanager
async def connected(pod: Reachable, count: int = 1, **options: Any) -> AsyncIterator[list[Client]]:
    """Connect so many clients, each past its greeting."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            uri = f"ws://127.0.0.1:{pod.port}/socket.io/"
            socket = await stack.enter_async_context(connect(uri, compression=None, **options))
            client = Client(socket)
            greeting = await client.expect("connect")
            client.client_id = greeting["data"]["client_id"]
            clients.append(client)
        yield clients


def find_node(node: Node, path: str) -> Node:
    """Return the node of that path, anywhere in the tree."""
    nodes = [node]
    while nodes:
        node = nodes.pop()
        if node.path == path:
            return node
        nodes.extend(node.children)
    raise AssertionError(f"no {path} in the tree")
