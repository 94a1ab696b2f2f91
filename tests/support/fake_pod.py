"""A pod without a socket, for clients: it speaks the wire's JSON and does as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from deployd.client.client import TIMEOUT, Client, serve
from deployd.client.core import Options, Token
from deployd.client.endings import Ending
from deployd.client.unread import Unread
from deployd.client.wire import Wire, WireEnded
from deployd.transport import (
    NATIVE,
    Auth,
    Authenticated,
    ClientMessage,
    Connected,
    Emit,
    Event,
    Failed,
    Join,
    Joined,
    Leave,
    Left,
    Ping,
    PodMessage,
    Pong,
    Problem,
    Receipted,
    Scope,
    encode_data,
)
from deployd.transport.protocols import Degraded

__all__ = ["FakePod", "client_of"]


HASTE = {"too_fast", "room_busy"}


class FakePod:
    """`refuse` are the ends of the next attempts; `no` the problems of rooms, one an answer.

    It leaves unanswered what is in `deaf`, greets unless that is in it, and takes tokens but those
    in `bad_tokens`. Who comes is told of an `outage`. `asked` is what came, `attempts` when.
    """

    def __init__(self) -> None:
        self.refuse: list[Ending] = []
        self.no: dict[str, list[Problem]] = {}
        self.deaf: set[type[ClientMessage] | str] = set()
        self.bad_tokens: dict[str, str] = {}
        self.limit = 0
        self.outage: Degraded | None = None
        self.attempts: list[float] = []
        self.asked: list[ClientMessage] = []
        self.wires: list[FakeWire] = []

    @property
    def wire(self) -> FakeWire:
        """The latest connection."""
        return self.wires[-1]

    async def dial(self, talk: Callable[[Wire], Awaitable[None]]) -> Ending:
        """Connect a client: see `deployd.client.client.Dial`."""
        self.attempts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.refuse:
            return self.refuse.pop(0)
        wire = FakeWire(self)
        self.wires.append(wire)
        if "greeting" not in self.deaf:
            wire.say(Connected(f"client-{len(self.wires)}", self.limit, 0.0))
        if self.outage is not None:
            wire.tell(None, "system:degraded", self.outage.to_json())
        endings = []
        try:
            await talk(wire)
        except* WireEnded as group:
            endings = [error.ending for error in leaves(group)]
        wire.over = True
        return endings[0] if endings else Ending(1000)

    def count(self, kind: type[ClientMessage]) -> int:
        return sum(isinstance(message, kind) for message in self.asked)


def leaves(group: BaseExceptionGroup[WireEnded]) -> list[WireEnded]:
    found: list[WireEnded] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


class FakeWire:
    """One connection of it; `blocked` takes nothing, `inside` are the rooms that it is in."""

    def __init__(self, pod: FakePod) -> None:
        self.over = False
        self.blocked = False
        self.inside: set[str] = set()
        self._pod = pod
        self._ending: Ending | None = None
        self._out, self._in = trio.open_memory_channel[str](10_000)

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.blocked:
            await trio.sleep_forever()
        message = NATIVE.decode(text)
        self._pod.asked.append(message)
        answer = None if type(message) in self._pod.deaf else self._answer(message)
        if answer is not None:
            self.say(answer)

    async def receive(self) -> str:
        try:
            return await self._in.receive()
        except trio.EndOfChannel:
            assert self._ending is not None
            raise WireEnded(self._ending) from None

    def say(self, message: PodMessage) -> None:
        """Say something to the client."""
        self._out.send_nowait(NATIVE.encode(message).decode())

    def tell(self, room: str | None, event: str, data: object = None, sequence: int = 0) -> None:
        """Say an event."""
        self.say(Event(room, event, encode_data(data), "e-1", sequence, 0.0))

    def put_out(self, room: str, problem: Problem) -> None:
        """Put the client out of a room, and say why."""
        self.inside.discard(room)
        self.say(Left(room, 0.0, reason="as a test likes"))
        self.say(Failed(problem, 0.0))

    def raw(self, text: str) -> None:
        """Say what is no message of a pod."""
        self._out.send_nowait(text)

    def end(self, code: int = 1006, reason: str = "") -> None:
        """Close the connection."""
        self._ending = Ending(code, reason)
        self._out.close()

    def _answer(self, message: ClientMessage) -> PodMessage | None:
        room = getattr(message, "room", None)
        problems = self._pod.no.get(room or "")
        # As pods do: nobody is kept in a room, but it may be too fast or too busy to hear.
        hears = not isinstance(message, Leave) or (problems and problems[0].code in HASTE)
        if problems and hears:
            return Failed(problems.pop(0), 0.0, message.id)
        match message:
            case Auth(token=token) if token in self._pod.bad_tokens:
                code = self._pod.bad_tokens[token]
                return Failed(Problem(code, "This token is not good."), 0.0, message.id)
            case Auth():
                return Authenticated("ada", False, 0.0, message.id)
            case Join():
                self.inside.add(message.room)
                return Joined(message.room, 0.0, message.id)
            case Leave():
                self.inside.discard(message.room)
                return Left(message.room, 0.0, message.id)
            case Emit():
                return Receipted(Scope.LOCAL, "e-1", 0.0, message.id, message.room)
            case Ping():
                return Pong(0.0, message.id)


@asynccontextmanager
async def client_of(
    pod: FakePod,
    token: Token = None,
    *,
    most_unread: int = 1_000,
    unread: Unread = Unread.FAIL,
    heartbeat: float = 25.0,
    random: Callable[[], float] = lambda: 0.5,
) -> AsyncIterator[Client]:
    """Be a client of it, whether or not there is a connection yet."""
    options = Options(TIMEOUT, heartbeat, most_unread, unread, random)
    async with serve(pod.dial, token, options) as client:
        yield client
