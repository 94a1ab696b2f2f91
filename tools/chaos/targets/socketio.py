"""Socket.IO with each of its adapters on Redis, and python-socketio with its manager.

What is promised (socket.io/docs/v4/delivery-guarantees): order, and a word at most once. Nobody is
told of what was lost; there are no loss signals.

Receipts. The acknowledgement of an emit is what the pod's own handler answers, and says nothing of
other pods: here it is `taken`, a word of its own. Where a room asks for receipts that say who has
heard, Socket.IO has broadcasts with acknowledgements (`io.to(room).timeout(5000).emit(…)`): they
succeed when all clients of the room, on all servers, have acknowledged. That is promised by the
documentation, so it is `cluster`, and `members` are the acknowledgements; where the time runs out
it is `partial`. python-socketio has them for single clients alone, so all of its are `taken`.

Policies (`buffer`, `reject`) there are none. Each is set up as its documentation recommends for
what is measured: ioredis, for it subscribes anew by itself; connection state recovery with the
streams adapter; handlers one after another in python-socketio, for order. Pods of Socket.IO say
how they stand by their links' `status` and by the adapter's `serverCount()`, because the bench
asks: a generous reading. Pods of python-socketio say nothing, and so never that anything is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar, Final

import orjson

from ...oracle import Record
from ..scenario import Scenario, Trouble
from ..scenario import broker_faults as broker
from ..scenario import inner_faults as inner
from ..scenario import way_faults as way
from ..servers import LOCALHOST, NotInstalled, connects
from .contract import BenchTarget, GuestSeat, PodPost, PodStanding, TargetError
from .guest import Guest
from .node import node_command, npm_version
from .socketio_clients import socketio_guests

__all__ = ["PythonSocketIo", "SocketIoRedis", "SocketIoStreams"]

ASKED: Final = 2.0
"""Seconds for a pod to say how it stands."""
PYTHON: Final = ("python-socketio", "uvicorn", "websockets", "redis")
OURS: Final = (
    *(inner.PodClock, inner.PodRaise, inner.ClientStall, inner.ClientRubbish),
    *(inner.StoreStop, inner.StoreLock, inner.StoreFull),
)
"""What is done by deployd's own means: from inside its pods, or with frames of its protocol."""
MESSAGES: Final = (way.WayDrop, way.WayDuplicate, way.WayReorder)
"""What befalls messages, as Redis pushes them to who has subscribed."""


class _OnRedis(BenchTarget):
    """What they have in common."""

    program: ClassVar[Path]
    adapter: ClassVar[str] = ""

    def objection(self, broker: str, topology: str) -> str | None:
        """See `BenchTarget.objection`."""
        if (broker, topology) == ("redis", "single"):
            return None
        return f"{self.name} is put on the bench with a single Redis alone."

    def spared(self, scenario: Scenario, trouble: Trouble) -> str | None:
        """See `BenchTarget.spared`."""
        if scenario.pods.signed:
            return f"Pods of {self.name} sign nothing."
        if any(scenario.pods.clocks) or getattr(trouble, "clock", False):
            return f"Pods of {self.name} have the clock of this machine."
        if isinstance(trouble, OURS):
            return f"{trouble.name} is done by deployd's own means."
        if isinstance(trouble, broker.BrokerDeny | broker.BrokerStranger) or (
            isinstance(trouble, way.WayDrop) and (trouble.room or trouble.beats)
        ):
            return f"{trouble.name} is aimed at deployd's channels, and {self.name} has others."
        return None

    def guests(
        self, seats: Sequence[GuestSeat], history: list[Record]
    ) -> AbstractAsyncContextManager[Sequence[Guest]]:
        """See `BenchTarget.guests`."""
        return socketio_guests(seats, history)

    def told(self, post: PodPost) -> str:
        """Return what its program is told."""
        words = {"url": redis_url(post.broker), "port": post.port}
        return orjson.dumps(words | ({"adapter": self.adapter} if self.adapter else {})).decode()


class _SocketIo(_OnRedis):
    """Pods of Node."""

    program = Path(__file__).with_name("socketio_pod.cjs")

    @property
    def version(self) -> str:
        """See `BenchTarget.version`."""
        return npm_version("socket.io")

    def command(self, post: PodPost) -> Sequence[str | Path]:
        """See `BenchTarget.command`."""
        return node_command(self.program, self.told(post))

    def answers(self, post: PodPost) -> bool:
        """See `BenchTarget.answers`."""
        return connects(post.port)

    def standing(self, post: PodPost) -> PodStanding | None:
        """See `BenchTarget.standing`."""
        connection = HTTPConnection(LOCALHOST, post.port, timeout=ASKED)
        try:
            connection.request("GET", "/")
            answer = orjson.loads(connection.getresponse().read())
        except (OSError, HTTPException, orjson.JSONDecodeError):
            return None
        finally:
            connection.close()
        match answer:
            case {"link": str(link), "others": int(others)}:
                return PodStanding(link, others)
            case _:
                return None


class SocketIoRedis(_SocketIo):
    """Socket.IO with its adapter on Redis' publish and subscribe."""

    name = "socketio-redis"
    adapter = "redis"


class SocketIoStreams(_SocketIo):
    """Socket.IO with its adapter on a stream of Redis, which it resumes."""

    name = "socketio-streams"
    adapter = "streams"

    def spared(self, scenario: Scenario, trouble: Trouble) -> str | None:
        """See `BenchTarget.spared`."""
        if isinstance(trouble, MESSAGES):
            return f"{trouble.name} befalls what Redis pushes, and a stream is read."
        return super().spared(scenario, trouble)


class PythonSocketIo(_OnRedis):
    """python-socketio under uvicorn, with its manager on Redis."""

    name = "python-socketio"
    program = Path(__file__).with_name("python_socketio_pod.py")

    @property
    def version(self) -> str:
        """See `BenchTarget.version`."""
        try:
            versions = {package: version(package) for package in PYTHON}
        except PackageNotFoundError as error:
            raise NotInstalled(error.name, f"pip install {' '.join(PYTHON)}") from None
        return versions[PYTHON[0]]

    def command(self, post: PodPost) -> Sequence[str | Path]:
        """See `BenchTarget.command`."""
        return [sys.executable, "-P", self.program, self.told(post)]

    def answers(self, post: PodPost) -> bool:
        """See `BenchTarget.answers`."""
        return connects(post.port)

    def standing(self, post: PodPost) -> PodStanding | None:
        """See `BenchTarget.standing`: it never says, so it thinks that all is well."""
        return PodStanding("closed", post.pods - 1) if connects(post.port) else None


def redis_url(settings: Mapping[str, object]) -> str:
    """Return where a pod's Redis is, with its login, of deployd's settings."""
    match settings:
        case {
            "redis": {
                "host": str(host),
                "port": int(port),
                "username": str(user),
                "password": str(password),
            }
        }:
            return f"redis://{user}:{password}@{host}:{port}"
        case _:
            raise TargetError("It takes the address of a single Redis.")
