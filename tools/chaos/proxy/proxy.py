"""A TCP proxy with toxics: it listens at one place and carries what comes to another."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio

from ....config import LogSampler, get_logger
from .errors import BadProxy, nearest
from .frames import PROTOCOLS
from .place import Door, Place, parse_place
from .relay import Relay
from .toxic import Reception
from .toxics import PlacedToxic, Toxics

__all__ = ["MAX_CONNECTIONS", "FaultProxy", "fault_proxy"]

MAX_CONNECTIONS: Final = 4096
"""Connections of one proxy at once; more are reset."""

EXHAUSTED_PAUSE: Final = 0.1
"""Seconds without accepting when the machine has no more file descriptors or buffers."""

SEED: Final = 7

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = get_logger("chaos")


class FaultProxy:
    """One proxy. `toxics` is what it does; `accepted` counts connections since it began.

    What is drawn depends on `seed`, the name of a toxic and the number of a connection only.
    """

    def __init__(
        self,
        name: str,
        listen: Place,
        upstream: Place,
        *,
        protocol: str = "",
        seed: int = SEED,
        complain: Callable[[str], object] | None = None,
    ) -> None:
        if protocol and protocol not in PROTOCOLS:
            raise BadProxy(f"There is no protocol {protocol!r}: {nearest(protocol, PROTOCOLS)}")
        self.name = name
        self.upstream = upstream
        self.protocol = protocol
        self.seed = seed
        self.accepted = 0
        self.toxics = Toxics(protocol, self._changed)
        self._door = Door(listen)
        self._relays: set[Relay] = set()
        self._running: trio.CancelScope | None = None
        self._ended = trio.Event()
        self._complain = complain or _Complaints()

    @property
    def listen(self) -> Place:
        """Where it listens; once it has been started, with the port that was found for 0."""
        return self._door.place

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.listen.port

    @property
    def enabled(self) -> bool:
        """Whether it runs."""
        return self._running is not None

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._relays)

    def reset_connections(self) -> None:
        """End all connections with RST; new ones may come."""
        for relay in tuple(self._relays):
            relay.reset()

    def open(self) -> None:
        """Listen, unless all who come are to be refused. Raises `PortTaken`."""
        refusing = any(
            placed.toxic.takes is Reception.REFUSED and placed.toxic.toxicity >= 1
            for placed in self.toxics
        )
        if refusing:
            self._door.shut()
        else:
            self._door.open()

    def start(self, nursery: trio.Nursery) -> None:
        """Listen, and carry what comes, in a nursery. Raises `PortTaken`."""
        if self._running is not None:
            return
        self.open()
        self._running = trio.CancelScope()
        self._ended = trio.Event()
        nursery.start_soon(self._run, self._running)

    async def stop(self) -> None:
        """Close everything, and give the port back."""
        if self._running is None:
            return
        self._running.cancel()
        await self._ended.wait()

    def move(self, listen: Place, upstream: Place) -> None:
        """Be at another place, or before another server; not while it runs."""
        self._door = Door(listen)
        self.upstream = upstream

    async def _run(self, scope: trio.CancelScope) -> None:
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    await self._accept(nursery)
        finally:
            self._door.leave()
            self._running = None
            self._ended.set()

    async def _accept(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                client = await self._door.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    await trio.sleep(EXHAUSTED_PAUSE)
                continue  # else it has gone before it was accepted
            self.accepted += 1
            relay = Relay(client, self.upstream, self.protocol, self.seed, self.accepted)
            full = len(self._relays) >= MAX_CONNECTIONS
            self._relays.add(relay)
            for placed in self.toxics:
                relay.put(placed)
            reception = Reception.REFUSED if full else relay.reception(self.toxics)
            nursery.start_soon(self._carry, relay, reception)

    async def _carry(self, relay: Relay, reception: Reception | None) -> None:
        try:
            await relay.run(reception)
        except OSError as error:
            self._complain(
                f"No server answers at {self.upstream} ({_reason(error)}); start it, or give "
                f"{self.name} another upstream."
            )
        finally:
            self._relays.discard(relay)

    def _changed(self, name: str, placed: PlacedToxic | None) -> None:
        """Let all connections know of a toxic that was put on, changed, or taken off."""
        for relay in self._relays:
            if placed is None:
                relay.remove(name)
            else:
                relay.put(placed)
        if self.enabled:
            self.open()


def _reason(error: BaseException) -> str:
    """Find what the system says: trio has tried several addresses, perhaps."""
    if isinstance(error, BaseExceptionGroup):
        return _reason(error.exceptions[0])
    number = getattr(error, "errno", None)
    if number is None and error.__cause__ is not None:
        return _reason(error.__cause__)
    return str(error) if number is None else os.strerror(number)


class _Complaints:
    """Writes to the log what nobody else wants to hear, at a limited rate."""

    def __init__(self) -> None:
        self._sampler = LogSampler()

    def __call__(self, sentence: str) -> None:
        suppressed = self._sampler.admit(sentence)
        if suppressed is not None:
            _log.warning(sentence, suppressed=suppressed)


@asynccontextmanager
async def fault_proxy(
    upstream: str | int,
    listen: str | int = "127.0.0.1:0",
    *,
    protocol: str = "",
    seed: int = SEED,
    name: str = "proxy",
) -> AsyncIterator[FaultProxy]:
    """Stand in front of a server for the length of the block; addresses are `HOST:PORT` or a port.

    With a `protocol` (redis, nats, rabbitmq) toxics may choose frames. Raises `ProxyError`s.
    """
    proxy = FaultProxy(
        name,
        parse_place(str(listen)),
        parse_place(str(upstream)),
        protocol=protocol,
        seed=seed,
    )
    proxy.open()
    async with trio.open_nursery() as nursery:
        proxy.start(nursery)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
