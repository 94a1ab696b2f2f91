"""A simulated client: a real session without a socket, that writes down what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import trio

from ...actors import (
    JSON,
    Actor,
    ActorCell,
    Backpressure,
    ConnectionEnvironment,
    DeadLetters,
    Mailbox,
    Member,
    Session,
)
from ...transport import NATIVE, ClientMessage, Emit, Event, Failed, Join, Leave, encode_data
from ..oracle import EVERYBODY, Answered, Entered, Gone, Hearing, Record, Spoken, Told

__all__ = ["SAID", "Visit", "payloads"]

SAID: Final = "said"
_SMALLEST: Final = 64


class _Nobody(Actor):
    """Stands for the actor of a connection: rooms look whether it ends."""


class Visit:
    """One visit of a client to a pod. It is its own `FrameSink`: what is written is read at once.

    `since` makes of a pod's unix seconds those since the run began; `healed` is called when it is
    told that the pods hear each other again.
    """

    deflates = False
    written = waiting = (0, 0)

    def __init__(
        self,
        name: str,
        pod: int,
        environment: ConnectionEnvironment,
        history: list[Record],
        since: Callable[[float], float],
        healed: Callable[[], object],
    ) -> None:
        self._healed = healed
        self.name = name
        self.live = True
        self.lagging = False
        self._taken = trio.Event()
        self._pod = pod
        self._env = environment
        self._history = history
        self._since = since
        self._number = 0
        cell: ActorCell[Any] = ActorCell(
            name, _Nobody, mailbox=Mailbox(), dead_letters=DeadLetters()
        )
        self._member = Member(name, cell.ref, self, "10.0.0.1", NATIVE)
        self.session = Session(self._member, environment, Backpressure())

    # What it does ----------------------------------------------------------------------------

    def come(self, nursery: trio.Nursery) -> None:
        """Be there, and be warned of an outage, as a connection does."""
        self._env.members[self.name] = self._member
        self._history.append(Entered(trio.current_time(), self.name, self._pod, EVERYBODY))
        self.session.attach(nursery.start_soon)
        outage = None if self._env.uplink is None else self._env.uplink.degraded
        if outage is not None:
            data = encode_data(outage.to_json())
            self._member.say(Event(None, "system:degraded", data, "", 0, self._env.wall()))

    @property
    def rooms(self) -> list[str]:
        """The rooms that it is in."""
        return list(self._member.rooms)

    def stall(self) -> None:
        """Take nothing: what is written waits, and is counted as told all the same."""
        self.lagging, self._taken = True, trio.Event()

    def go_on(self) -> None:
        """Take it."""
        self.lagging = False
        self._taken.set()

    def join(self, room: str) -> None:
        """Ask to be let in."""
        self._act(Join(room))

    def leave(self, room: str) -> None:
        """Leave a room."""
        self._history.append(Gone(trio.current_time(), self.name, room))
        self._act(Leave(room))

    def say(self, room: str, size: int) -> None:
        """Emit, and want a receipt."""
        self._number += 1
        said = Spoken(trio.current_time(), self.name, self._pod, room, self._number)
        self._history.append(said)
        data: dict[str, JSON] = {"by": self.name, "number": self._number, "more": "x" * size}
        self._act(Emit(SAID, data, room, self._number), size)

    def go(self) -> None:
        """Go, as when the connection is closed."""
        self.vanish()
        self._env.members.pop(self.name, None)
        self.session.end("gone")

    def vanish(self) -> None:
        """Be told nothing more: its pod is dead."""
        if self.live:
            self._history.append(Gone(trio.current_time(), self.name, None))
            self.live = False
            self.go_on()

    def look(self) -> None:
        """Have answered what is overdue."""
        self.session.answer_overdue()

    def _act(self, message: ClientMessage, size: int = 0) -> None:
        problem = self.session.act(message, _SMALLEST + size, trio.current_time())
        if problem is not None:
            request = getattr(message, "id", None)
            self._member.say(Failed(problem, self._env.wall(), request))

    # What it is told: `FrameSink` --------------------------------------------------------------

    def write(self, data: bytes, messages: int = 1) -> None:
        """Read what is written."""
        if self.live:
            for payload in payloads(data):
                self._hear(orjson.loads(payload))

    async def flushed(self) -> None:
        """Return when nothing waits."""
        await trio.lowlevel.checkpoint()
        if self.lagging:
            await self._taken.wait()

    def _hear(self, told: dict[str, Any]) -> None:
        now, kind = trio.current_time(), told["type"]
        if kind == "emit":
            if told["event"] == SAID:
                data = told["data"]
                heard = Hearing(
                    now, self.name, told.get("room") or EVERYBODY, data["by"], data["number"]
                )
                self._history.append(heard)
            elif told["event"] in ("system:degraded", "system:healed"):
                outage = self._outage(now, told["event"], told["data"])
                self._history.append(outage)
                if outage.room is None and outage.until is not None:
                    self._healed()
        elif kind == "receipt":
            data = told["data"]
            scope, members = data["scope"], data.get("members", -1)
            self._history.append(Answered(now, self.name, told["id"], scope, members))
        elif kind == "error" and told.get("id") is not None:
            code = f"error:{told['data']['code']}"
            self._history.append(Answered(now, self.name, told["id"], code))
        elif kind == "join":
            self._history.append(Entered(now, self.name, self._pod, told["room"]))
        elif kind == "leave" and "data" in told:
            self._history.append(Gone(now, self.name, told["room"]))

    def _outage(self, now: float, event: str, data: dict[str, Any]) -> Told:
        since = self._since(data["since"])
        until = since + data["seconds"] if event == "system:healed" else None
        missed = data.get("missed", 0)
        room = data.get("room") or (EVERYBODY if data["code"] == "missed" else None)
        unheard, lost = data.get("unheard", 0), data.get("lost", 0)
        return Told(now, self.name, room, data["code"], since, until, missed, unheard, lost)


def payloads(data: bytes) -> Iterator[bytes]:
    """Yield what is in a server's frames (RFC 6455 section 5.2): whole and unmasked."""
    at = 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + wide]), start + wide
        yield data[start : start + size]
        at = start + size
