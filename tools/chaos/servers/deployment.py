"""A broker of some topology that was started here: what pods are told of it, and what befalls it.

A fault is known by its name, `broker.kill`, and its fields are read from it: what it is in a file,
and which there are, is written where scenarios are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol, TypeAlias, TypeVar

import trio

from ..proxy import Toxic
from .errors import CannotBefall
from .processes import LOCALHOST
from .stranger import Stranger

__all__ = [
    "PASSWORD",
    "PODS",
    "BrokerServer",
    "Deed",
    "Deployment",
    "Endpoint",
    "Misfortune",
    "Undo",
]

PODS: Final = 8
"""Pods that have a user of their own on the servers: `pod0`, …"""
PASSWORD: Final = "chaos"  # noqa: S105 - of servers on 127.0.0.1 that live for minutes
IMPOSSIBLE: Final = {
    "broker.certificate": "Servers are started here without TLS; the tests of the drivers try "
    "certificates (docs/faults.md).",
}
ROOMS: Final = ("plain", "heard", "kept", "strict")

T = TypeVar("T")


class Endpoint(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, as in settings."""
        return f"{self.host}:{self.port}"


class Misfortune(Protocol):
    """What goes wrong, with a field for each detail."""

    @property
    def name(self) -> str:
        """What it is: `broker.kill`."""


Undo: TypeAlias = Callable[[], Awaitable[None]]
Deed: TypeAlias = Callable[[Misfortune], Awaitable[Undo | None]]


class BrokerServer(Protocol):
    """A process that serves, of any kind."""

    port: int

    @property
    def running(self) -> bool:
        """Whether its process is there."""

    @property
    def frozen(self) -> bool:
        """Whether it was frozen."""

    def start(self) -> None:
        """Start, and return when it answers."""

    def spawn(self) -> None:
        """Start, and return at once."""

    def wait(self) -> None:
        """Return when it answers."""

    def kill(self) -> None:
        """`kill -9`."""

    def terminate(self) -> int | None:
        """SIGTERM; return when it has ended."""

    def remove(self) -> None:
        """End all of its processes for good."""

    def freeze(self) -> None:
        """SIGSTOP."""

    def thaw(self) -> None:
        """SIGCONT."""


