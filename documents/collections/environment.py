"""What all collections of a pod share, and what of one outlives the crash of its actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import field, frozen, mutable

from ...actors import ActorRef, Hub
from ...config import Collections, Definition
from ...transport import Attempts, FairQueue
from ..errors import RequestRefused, StoreUnavailable, unusable
from ..scripts import InternalCalls, ScriptEvent, ScriptRunner, Scripts
from ..store import Bounds, Misfit, Store
from ..users import Passwords

if TYPE_CHECKING:
    from .writing import DocumentWriter

__all__ = ["CHAIN", "Chain", "Collection", "CollectionEnvironment", "RelayState"]


READY_TIMEOUT: Final = 5.0
"""Seconds that a request waits for a collection that has just been found."""

SEARCHERS: Final = 4
"""Threads that look through what scripts show; more searches wait."""


@frozen
class Chain:
    """The calls that led here: how many, and of which collections they hold the turn.

    A script that writes to a collection whose turn it has already must not wait for that turn.
    `viewing` are those whose `get` script is among the calls.
    """

    depth: int = 0
    held: frozenset[str] = frozenset()
    viewing: frozenset[str] = frozenset()

    def deeper(self, holding: str | None = None, viewing: str | None = None) -> Chain:
        """Return the chain of a call from here, which may hold the turn of one more."""
        return Chain(self.depth + 1, _with(self.held, holding), _with(self.viewing, viewing))


def _with(names: frozenset[str], name: str | None) -> frozenset[str]:
    return names if name is None else names | {name}


CHAIN: Final[ContextVar[Chain]] = ContextVar("chain", default=Chain())  # noqa: B039 - frozen
"""Travels with the task, and into the threads of scripts."""


@frozen(eq=False)
class CollectionEnvironment:
    """What every collection needs. `wall` is the wall clock (unix seconds).

    `emit_timeout` is how long (seconds) a change may wait for a room that is busy. `answers` are
    the bounds of one answer, `queries` who looks through documents now, `sign_ups` how many new
    users each address has made, `searchers` the threads that look through what scripts show.
    `inside` returns who carries out what scripts ask of collections: that needs all the rest, is
    made last, and looked up when a script asks.
    """

    store: Store
    hub: Hub
    runner: ScriptRunner
    passwords: Passwords
    settings: Collections
    answers: Bounds
    queries: FairQueue
    sign_ups: Attempts
    emit_timeout: float
    wall: Callable[[], float]
    internal: Callable[[], InternalCalls]
    searchers: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(SEARCHERS))


@mutable(eq=False)
class RelayState:
    """What has been relayed of a collection's changes: known to all incarnations of its actor.

    `sequences` are relayed, and still in the store's outbox. Whoever holds the `turn` commits and
    relays. While it is not `caught_up`, something may be in the outbox that comes first; it is
    relayed at `replay_at` (trio's clock) at the earliest. `changes` counts what was relayed, and
    `rejected` what a room would not take.
    """

    sequences: set[int] = field(factory=set)
    turn: trio.Lock = field(factory=trio.Lock)
    caught_up: bool = False
    replay_at: float | None = None
    changes: int = 0
    rejected: int = 0


@mutable(eq=False)
class Collection:
    """One collection. `trouble` is why it cannot be used at the moment; None when it can.

    `misfits` is what its definition wants and its documents do not allow. `ready` is set when its
    tables are there for the first time. `writer` is that of the incarnation that lives.
    """

    definition: Definition
    scripts: Scripts
    ref: ActorRef[Any] | None = None
    ready: trio.Event = field(factory=trio.Event)
    trouble: StoreUnavailable | None = None
    misfits: Sequence[Misfit] = ()
    relay: RelayState = field(factory=RelayState)
    writer: DocumentWriter | None = None

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.definition.name

    async def usable(self) -> None:
        """Return when the collection can be used; raise `RequestRefused` (503) when it cannot."""
        if self.trouble is None and not self.ready.is_set():
            with trio.move_on_after(READY_TIMEOUT):
                await self.ready.wait()
        if self.trouble is not None:
            raise unusable(self.trouble)
        if not self.ready.is_set():
            sentence = f"The collection '{self.name}' is not up yet; try again later."
            raise RequestRefused(503, sentence, headers={"Retry-After": "2"})

    def has(self, event: ScriptEvent) -> bool:
        """Say whether there is a script for an event, be it broken."""
        return self.scripts.find(event) is not None
