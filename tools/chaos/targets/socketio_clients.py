"""Clients of Socket.IO: those of JavaScript, all of a play in one process of Node.

Its program (`socketio_clients.cjs`) is told what to do and tells what comes of it, in lines of
JSON. It ends when its stdin does, so it outlives nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Final

import orjson
import trio

from ....config import ReceiptPolicy
from ...oracle import Record, Spoken
from .contract import GuestSeat, TargetError
from .guest import Guest
from .node import node_command

__all__ = ["socketio_guests"]

PROGRAM: Final = Path(__file__).with_name("socketio_clients.cjs")
MOST_ORDERS: Final = 10_000
"""Orders that the process has not read yet."""
MOST_BYTES: Final = 2**20
"""Of a line, and what is read at once."""
BROKEN: Final = 1006
"""The close code of WebSocket for a connection that broke; Socket.IO has words instead."""


@asynccontextmanager
async def socketio_guests(
    seats: Sequence[GuestSeat], history: list[Record]
) -> AsyncIterator[Sequence[Guest]]:
    """Have a client for each seat for the length of the block. Raises `TargetError`."""
    send, receive = trio.open_memory_channel[bytes](MOST_ORDERS)
    guests = [SocketGuest(seat, history, send) for seat in seats]
    command = node_command(PROGRAM)
    process = await trio.lowlevel.open_process(command, stdin=PIPE, stdout=PIPE)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_order, process, receive)
            nursery.start_soon(_listen, process, {guest.number: guest for guest in guests})
            yield guests
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):  # it ends in milliseconds
            await process.wait()
            if process.stdio is not None:
                await process.stdio.aclose()


async def _order(process: trio.Process, orders: trio.MemoryReceiveChannel[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 - for the type checker
    async for order in orders:
        try:
            await process.stdin.send_all(order)
        except trio.BrokenResourceError:
            return  # it has ended: who listens sees it


async def _listen(process: trio.Process, guests: dict[int, SocketGuest]) -> None:
    """Give what is told to whom it befell, as soon as it comes."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    rest = b""
    async for chunk in process.stdout:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            told = orjson.loads(line)
            guests[told["guest"]].take(told)
        if len(rest) > MOST_BYTES:
            break
    raise TargetError(f"{PROGRAM.name} has ended, or told too much; run it with node by hand.")


class SocketGuest(Guest):
    """A client of Socket.IO. It is never told that anything was lost: there is no word for it."""

    def __init__(
        self, seat: GuestSeat, history: list[Record], orders: trio.MemorySendChannel[bytes]
    ) -> None:
        rooms = [room.name for room in seat.rooms]
        super().__init__(seat.number, seat.pod, seat.url, rooms, history, seat.blameless)
        self._orders = orders
        self._to_all = {room.name for room in seat.rooms if room.receipt is ReceiptPolicy.HEARD}

    async def visit(self) -> None:
        """See `Guest.visit`."""
        self._tell("open", url=self.url, rooms=list(self.rooms))
        try:
            await trio.sleep_forever()
        finally:
            self._tell("close")

    async def emit(self, said: Spoken, size: int) -> None:
        """See `Guest.emit`; the receipt comes by itself."""
        to_all = said.room in self._to_all
        word = {"room": said.room, "by": said.client, "number": said.number, "size": size}
        self._tell("say", **word, all=to_all)
        await trio.lowlevel.checkpoint()

    def _tell(self, order: str, **details: object) -> None:
        line = orjson.dumps({"do": order, "guest": self.number, **details}) + b"\n"
        try:
            self._orders.send_nowait(line)
        except trio.WouldBlock:
            raise TargetError(f"{PROGRAM.name} does not read any more.") from None

    def take(self, told: dict[str, object]) -> None:
        """Write down what has befallen it."""
        match told:
            case {"got": "heard" | "entered" | "gone"} if not self._here:
                pass  # it was on its way when the visit ended
            case {"got": "heard", "room": str(room), "by": str(by), "number": int(number)}:
                self.heard(room, by, number)
            case {"got": "answered", "by": str(by), "number": int(number), "scope": str(scope)}:
                members = told.get("members", -1)
                self.answered(by, number, scope, members if isinstance(members, int) else -1)
            case {"got": "entered", "room": str(room)}:
                self.entered(room)
            case {"got": "connected"}:
                self.came()
            case {"got": "gone", "reason": "io client disconnect"}:
                self.left()
            case {"got": "gone"}:
                self.dropped(BROKEN)
            case _:
                raise TargetError(f"{PROGRAM.name} tells what nobody understands: {told!r}.")