class Deployment(ABC):
    """Servers that serve pods together. `servers` are those that faults count, from 0.

    `signed` is whether the pods have a secret.
    """

    kind: ClassVar[str]
    impossible: ClassVar[Mapping[str, str]] = {}
    """Why what cannot be done cannot be done, by the name of the fault."""

    def __init__(self, topology: str, folder: Path, rooms: Sequence[str] = ROOMS) -> None:
        self.topology = topology
        self.folder = folder
        self.rooms = tuple(rooms)
        self.signed = False
        self.servers: Sequence[BrokerServer] = ()
        self.deeds: dict[str, Deed] = {
            "broker.kill": self.kill,
            "broker.stop": self.stop,
            "broker.freeze": self.freeze,
            "broker.stranger": self.let_in_a_stranger,
        }
        self._nursery: trio.Nursery | None = None
        self._begun: list[Undo] = []

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all, and return when they serve together; what goes on does so in a nursery."""
        self._nursery = nursery
        await self.begin(nursery)

    @abstractmethod
    async def begin(self, nursery: trio.Nursery) -> None:
        """Start all: what `start` does for these."""

    @abstractmethod
    def settings(
        self, pod: int, *, through: Mapping[Endpoint, Endpoint] | None = None, roam: bool = False
    ) -> dict[str, object]:
        """Return the `broker` section of a pod's settings, as in its file.

        Each pod has a user of its own. Where `through` has another address for a server's, the
        pod is told that; with `roam` it knows all servers of NATS.
        """

    def toxics(self, through: Mapping[Endpoint, Endpoint]) -> Sequence[Toxic]:
        """Return what has to be on a pod's proxies at all times, so that it goes round none."""
        del through
        return ()

    async def end(self) -> None:
        """End all processes."""
        for server in self.servers:
            await in_thread(server.kill)

    @property
    def addresses(self) -> Sequence[Endpoint]:
        """Where pods connect to."""
        return [Endpoint(LOCALHOST, server.port) for server in self.servers]

    def cannot(self, trouble: Misfortune) -> str | None:
        """Say why a fault cannot be done to these servers; None if it can."""
        why = self.impossible.get(trouble.name) or IMPOSSIBLE.get(trouble.name)
        if why is not None:
            return why
        if trouble.name not in self.deeds:
            return f"{trouble.name} is nothing that can be done to {self.kind} ({self.topology})."
        return self.objection(trouble)

    def objection(self, trouble: Misfortune) -> str | None:
        """Say why a fault that can be done cannot be done with these details."""
        del trouble
        return None

    async def do(self, trouble: Misfortune) -> Undo | None:
        """Let a fault begin; return what ends it, None where nothing has to.

        Raises `CannotBefall`, and `ServersError`s of servers that do not obey.
        """
        reason = self.cannot(trouble)
        if reason is not None:
            raise CannotBefall(reason)
        undo = await self.deeds[trouble.name](trouble)
        if undo is None:
            return None
        self._begun.append(undo)

        async def end() -> None:
            if undo in self._begun:  # it has not been restored meanwhile
                self._begun.remove(undo)
                await undo()

        return end

    async def restore(self) -> None:
        """Have all servers run and serve as at first, whatever has been done and not undone."""
        while self._begun:
            await self._begun.pop()()
        await self.start_again(range(len(self.servers)))

    # What can be done to servers of any kind.

    async def kill(self, trouble: Misfortune) -> Undo:
        """`kill -9`."""
        chosen = self.chosen(trouble)
        for place in chosen:
            await in_thread(self.servers[place].kill)
        return lambda: self.start_again(chosen)

    async def stop(self, trouble: Misfortune) -> Undo:
        """Let it end in peace, which takes its time."""
        chosen = self.chosen(trouble)
        for place in chosen:
            if self.servers[place].running:
                self.dismiss(place)

        async def again() -> None:
            for place in chosen:
                await in_thread(self.servers[place].terminate)
            await self.start_again(chosen)

        return again

    @abstractmethod
    def dismiss(self, place: int) -> None:
        """Tell a server to end, and return at once."""

    async def freeze(self, trouble: Misfortune) -> Undo:
        """SIGSTOP."""
        chosen = self.chosen(trouble)
        for place in chosen:
            if self.servers[place].running:
                await in_thread(self.servers[place].freeze)

        async def thaw() -> None:
            for place in chosen:
                if self.servers[place].frozen:  # it may have been killed meanwhile
                    self.servers[place].thaw()
            await trio.lowlevel.checkpoint()

        return thaw

    async def let_in_a_stranger(self, trouble: Misfortune) -> Undo:
        """Have somebody write who is no pod, with the rights of the last of them."""
        del trouble
        over = trio.CancelScope()
        stranger = Stranger(self.settings(PODS - 1), self.rooms, forges=self.signed)

        async def live() -> None:
            with over:
                await stranger.run()

        assert self._nursery is not None  # noqa: S101 - these have been started
        self._nursery.start_soon(live)

        async def leave() -> None:
            over.cancel()
            await trio.lowlevel.checkpoint()

        return leave

    async def start_again(self, places: Sequence[int]) -> None:
        """Start those that do not run, at once: some wait for each other."""
        gone = [self.servers[place] for place in places if not self.servers[place].running]
        for server in gone:
            server.spawn()
        async with trio.open_nursery() as nursery:
            for server in gone:
                nursery.start_soon(in_thread, server.wait)

    def chosen(self, trouble: Misfortune) -> Sequence[int]:
        """Return the servers that a fault names, all if none."""
        return these(said(trouble, "servers", tuple), len(self.servers))


def said(trouble: Misfortune, field: str, kind: type[T]) -> T:
    """Return a detail of a fault."""
    value = getattr(trouble, field)
    if not isinstance(value, kind):
        raise TypeError(f"{trouble.name}: {field} is {value!r}, no {kind.__name__}")
    return value


def pods_of(trouble: Misfortune) -> Sequence[int]:
    """Return the pods that a fault names, all if none."""
    return these(said(trouble, "pods", tuple), PODS)


def these(named: Sequence[int], count: int) -> Sequence[int]:
    """Return those of `count` that are named; where none is, all."""
    return [each for each in named if each < count] or range(count)


async def in_thread(function: Callable[[], object]) -> None:
    """Do what takes time beside everything else; it is not waited for when that is over."""
    await trio.to_thread.run_sync(function)
