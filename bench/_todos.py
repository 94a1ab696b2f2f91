"""A collection of to-dos on one server: started, filled, and asked for over HTTP."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count, cycle, islice
from pathlib import Path

from _clients import Client, open_clients
from _dialects import DEPLOYD
from _http_load import Load, get, load, post
from _server import Server, Settings, running
from attrs import field, frozen

__all__ = ["Todos", "start_fastapi", "start_pod"]

CONNECTIONS = 32
DOCUMENTS = 1_000
PRIORITIES = 10
LISTED = 20
"""Documents in a list: of those with one priority, the oldest."""

_DEFINITION = {
    "strict": True,
    "properties": {
        "title": {"type": "string", "required": True},
        "notes": {"type": "string"},
        "done": {"type": "boolean", "default": False},
        "priority": {"type": "number", "index": True},
        "due": {"type": "date"},
        "tags": {"type": "array"},
    },
}


def _document(number: int) -> Mapping[str, object]:
    """Return what a client sends as its document of this number."""
    return {
        "title": f"Buy milk for breakfast number {number}",
        "notes": "Semi-skimmed, two bottles; and look whether the bakery has rye bread left.",
        "priority": number % PRIORITIES,
        "due": "2026-12-24T08:00:00Z",
        "tags": ["shopping", "breakfast", "milk"],
    }


@frozen
class Todos:
    """One server with its documents and its clients, of which one may hear every change.

    `limit` is what the server calls the number of documents that a list may have.
    """

    server: Server
    limit: str
    listener: Client | None = None
    ids: list[str] = field(factory=list)
    numbers: Iterator[int] = field(factory=count)

    def fill(self) -> Todos:
        """Make the documents, and learn their ids."""
        self._add(islice(self.numbers, DOCUMENTS), math.inf)
        every = self._ask([get(f"/todos?{self.limit}={DOCUMENTS}")], math.inf).last
        self.ids.extend(each["id"] for each in json.loads(every))
        assert len(self.ids) == DOCUMENTS, every[:1000]
        return self

    def get(self, seconds: float) -> Load:
        """Ask for one document after the other by their ids."""
        return self._ask(cycle([get(f"/todos/{each}") for each in self.ids]), seconds)

    def find(self, seconds: float) -> Load:
        """Ask for some documents of one priority after the other."""
        limit = f"{self.limit}={LISTED}"
        requests = [get(f"/todos?priority={each}&{limit}") for each in range(PRIORITIES)]
        return self._ask(cycle(requests), seconds)

    def post(self, seconds: float) -> Load:
        """Add documents, each of them another; at the end the listener has heard of all."""
        return self._add(self.numbers, seconds)

    def _add(self, numbers: Iterator[int], seconds: float) -> Load:
        done = self._ask((post("/todos", _document(each)) for each in numbers), seconds)
        if self.listener is not None:
            for _ in range(done.count - done.heard):
                self.listener.receive()
        return done

    def _ask(self, requests: Iterable[bytes], seconds: float) -> Load:
        return load(self.server.port, CONNECTIONS, iter(requests), seconds, self.listener)


def start_pod(stack: ExitStack, folder: Path, durability: str, *, heard: bool = False) -> Todos:
    """Start a pod whose documents lie in a folder; `heard` by one client that listens."""
    place = folder / "resources" / "todos"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(_DEFINITION))
    settings: Settings = {
        "server.apiEnabled": True,
        "server.data": str(folder),
        "collections.folder": str(place.parent),
        "store.durability": durability,
    }
    server = stack.enter_context(running(DEPLOYD.name, settings))
    listener = None
    if heard:
        room = "collection:todos"
        (listener,) = stack.enter_context(open_clients(server.port, DEPLOYD, 1, room=room))
    return Todos(server, "$limit", listener).fill()


def start_fastapi(stack: ExitStack, folder: Path, durability: str) -> Todos:
    """Start FastAPI with its database in a folder."""
    folder.mkdir(parents=True)
    settings = {"database": str(folder / "todos.db"), "durability": durability}
    server = stack.enter_context(running("fastapi", settings))
    return Todos(server, "limit").fill()
