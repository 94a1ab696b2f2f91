"""The tree of a pod: what hangs in it, in the order in which it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from attrs import frozen

from ...transport import Listener, TlsTerminator
from ..chaos import Injector
from ..child import ChildSpec, Service
from ..observe import Views
from ..watchdog import Watchdog
from .clients import ClientTree
from .collections import CollectionTree
from .janitor import Janitor
from .rooms import RoomTree
from .stress import StressRunner

__all__ = ["PodTree"]


@frozen(kw_only=True, eq=False)
class PodTree:
    """What hangs in a pod's tree; what may be None only where it is needed.

    Given up, and the pod with them, are those without which it is none: the rooms, the
    collections, the connections and the listener. Of the others none is worth its clients, so they
    are tireless.
    """

    watchdog: Watchdog
    janitor: Janitor
    broker: ChildSpec | None
    rooms: RoomTree
    collections: CollectionTree | None
    metrics: Listener | None
    tls: TlsTerminator | None
    clients: ClientTree
    views: Views
    stress: StressRunner
    chaos: Injector | None
    listener: Listener

    def children(self) -> Iterator[ChildSpec]:
        """Yield the specifications of the root's children. They stop in reverse."""
        yield _tireless("watchdog", self.watchdog.run)
        yield _tireless("janitor", self.janitor.run)
        if self.broker is not None:
            yield self.broker
        yield from self.rooms.children()
        if self.collections is not None:
            yield from self.collections.children()
        if self.metrics is not None:  # before the connections: who drains is still looked at
            yield _tireless("metrics", self.metrics.run)
        if self.tls is not None:  # before the connections, for it carries them to their end
            yield _tireless("tls", self.tls.run)
        yield self.clients.errands()  # before the connections, for they need them to their end
        yield self.clients.connections()
        yield _tireless("views", self.views.sample)
        yield self.clients.pings()
        yield ChildSpec("stress", lambda _: self.stress.supervisor, tireless=True)
        if self.chaos is not None:
            yield self.faults()
        yield ChildSpec("listener", lambda path: Service(path, self.listener.run))

    def faults(self) -> ChildSpec:
        """Return the specification of what breaks on purpose."""
        assert self.chaos is not None  # noqa: S101 - for the type checker
        return _tireless("chaos", self.chaos.run)


def _tireless(name: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> ChildSpec:
    return ChildSpec(name, lambda path: Service(path, run), tireless=True)
