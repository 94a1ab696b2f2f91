"""Simulated pods: a real broker branch each, with rooms that only write down what they hear."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson
import trio
from attrs import define, evolve, field

from deployd.actors import (
    Audience,
    DeadLetters,
    Degraded,
    EventIds,
    Gap,
    Handoff,
    Healed,
    Link,
    Notices,
    RoomRef,
    Rooms,
    Roster,
)
from deployd.actors.rooms.replies import scope_of
from deployd.actors.rooms.roster import RemoteEmits
from deployd.config import Broker as BrokerSettings
from deployd.config import Config, FailurePolicy, ReceiptPolicy
from deployd.supervisors import Supervisor
from deployd.supervisors.pod.broker import broker_branch
from deployd.transport import Event, Outcome, Scope
from deployd.transport.brokers.contract import Broker

from .fake_broker import FakeBroker, FakeBus

__all__ = ["SETTINGS", "Heard", "SimPod", "links", "passes", "sim_pods"]

SETTINGS = BrokerSettings(
    type="x:Fake",
    enabled=True,
    notice_window=0.0,
    policies={"kept-*": FailurePolicy.BUFFER, "strict-*": FailurePolicy.REJECT},
    receipts={"bids-*": ReceiptPolicy.HEARD, "kept-bids-*": ReceiptPolicy.HEARD},
)


@define
class Heard:
    """An event that a pod got from another."""

    room: str | None
    id: str
    data: object
    sequence: int
    replayed: bool
    at: float
    visit: int


class _Everyone:
    """Stands for the reference to the room of all connections."""

    def __init__(self, pod: SimPod) -> None:
        self._pod = pod

    def tell(self, message: RemoteEmits) -> bool:
        return self._pod.deliver(None, message.events, message.nbytes) == 0

    def signal(self, message: RemoteEmits) -> None:
        roster = self._pod.roster
        roster.owns_up = False
        while roster.gaps:
            self._pod.gaps.append((trio.current_time(), roster.gaps.popleft()))


@define(eq=False, slots=False)
class SimPod:
    """One pod's link; `settled` are the outcomes by event id, in their order, and so is `counted`.

    `joined` is when it first was back from the time before its first connection; `name` is its id,
    and `called` what `server.name` would be.
    `members` are those of each room, one where nothing is said. A pod that is `silent` takes events
    and tells nobody of them.
    """

    name: str
    bus: FakeBus
    settings: BrokerSettings
    heard: list[Heard] = field(factory=list)
    outages: list[tuple[float, Degraded | Healed]] = field(factory=list)
    gaps: list[tuple[float, Gap]] = field(factory=list)
    pods: list[tuple[float, frozenset[str]]] = field(factory=list)
    given_up: list[tuple[float, str | None, int]] = field(factory=list)
    joined: float | None = None
    settled: dict[str, list[Scope]] = field(factory=dict)
    broker: FakeBroker | None = None
    attempts: list[float] = field(factory=list)
    full: bool = False
    silent: bool = False
    members: dict[str, int] = field(factory=dict)
    counted: dict[str, list[Outcome]] = field(factory=dict)
    visits: dict[str | None, int] = field(factory=dict)
    make: Callable[[], Broker] | None = None
    ttl: float = 60.0
    handoff: Handoff | None = None
    called: str = ""

    def __attrs_post_init__(self) -> None:
        config = evolve(Config(), broker=self.settings, message_ttl=self.ttl)
        self.dead_letters = DeadLetters()
        self.ids = EventIds(self.name)
        self.link = Link.of(
            self.name,
            self.settings,
            self.ttl,
            trio.current_time,
            largest=config.limits.max_buffer_bytes,
            handoff=self.handoff,
            name=self.called,
        )
        self.uplink, self.state = self.link.uplink, self.link.state
        notices = Notices({}, self.ids, trio.current_time, self.settings.notice_window)
        everyone = cast("RoomRef", _Everyone(self))
        self.roster: Roster[Any] = Roster(name=None)
        audience = Audience(cast("Rooms", self), everyone, self.roster, notices)
        branch = broker_branch(
            config, self.link, audience, notices, self._connect, self.dead_letters
        )
        self.supervisor = Supervisor(self.name, [branch])

    def _connect(self) -> Broker:
        self.attempts.append(trio.current_time())
        made = self.bus.make() if self.make is None else self.make()
        if isinstance(made, FakeBroker):
            self.broker = made
        return made

    # What the audience takes for the pod's rooms.

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        if self.full:
            return len(events)
        if room is not None and not self.silent:
            self.uplink.told(room, events, self.members.get(room, 1))
        now, visit = trio.current_time(), self.visits.get(room, 0)
        self.heard += [
            Heard(room, e.id, orjson.loads(e.encoded), e.sequence, e.replayed != 0, now, visit)
            for e in events
        ]
        return 0

    async def deliver_in_turn(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        while self.full:  # noqa: ASYNC110 - tests set it, and tell nobody
            await trio.sleep(0.01)
        return self.deliver(room, events, nbytes)

    def missed(self, room: str, count: int, since: float = math.inf) -> None:
        self.given_up.append((trio.current_time(), room, count))

    def gap(self, room: str, gap: Gap) -> None:
        self.gaps.append((trio.current_time(), gap))

    def count_pods(self, pods: frozenset[str]) -> None:
        self.pods.append((trio.current_time(), pods))

    def tell_all(self, message: Degraded | Healed) -> None:
        if isinstance(message, Healed) and not self.outages:
            self.joined = trio.current_time()
        else:
            self.outages.append((trio.current_time(), message))

    # What tests do.

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.uplink.enter(None)
        await self.supervisor.run(task_status.started)

    def say(self, room: str | None, data: object) -> str:
        """Say something as a room does that nobody here is in."""
        event_id = self.ids()
        outcomes = self.settled.setdefault(event_id, [])
        if self.uplink.refusal(room, 0) is not None:
            outcomes.append(Scope.REJECTED)
            return event_id
        event = Event(room, "said", orjson.dumps(data), event_id, 0, self.link.wall())
        scope = self.uplink.publish(event, lambda it: outcomes.append(scope_of(it)))
        if scope is not None:
            outcomes.append(scope)
        return event_id

    def ask(self, room: str, data: object) -> str:
        """Say something as a room does that nobody here is in, and count who hears it."""
        event_id = self.ids()
        outcomes = self.counted.setdefault(event_id, [])
        event = Event(room, "said", orjson.dumps(data), event_id, 0, self.link.wall())
        scope = self.uplink.publish_counted(event, outcomes.append)
        if scope is not None:
            outcomes.append(scope)
        return event_id

    def reach(self, event_id: str) -> Outcome | None:
        """Return who has heard what was asked, None while it is open; twice is a failure."""
        outcomes = self.counted[event_id]
        assert len(outcomes) <= 1, f"{event_id} was settled {len(outcomes)} times: {outcomes}"
        return outcomes[0] if outcomes else None

    async def come(self, room: str) -> None:
        """Let the first member into a room, as a room does."""
        self.visits[room] = self.visits.get(room, 0) + 1
        self.uplink.enter(room)
        if not self.link.acknowledgements.counts(room):
            await self.uplink.heard(room)
            return
        self.uplink.lets_in(room)
        await self.uplink.heard(room)
        await self.uplink.noted(room)
        self.uplink.let_in(room)

    def go(self, room: str) -> None:
        """Let the last member out of a room."""
        self.visits[room] = self.visits.get(room, 0) + 1
        self.uplink.leave(room)

    def outcome(self, event_id: str) -> Scope | None:
        """Return what became of an event, None while it is open; twice is a failure."""
        outcomes = self.settled[event_id]
        assert len(outcomes) <= 1, f"{event_id} was settled {len(outcomes)} times: {outcomes}"
        return outcomes[0] if outcomes else None

    def cut(self) -> None:
        """Lose this pod's connection alone."""
        if self.broker is not None:
            self.broker.cut("connection reset")

    @property
    def closed(self) -> bool:
        return self.state.breaker.closed

    @property
    def well(self) -> bool:
        return self.closed and self.uplink.degraded is None

    @property
    def healed(self) -> bool:
        """Whether the link carries messages and nothing waits, though pods may be missing."""
        return self.closed and self.state.outage is None

    def data(self, room: str | None = None) -> list[object]:
        """Return what was heard in a room, in order."""
        return [heard.data for heard in self.heard if heard.room == room]


async def passes(condition: Callable[[], object], within: float = 10.0) -> float:
    """Return the seconds of fake time until a condition holds; fail when it does not."""
    began = trio.current_time()
    while not condition():
        assert trio.current_time() - began <= within, f"not within {within:g} s"
        await trio.sleep(0.01)
    return trio.current_time() - began


@asynccontextmanager
async def sim_pods(
    bus: FakeBus, count: int = 2, rooms: Sequence[str] = (), **settings: Any
) -> AsyncIterator[list[SimPod]]:
    """Run pods until the block ends, then stop them as a supervisor does."""
    made = [SimPod(f"pod{n}", bus, evolve(SETTINGS, **settings)) for n in range(count)]
    async with links(made, rooms):
        yield made


@asynccontextmanager
async def links(pods: Sequence[SimPod], rooms: Sequence[str] = ()) -> AsyncIterator[None]:
    """Run these pods, each with members in these rooms."""
    async with trio.open_nursery() as nursery:
        for pod in pods:
            for room in rooms:
                pod.uplink.enter(room)
            await nursery.start(pod.run)
        yield
        for pod in pods:
            pod.supervisor.request_stop("the test is over")
