"""What application code calls from other threads to say something to clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from ...transport import JSON
from ..runtime import Delivery, Request
from .directory import ASKING, RoomListing
from .receipt import SEND_TIMEOUT, Receipt

if TYPE_CHECKING:
    from .hub import ChangeType, Hub

__all__ = ["ThreadHub"]

R = TypeVar("R")


class ThreadHub:
    """The hub for code on other threads: the same calls, each of which waits for trio's thread.

    Raises `trio.RunFinishedError` when the pod is gone, and what the hub raises.
    """

    def __init__(self, hub: Hub, token: trio.lowlevel.TrioToken) -> None:
        self._hub = hub
        self._token = token

    def emit_to_all(self, event: str, data: JSON) -> Receipt:
        """Tell every connected client."""
        return self._call(partial(self._hub.emit_to_all, event, data))

    def emit_to_room(self, room: str, event: str, data: JSON) -> Receipt:
        """Tell the members of a room."""
        return self._call(partial(self._hub.emit_to_room, room, event, data))

    def emit_collection_change(self, collection: str, event: ChangeType, document: JSON) -> Receipt:
        """Tell those who listen to a collection that a document changed."""
        tell = partial(self._hub.emit_collection_change, collection, event, document)
        return self._call(tell)

    def send_to_all(self, event: str, data: JSON, timeout: float = SEND_TIMEOUT) -> Receipt:
        """Tell every connected client, and wait for what becomes of it."""
        return self._wait(partial(self._hub.send_to_all, event, data, timeout))

    def send_to_room(
        self, room: str, event: str, data: JSON, timeout: float = SEND_TIMEOUT
    ) -> Receipt:
        """Tell the members of a room, and wait for what becomes of it."""
        return self._wait(partial(self._hub.send_to_room, room, event, data, timeout))

    def send_collection_change(
        self, collection: str, event: ChangeType, document: JSON, timeout: float, brief: JSON
    ) -> Receipt:
        """Tell that a document changed, and wait for rooms that are busy."""
        send = self._hub.send_collection_change
        return self._wait(partial(send, collection, event, document, timeout, brief))

    def rooms_here(
        self, pattern: str = "*", where: Mapping[str, JSON] | None = None, after: str = ""
    ) -> RoomListing:
        """List the rooms of this pod that are listed."""
        return self._call(partial(self._hub.rooms_here, pattern, where, after))

    def rooms(
        self,
        pattern: str = "*",
        where: Mapping[str, JSON] | None = None,
        after: str = "",
        timeout: float = ASKING,
    ) -> RoomListing:
        """List the rooms of all pods that answer in time."""
        return self._wait(partial(self._hub.rooms, pattern, where, after, timeout))

    def ask(self, room: str, request: Request[R], timeout: float) -> R:
        """Ask a room something, started if need be, and return its answer; see `ActorRef.ask`."""

        async def asked() -> R:
            return await self._hub.room(room).ask(request, timeout)

        return self._wait(asked)

    def tell(self, room: str, message: object) -> Delivery:
        """Leave a message with a room, started if need be; see `ActorRef.tell`."""
        return self._call(lambda: self._hub.room(room).tell(message))

    def _call(self, call: Callable[[], R]) -> R:
        return trio.from_thread.run_sync(call, trio_token=self._token)

    def _wait(self, call: Callable[[], Awaitable[R]]) -> R:
        return trio.from_thread.run(call, trio_token=self._token)
