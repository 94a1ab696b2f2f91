"""How clients come into a pod that has no port: their messages go straight to their sessions.

What a connection's actor does is done here in few words: it greets, reads, answers pings, and sees
to it that answers and tokens end in time. It has no rates and no socket that could be slow.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from ..actors import (
    Actor,
    ActorCell,
    Backpressure,
    ConnectionEnvironment,
    DeadLetters,
    Member,
    Session,
)
from ..client.endings import Ending
from ..client.wire import Wire, WireEnded
from ..tools.simulator.client import payloads
from ..transport import (
    NATIVE,
    ClientMessage,
    CloseCode,
    Connected,
    Event,
    Failed,
    Ping,
    Pong,
    Problem,
    RequestId,
    WireError,
    encode_data,
    has_vanished,
)
from ..transport.protocols import DEGRADED

__all__ = ["Doorway"]

WAITING: Final = 10_000
"""Messages that wait for a client that does not read; with one more it is sent away."""
ADDRESS: Final = "127.0.0.1"


class _NoConnection(Actor):
    """Stands for the actor of a connection: rooms look whether it ends."""


class Doorway:
    """Lets clients into a pod: `dial` is what a client connects with."""

    def __init__(self, environment: ConnectionEnvironment) -> None:
        self._environment = environment
        self._inside: dict[_GuestVisit, None] = {}
        self._visits = 0
        self._shut = False

    async def dial(self, talk: Callable[[Wire], Awaitable[None]]) -> Ending:
        """Come in, talk until that returns or the visit ends, and return how it ended."""
        await trio.lowlevel.checkpoint()
        if self._shut:
            return Ending(1006, "the pod is down")
        self._visits += 1
        visit = _GuestVisit(f"client-{self._visits}", self._environment)
        self._inside[visit] = None
        ending = Ending(1000, "closed by this client")
        try:
            async with trio.open_nursery() as nursery:
                visit.begin(nursery)
                await talk(visit)
                nursery.cancel_scope.cancel()
        except* WireEnded as group:
            ending = _first(group)
        finally:
            del self._inside[visit]
            visit.leave(ending.code)
        return ending

    def shut(self) -> None:
        """Send everybody away, as a pod that stops does, and let nobody in."""
        self._shut = True
        for visit in self._inside:
            visit.send_away(Ending(1012, "retry_after=0"))


class _GuestVisit:
    """One visit of a client: its wire, and what its member's frames are written to."""

    deflates = lagging = False
    written = waiting = (0, 0)

    def __init__(self, name: str, environment: ConnectionEnvironment) -> None:
        self._env = environment
        self._in, self._out = trio.open_memory_channel[str](WAITING)
        self._ending = Ending(1012, "the pod stops")
        cell: ActorCell[Any] = ActorCell(name, _NoConnection, dead_letters=DeadLetters())
        self._cell = cell  # its references do not hold it
        self.member = Member[Any](name, cell.ref, self, ADDRESS, NATIVE)
        self.session = Session(self.member, environment, Backpressure())
        self._asked = trio.Event()

    def begin(self, nursery: trio.Nursery) -> None:
        """Be there, and be greeted."""
        env = self._env
        env.members[self.member.client_id] = self.member
        self.session.attach(nursery.start_soon)
        nursery.start_soon(self._answer_in_time)
        greeting = Connected(self.member.client_id, env.limits.max_message_bytes, env.wall())
        self.member.say(greeting)
        outage = None if env.uplink is None else env.uplink.degraded
        if outage is not None:
            data = encode_data(outage.to_json())
            self.member.say(Event(None, DEGRADED, data, env.event_ids(), 0, env.wall()))

    def leave(self, code: int) -> None:
        """Be gone, as a connection is that was closed so."""
        self._in.close()
        self._env.members.pop(self.member.client_id, None)
        self.session.end(f"closed {code}", vanished=has_vanished(code))

    def send_away(self, ending: Ending) -> None:
        """End the visit, once all that was written is read."""
        self._ending = ending
        self._in.close()

    # The client's end: `Wire` ------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Do what the client asks for."""
        await trio.lowlevel.checkpoint()
        try:
            message = NATIVE.decode(text)
        except WireError as error:
            problem = Problem(error.code, error.sentence, error.room)
            self._refuse(problem, error.id)
            return
        if isinstance(message, Ping):
            self.member.say(Pong(self._env.wall(), message.id))
        else:
            self._act(message, len(text))

    async def receive(self) -> str:
        """Return what the client is told next."""
        try:
            return await self._out.receive()
        except trio.EndOfChannel:
            raise WireEnded(self._ending) from None

    # The pod's end: `FrameSink` ----------------------------------------------------------------

    def write(self, data: bytes, messages: int = 1) -> None:
        """Take whole frames."""
        try:
            for payload in payloads(data):
                self._in.send_nowait(payload.decode())
        except trio.WouldBlock:
            self.send_away(Ending(4000, "the client reads too slowly"))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            pass  # it is going, and is told nothing more

    async def flushed(self) -> None:
        """Be done: nothing waits for a kernel."""

    # Inside ------------------------------------------------------------------------------------

    def _act(self, message: ClientMessage, nbytes: int) -> None:
        problem = self.session.act(message, nbytes, trio.current_time())
        if problem is not None:
            self._refuse(problem, message.id)
        self._asked.set()

    def _refuse(self, problem: Problem, request_id: RequestId) -> None:
        self.member.say(Failed(problem, self._env.wall(), request_id))

    async def _answer_in_time(self) -> None:
        """Answer what rooms do not, and end tokens, in time."""
        while True:
            answers, token = self.session.due(), self._token_ends()
            self._asked = trio.Event()
            with trio.move_on_at(min(math.inf if answers is None else answers, token)):
                await self._asked.wait()
                continue
            if trio.current_time() >= token:
                self._end_token()
            self.session.answer_overdue()

    def _end_token(self) -> None:
        if self._env.auth.on_expiry == "close":
            self.send_away(Ending(CloseCode.TOKEN_EXPIRED, "your token has expired"))
        self._refuse(self.session.downgrade(), None)

    def _token_ends(self) -> float:
        """Return when the client's token ends (trio's seconds)."""
        identity = self.member.identity
        if identity is None or identity.expires_at is None:
            return math.inf
        seconds = identity.expires_at + self._env.auth.leeway - self._env.wall()
        return trio.current_time() + seconds


def _first(group: BaseExceptionGroup[WireEnded]) -> Ending:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, WireEnded)  # noqa: S101 - what was caught
    return error.ending
