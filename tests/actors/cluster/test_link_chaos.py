"""Random failures of a broker, and what must be true of the pods' history all the same."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest
import trio
import trio.lowlevel
import trio.testing
from attrs import evolve

from deployd.actors import Degraded, Healed
from deployd.actors import Gap as RoomGap
from deployd.transport import Scope
from deployd.transport.brokers import Envelope, unpack
from deployd.transport.brokers.contract import Channel, Inbox, Message
from support.fake_broker import FakeBroker, FakeBus
from support.link_history import Gap, Hearing, PodHistory, Said, check_history
from support.links import SETTINGS, SimPod, links, passes

SEEDS = range(50)
ROOMS = ("tea", "kept-1", "kept-2", "strict-1", None)
VISITED = ("inn", "kept-inn")
EVENTS = 120


class ChaosBus(FakeBus):
    """Notes what was taken, and when; what it takes arrives `latency` seconds later."""

    def __init__(self, latency: float) -> None:
        super().__init__()
        self.latency = latency
        self.taken: dict[str, list[float]] = {}

    def take(self, batch: Sequence[Message]) -> None:
        for channel, payload in batch:
            message = unpack(payload)
            for event in message.events if isinstance(message, Envelope) else ():
                self.taken.setdefault(event.id, []).append(trio.current_time())
            for listener in self.listeners(channel):
                listener.hear(channel, payload)


class ChaosBroker(FakeBroker):
    """Dies as often before it took a batch as after; may go deaf alone."""

    def __init__(self, bus: ChaosBus) -> None:
        super().__init__(bus)
        self.bus = bus
        self.is_deaf = False
        self.on_its_way: deque[tuple[float, Message]] = deque()
        self.sent = trio.Event()

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:
        await super().connect(inbox, nursery)
        nursery.start_soon(self._carry)

    async def _carry(self) -> None:
        """Deliver in order; what is on its way when the connection breaks is lost."""
        while True:
            await self.sent.wait()
            self.sent = trio.Event()
            while self.on_its_way:
                due, (channel, payload) = self.on_its_way[0]
                await trio.sleep_until(due)
                await self.bus.turn()
                self.on_its_way.popleft()
                super().hear(channel, payload)

    async def publish(self, batch: Sequence[Message]) -> None:
        await self._answer()
        self.bus.take(batch)
        await self._answer()

    def hear(self, channel: Channel, payload: bytes) -> None:
        if self.is_deaf:
            return
        if self.bus.latency:
            due = trio.current_time() + self.bus.latency
            self.on_its_way.append((due, (channel, payload)))
            self.sent.set()
        else:
            super().hear(channel, payload)


class Chaos:
    """One run: what happens is decided by the seed alone."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bus = ChaosBus(latency=self.random.choice([0.0, 0.01, 0.3]))
        settings = evolve(
            SETTINGS,
            linger=self.random.choice([0.0, 0.5, 5.0]),
            buffer_messages=self.random.choice([15, 10_000]),
            outbox_messages=self.random.choice([5, 10_000]),
        )
        ttl = self.random.choice([8.0, 300.0])
        self.pods = [SimPod(f"pod{n}", self.bus, settings, ttl=ttl) for n in range(3)]
        for pod in self.pods:
            pod.make = lambda: ChaosBroker(self.bus)
        self.rooms: dict[str, str | None] = {}
        self.absences: dict[str, dict[str, list[Gap]]] = {
            pod.name: {room: [] for room in VISITED} for pod in self.pods
        }

    async def run(self) -> list[str]:
        rooms = [room for room in ROOMS if room is not None]
        async with links(self.pods, rooms):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._break_things)
                nursery.start_soon(self._talk)
                for pod in self.pods:
                    for inn in VISITED:
                        nursery.start_soon(self._visit, pod, inn)
            self._mend()
            await trio.sleep(3.5)  # until the last failure has been found out by all
            await passes(lambda: all(pod.well for pod in self.pods), 45)
            await trio.sleep(1)
            for pod in self.pods:  # so that everybody knows what it has missed
                for room in (*ROOMS, *VISITED):
                    self._say(pod, room)
            await trio.sleep(1)
            return check_history(self._said(), {pod.name: self._history(pod) for pod in self.pods})

    async def _visit(self, pod: SimPod, room: str) -> None:
        absences, gone = self.absences[pod.name][room], 0.0
        for _ in range(12):
            await trio.sleep(self.random.choice([0, 0.01, 0.4, 0.6, 3]))
            await pod.come(room)
            absences.append(Gap(gone, trio.current_time()))
            await trio.sleep(self.random.choice([0, 0.01, 1, 6]))
            gone = trio.current_time()
            pod.go(room)
        await pod.come(room)
        absences.append(Gap(gone, trio.current_time()))

    async def _talk(self) -> None:
        for _ in range(EVENTS):
            pod = self.random.choice(self.pods)
            room: str | None = self.random.choice((*ROOMS, *VISITED))
            for _ in range(self.random.choice([1, 1, 1, 8])):
                self._say(pod, room)
            await trio.sleep(self.random.choice([0, 0, 0.1, 0.3, 1.0]))

    def _say(self, pod: SimPod, room: str | None) -> None:
        self.rooms[pod.say(room, len(self.rooms))] = room

    async def _break_things(self) -> None:
        things = (self._kill, self._freeze, self._deafen, self._refuse, self._cut, self._cut)
        for _ in range(8):
            await trio.sleep(self.random.uniform(0, 5))
            thing: Callable[[], Awaitable[None]] = self.random.choice(things)
            await thing()

    async def _kill(self) -> None:
        self.bus.kill()
        await trio.sleep(self.random.choice([0, 0.3, 4]))
        self.bus.start()

    async def _freeze(self) -> None:
        self.bus.freeze()
        await trio.sleep(self.random.choice([0.5, 1.7, 2.5, 6]))
        if self.random.random() < 0.3:
            self.bus.kill()
            self.bus.start()
        self.bus.thaw()

    async def _deafen(self) -> None:
        broker = self.random.choice(self.pods).broker
        if isinstance(broker, ChaosBroker):
            broker.is_deaf = True
        await trio.lowlevel.checkpoint()

    async def _refuse(self) -> None:
        self.bus.refusing = True
        self.random.choice(self.pods).cut()
        await trio.sleep(self.random.choice([0.1, 3]))
        self.bus.refusing = False

    async def _cut(self) -> None:
        self.random.choice(self.pods).cut()
        await trio.lowlevel.checkpoint()

    def _mend(self) -> None:
        self.bus.refusing = False
        self.bus.start()
        self.bus.thaw()

    def _said(self) -> list[Said]:
        return [
            Said(id_, pod.name, self.rooms[id_], tuple(outcomes), tuple(self._taken(id_)))
            for pod in self.pods
            for id_, outcomes in pod.settled.items()
        ]

    def _history(self, pod: SimPod) -> PodHistory:
        gaps, begin = [], math.inf
        if pod.joined is not None:
            gaps.append(Gap(0.0, pod.joined))
        for at, news in pod.outages:
            if isinstance(news, Degraded):
                begin = min(begin, news.since)  # until all is well, the first of them counts
            else:
                assert isinstance(news, Healed)
                gaps.append(Gap(begin, at))
                begin = math.inf
        absences = {room: list(gone) for room, gone in self.absences[pod.name].items()}
        for room, told in room_gaps(pod.gaps):
            if room is None:
                gaps.append(told)
            else:
                absences.setdefault(room, []).append(told)
        counters = pod.state.counters
        return PodHistory(
            [Hearing(heard.id, heard.room, heard.sequence, heard.visit) for heard in pod.heard],
            gaps,
            absences,
            counters.lost,
            counters.expired,
            pod.link.sequences.missed,
        )

    def _taken(self, id_: str) -> list[float]:
        return self.bus.taken.get(id_, [])


def room_gaps(told: Sequence[tuple[float, RoomGap]]) -> list[tuple[str | None, Gap]]:
    """Return the times of which rooms were told that they have missed something."""
    open_, closed = dict[str | None, float](), []
    for at, gap in told:
        if gap.whole_at is None:
            open_[gap.room] = min(gap.since, open_.get(gap.room, gap.since))
        else:
            closed.append((gap.room, Gap(open_.pop(gap.room), at)))
    return [*closed, *((room, Gap(since)) for room, since in open_.items())]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_fails_nothing_is_pretended(
    autojump_clock: trio.testing.MockClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The backoff's jitter and the order in which trio runs its tasks follow the seed too.
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr("trio._core._run._r", Random(seed))
    random.seed(seed)
    chaos = Chaos(seed)
    with trio.fail_after(600):  # of fake time: a run takes some two minutes of it
        wrong = await chaos.run()
    assert not wrong, f"seed {seed}: " + "; ".join(wrong[:10])
    scopes = {
        scope for pod in chaos.pods for outcomes in pod.settled.values() for scope in outcomes
    }
    assert Scope.CLUSTER in scopes
