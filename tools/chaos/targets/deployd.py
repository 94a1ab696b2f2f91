"""Ours: pods as operators run them, and `deployd.client`.

All that is said of losses is written down: receipts with their scopes, holes and outages.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Final

import orjson
import trio

from ....client import (
    JSON,
    CameUp,
    Client,
    ClientError,
    ClientEvent,
    Degraded,
    Disconnected,
    Gap,
    Healed,
    NoAnswer,
    Refused,
    RoomEntered,
    RoomLeft,
    Signal,
    Unconfirmed,
    Unread,
    WentDown,
    connect,
)
from ...common import ToolError
from ...common.address import ask, parse_address
from ...common.keys import known_key
from ...oracle import EVERYBODY, Record, Spoken, Told
from ..scenario import Scenario, Trouble
from ..servers import LOCALHOST
from .contract import BenchTarget, GuestSeat, PodPost, PodStanding
from .guest import Guest

__all__ = ["OurTarget"]

ASKED: Final = 2.0
"""Seconds for a pod to say how it stands; one that sleeps does not."""
CHAOS: Final = "/_dashboard/api/chaos"
NOTES: Final = "notes"
"""The collection in which the bench keeps documents, where it does."""
SAID: Final = "said"
ANSWER: Final = 60.0
"""Seconds for any answer: longer than a pod may take for one, or sleep."""
MOST_UNREAD: Final = 20_000
AGAIN: Final = 0.3
"""Seconds after which a client that was let in nowhere tries anew."""


class OurTarget(BenchTarget):
    """deployd itself."""

    name: ClassVar[str] = "deployd"
    tells_all: ClassVar[bool] = True

    @property
    def version(self) -> str:
        """See `BenchTarget.version`."""
        return version("deployd")

    def objection(self, broker: str, topology: str) -> str | None:
        """Be played on all."""

    def spared(self, scenario: Scenario, trouble: Trouble) -> str | None:
        """Be spared nothing."""

    def command(self, post: PodPost) -> Sequence[str | Path]:
        """See `BenchTarget.command`."""
        broker = dict(post.broker) | {
            "policies": {room.name: room.policy.value for room in post.rooms},
            "receipts": {room.name: room.receipt.value for room in post.rooms},
        }
        if post.signed:
            broker["secret"] = "s" * 64
        settings = {
            "server": {"name": f"pod{post.number}"},
            "broker": broker,
            "chaos": {"enabled": post.chaos},
        }
        (post.folder / "pod.json").write_bytes(orjson.dumps(settings))
        notes = post.folder / "resources" / NOTES
        notes.mkdir(parents=True)
        (notes / "config.json").write_bytes(orjson.dumps({"properties": {}}))
        serve = [sys.executable, "-P", "-m", "deployd.tools", "serve", "--host", LOCALHOST]
        return [*serve, "--port", str(post.port), "--config", "pod.json", "--data", "data"]

    def answers(self, post: PodPost) -> bool:
        """See `BenchTarget.answers`."""
        return _asked(post, "/health/live") is not None

    def standing(self, post: PodPost) -> PodStanding | None:
        """See `BenchTarget.standing`."""
        return read_standing(_asked(post, "/_dashboard/api/pods"))

    def inject(self, post: PodPost, fault: Mapping[str, object]) -> None:
        """See `BenchTarget.inject`."""
        _demand(post, CHAOS, "POST", dict(fault))

    def relieve(self, post: PodPost) -> None:
        """See `BenchTarget.relieve`."""
        _demand(post, CHAOS, "DELETE")

    def write(self, post: PodPost) -> bool:
        """See `BenchTarget.write`."""
        try:
            _demand(post, f"/{NOTES}", "POST", {})
        except (ToolError, OSError, HTTPException):
            return False
        return True

    def database(self, post: PodPost) -> Path:
        """See `BenchTarget.database`."""
        return post.folder / "data" / "documents.db"

    @asynccontextmanager
    async def guests(
        self, seats: Sequence[GuestSeat], history: list[Record]
    ) -> AsyncIterator[Sequence[Guest]]:
        """See `BenchTarget.guests`."""
        await trio.lowlevel.checkpoint()
        yield [OurGuest(seat, history) for seat in seats]


def _demand(post: PodPost, path: str, method: str = "GET", body: object = None) -> object:
    key = known_key(post.folder / "data", {})
    address = parse_address(f"http://{LOCALHOST}:{post.port}")
    return ask(address, path, key, method=method, body=body, timeout=ASKED)


def _asked(post: PodPost, path: str) -> object:
    """Ask a pod; None where it does not answer."""
    try:
        return _demand(post, path)
    except (ToolError, OSError, HTTPException):
        return None


def read_standing(answer: object) -> PodStanding | None:
    """Read what a pod says of itself and of those that it hears."""
    match answer:
        case {"breaker": str(link), "pods": list(pods)}:
            heard = sum(isinstance(pod, dict) and pod.get("state") == "heard" for pod in pods)
            return PodStanding(link, heard)
        case _:
            return None


class OurGuest(Guest):
    """A client of ours."""

    def __init__(self, seat: GuestSeat, history: list[Record]) -> None:
        rooms = [room.name for room in seat.rooms]
        super().__init__(seat.number, seat.pod, seat.url, rooms, history, seat.blameless)
        self._client: Client | None = None
        self._open: set[str | None] = set()
        self._ahead = seat.ahead
        self._zero = time.time() - trio.current_time()

    @property
    def _offset(self) -> float:
        """From what pods say of times, in unix seconds, to what is written down of this run."""
        return self._zero + self._ahead()

    @property
    def well(self) -> bool:
        """See `Guest.well`."""
        return super().well and not self._open

    def left(self) -> None:
        """See `Guest.left`."""
        super().left()
        self._open.clear()

    async def visit(self) -> None:
        """See `Guest.visit`."""
        try:
            await self._stay()
        except* ClientError:
            await trio.sleep(AGAIN)

    async def _stay(self) -> None:
        async with connect(
            self.url, timeout=ANSWER, most_unread=MOST_UNREAD, unread=Unread.DROP_OLDEST
        ) as client:
            told = client.told()
            self._client = client
            self.came()
            if client.degraded is not None:  # it was told so before anybody listened
                self._hear(client.degraded)
            try:
                async with trio.open_nursery() as nursery:
                    for room in self.rooms:
                        nursery.start_soon(_join, client, room)
                    async for one in told:
                        self._hear(one)
            finally:
                self._client = None
                self.left()  # before the client says so itself

    async def emit(self, said: Spoken, size: int) -> None:
        """See `Guest.emit`."""
        client = self._client
        if client is None:
            return
        data: JSON = {"by": said.client, "number": said.number, "more": "x" * size}
        members = -1
        try:
            receipt = await client.emit(said.room, SAID, data, timeout=ANSWER)
            scope = receipt.scope.value
            members = -1 if receipt.members is None else receipt.members
        except Refused as error:
            scope = f"error:{error.code}"
        except Disconnected:
            scope = "error:disconnected"  # nothing was sent
        except (Unconfirmed, NoAnswer, ClientError):
            return
        self.answered(said.client, said.number, scope, members)

    def _hear(self, one: ClientEvent | Signal) -> None:
        match one:
            case ClientEvent(name="said", data={"by": str(by), "number": int(number)}):
                self.heard(one.room or EVERYBODY, by, number)
            case RoomEntered(room):
                self.entered(room)
            case RoomLeft(room):
                self.left_room(room)
            case CameUp():
                self.came()
            case WentDown(code):
                self.dropped(code)
            case Degraded() | Gap() | Healed():
                self._history.append(self._told(trio.current_time(), one))
            case _:
                pass  # what its pod complains of is judged by what comes of it

    def _told(self, now: float, outage: Degraded | Gap | Healed) -> Told:
        since = outage.since - self._offset
        whose = outage.room if isinstance(outage, Gap) else None
        over = isinstance(outage, Healed) or (
            isinstance(outage, Gap) and outage.whole_at is not None
        )
        (self._open.discard if over else self._open.add)(whose)
        if isinstance(outage, Degraded):
            return Told(now, self.name, None, outage.code.value, since, None, 0)
        if isinstance(outage, Gap):
            until = None if outage.whole_at is None else outage.whole_at - self._offset
            room = outage.room or EVERYBODY
            return Told(now, self.name, room, "missed", since, until, outage.missed)
        until, code = since + outage.seconds, outage.code.value
        return Told(
            now, self.name, None, code, since, until, outage.missed, outage.unheard, outage.lost
        )


async def _join(client: Client, room: str) -> None:
    inside = False
    while not inside:
        try:
            await client.join(room)
            inside = True
        except (Refused, NoAnswer, Disconnected):
            await trio.sleep(AGAIN)
