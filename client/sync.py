"""The client for scripts that know nothing of trio: the same names, blocking.

::

    from deployd.client.sync import connect

    with connect("http://localhost:2403") as c:
        c.join("chat")
        print(c.emit("chat", "said", {"text": "hello"}).scope)
        for event in c.events("chat", timeout=5):
            print(event.name, event.data)

Connections live in a thread of their own, so answers to the pod's pings are given and events heard
whatever the script does. Ctrl-C ends any wait; the thread ends with the block, or the interpreter.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

import trio

from ..transport.protocols import JSON, ClientEvent, Degraded, Outage
from .client import HEARTBEAT, MOST_UNREAD, TIMEOUT, Client
from .client import connect as connect_in_trio
from .core import Token
from .errors import NothingHeard
from .messages import ClientReceipt, Signal
from .thread import ClientThread
from .unread import Unread, UnreadQueue

__all__ = ["BlockingClient", "BlockingQueue", "connect"]

T = TypeVar("T")


@contextmanager
def connect(
    url: str,
    token: Token = None,
    *,
    timeout: float = TIMEOUT,
    heartbeat: float = HEARTBEAT,
    most_unread: int = MOST_UNREAD,
    unread: Unread = Unread.FAIL,
    tls: ssl.SSLContext | None = None,
) -> Iterator[BlockingClient]:
    """See `deployd.client.connect`. Every wait but for events ends after `timeout` seconds."""
    make = partial(
        connect_in_trio,
        url,
        token,
        timeout=timeout,
        heartbeat=heartbeat,
        most_unread=most_unread,
        unread=unread,
        tls=tls,
    )
    thread = ClientThread(make)
    client = BlockingClient(thread.start(), thread)
    try:
        yield client
    finally:
        thread.close()


class BlockingClient:
    """See `Client`. May be used by several threads at once."""

    def __init__(self, client: Client, thread: ClientThread) -> None:
        self._client = client
        self._thread = thread

    @property
    def id(self) -> str | None:
        """What the pod calls this connection; None while there is none."""
        return self._look(lambda: self._client.id)

    @property
    def connected(self) -> bool:
        """Whether there is a connection on which the pod knows who we are."""
        return self._look(lambda: self._client.connected)

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that it wants to be in."""
        return self._look(lambda: self._client.rooms)

    @property
    def degraded(self) -> Degraded | None:
        """The outage between pods that this one has told of and that is not over, or None."""
        return self._look(lambda: self._client.degraded)

    def ready(self, *, timeout: float | None = None) -> None:
        """Return when there is a connection, and the client is back in its rooms."""
        self._thread.call(partial(self._client.ready, timeout=timeout))

    def join(self, room: str, data: JSON = None, *, timeout: float | None = None) -> None:
        """Be in a room from now on, over reconnections too. The room is told `data` each time."""
        self._thread.call(partial(self._client.join, room, data, timeout=timeout))

    def leave(self, room: str, *, timeout: float | None = None) -> None:
        """Leave a room."""
        self._thread.call(partial(self._client.leave, room, timeout=timeout))

    def emit(
        self, room: str | None, event: str, data: JSON = None, *, timeout: float | None = None
    ) -> ClientReceipt:
        """Say something in a room, or (None) to everyone; return how far it got."""
        return self._thread.call(partial(self._client.emit, room, event, data, timeout=timeout))

    def sign_in(self, token: str, *, timeout: float | None = None) -> None:
        """Be somebody else, on this connection and those that follow."""
        self._thread.call(partial(self._client.sign_in, token, timeout=timeout))

    def events(
        self, room: str | None = None, *, timeout: float | None = None
    ) -> BlockingQueue[ClientEvent]:
        """Return what is said in a room, or all events, to iterate over.

        Each wait ends after `timeout` seconds with `NothingHeard`; without one only Ctrl-C ends it.
        """
        return self._queue(lambda: self._client.events(room), timeout)

    def outages(self, *, timeout: float | None = None) -> BlockingQueue[Outage]:
        """Return what pods say of the way between them: `Degraded`, `Gap`, `Healed`."""
        return self._queue(self._client.outages, timeout)

    def signals(self, *, timeout: float | None = None) -> BlockingQueue[Signal]:
        """Return what befalls this client: its connection, its rooms, outages, and problems."""
        return self._queue(self._client.signals, timeout)

    def _queue(self, find: Callable[[], UnreadQueue[T]], timeout: float | None) -> BlockingQueue[T]:
        return BlockingQueue(self._look(find), self._thread, timeout)

    def _look(self, look: Callable[[], T]) -> T:
        """Look at something in the thread that it belongs to: nothing changes meanwhile."""

        async def looked() -> T:
            return look()

        return self._thread.call(looked)


class BlockingQueue(Generic[T]):
    """See `UnreadQueue`. A wait takes `timeout` seconds at most, None for any time."""

    def __init__(
        self, queue: UnreadQueue[T], thread: ClientThread, timeout: float | None = None
    ) -> None:
        self.timeout = timeout
        self._queue = queue
        self._thread = thread

    @property
    def missed(self) -> int:
        """How many were dropped, for nobody read them."""
        return self._queue.missed

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> BlockingQueue[T]:
        return self

    def __next__(self) -> T:
        """Return the next one. Raises `NothingHeard`, and what `UnreadQueue` raises."""
        found = self._thread.call(self._next)
        if not found:
            raise StopIteration
        return found[0]

    async def _next(self) -> tuple[T, ...]:
        """Return one, or none at the end: StopAsyncIteration cannot leave a coroutine."""
        seconds = self.timeout
        with trio.move_on_after(float("inf") if seconds is None else seconds):
            async for message in self._queue:
                return (message,)
            return ()
        raise NothingHeard(seconds or 0.0)
