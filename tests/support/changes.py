"""Clients that write to a collection at the same time, and those who listen to them.

Each client owns its documents and waits for each answer, so it knows what every document's
history is. What it writes carries a number that grows with each write of the document.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import httpx
import trio
from attrs import field, mutable
from websockets.exceptions import ConnectionClosed

from .clients import Client
from .history import Step, Verdict, Written, check, merged

__all__ = ["Author", "Listener", "listening", "verdict_of", "write_all"]

FENCE = "fence"
"""The id of the document that is written last: who hears of it has heard all before it."""

_CLOCK = itertools.count()


@mutable(eq=False)
class Author:
    """One client and its documents: what it believes is there, and what it did."""

    name: str
    collection: str
    documents: int = 15
    there: dict[str, int] = field(factory=dict)
    """The number in each document that exists."""
    numbers: dict[str, int] = field(factory=dict)
    writes: list[Written] = field(factory=list)
    refused: list[httpx.Response] = field(factory=list)

    async def write(self, http: httpx.AsyncClient, count: int, seed: int) -> None:
        """Post, put and delete so many times; stop early when the pod is gone."""
        random = Random(f"{seed}-{self.name}")
        for _ in range(count):
            id_ = f"{self.name}-{random.randrange(self.documents)}"
            remove = random.random() < 0.15
            if not await self._write_one(http, id_, remove=remove):
                return

    async def _write_one(self, http: httpx.AsyncClient, id_: str, *, remove: bool) -> bool:
        number = self.numbers.get(id_, 0) + 1
        path = f"/{self.collection}"
        if id_ not in self.there:
            step, method = Step(id_, "created", number), "POST"
        elif remove:
            step, method, path = Step(id_, "deleted", self.there[id_]), "DELETE", f"{path}/{id_}"
        else:
            step, method, path = Step(id_, "updated", number), "PUT", f"{path}/{id_}"
        body = None if method == "DELETE" else {"id": id_, "n": number}
        began = next(_CLOCK)
        try:
            answer = await http.send(_request(http, method, path, body))
        except httpx.TransportError:
            self.writes.append(Written(step, began))
            return False
        if answer.status_code != 200:
            self.refused.append(answer)
            return True
        self.writes.append(Written(step, began, next(_CLOCK)))
        self._note(step)
        return True

    def _note(self, step: Step) -> None:
        self.numbers[step.document] = max(step.number, self.numbers.get(step.document, 0))
        if step.type == "deleted":
            del self.there[step.document]
        else:
            self.there[step.document] = step.number


class _Body(httpx.AsyncByteStream):
    """A body without an async generator: httpx forgets to close its own when a send fails."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, b""
        if not data:
            raise StopAsyncIteration
        return data


def _request(http: httpx.AsyncClient, method: str, path: str, body: object) -> httpx.Request:
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    request = http.build_request(method, path, headers=headers)
    request.stream = _Body(data)
    return request


@mutable(eq=False)
class Listener:
    """One client that hears of a collection, in its room or in the room of all of them."""

    client: Client
    room: str
    collection: str
    heard: list[Step] = field(factory=list)

    async def listen(self) -> None:
        """Take down what is told, until the fence."""
        while (step := self._step(await self.client.receive())).document != FENCE:
            self.heard.append(step)

    async def listen_until_cut(self) -> None:
        """Take down what is told, until the connection is cut."""
        with suppress(ConnectionClosed):
            await self.listen()

    def _step(self, message: dict[str, Any]) -> Step:
        assert message["type"] == "emit", message
        assert message["room"] == self.room, message
        document = message["data"]
        if self.room == "collections":
            assert document["collection"] == self.collection, message
            assert document["type"] == message["event"], message
            document = document["data"]
        return Step(document["id"], message["event"], document["n"])


async def write_all(
    http: httpx.AsyncClient, collection: str, *, clients: int, writes: int, seed: int = 0
) -> list[Author]:
    """Let so many clients do so many writes between them, all at the same time."""
    authors = [Author(f"c{number}", collection) for number in range(clients)]
    async with trio.open_nursery() as nursery:
        for author in authors:
            nursery.start_soon(author.write, http, writes // clients, seed)
    return authors


@asynccontextmanager
async def listening(listeners: Sequence[Listener], fence: Callable[[], Any]) -> AsyncIterator[None]:
    """Listen while the block runs, and on until everyone has heard of the fence."""
    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(listener.listen)
        yield
        await fence()


def verdict_of(authors: Sequence[Author], listeners: Sequence[Listener]) -> Verdict:
    """Judge what all listeners heard of what all authors wrote."""
    writes = [write for author in authors for write in author.writes]
    return merged(check(writes, listener.heard) for listener in listeners)
