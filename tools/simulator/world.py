"""Runs a plan: whole pods, a broker's model and clients, in one loop on a virtual clock."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import define, field

from ..oracle import Befell, Began, Calm, Carried, Linked, Met, Paused, Record, Resumed, Slow
from ..oracle.timing import HIDDEN
from .chance import LeapingClock, Pauses, seeded
from .client import Visit
from .faults import HARMLESS, Fault, Kind
from .injection import inject
from .models import network_of
from .plan import FORGETS, Act, Deed, RunPlan
from .pod import PLAIN, PodKind, SimulatedPod

__all__ = ["World", "run"]

STOPPING: Final = 20.0
"""Seconds after which a pod that stops is killed."""
AT_ONCE: Final = 0.002
"""Seconds after which clients speak when they are told that all is well again."""
CHORUS: Final = 0.3
"""Seconds between two times that all do."""
_SAID: Final = re.compile(rb'"by":"([^"]+)","number":(\d+)')
"""What somebody said, in the envelopes that go to a broker."""


def run(plan: RunPlan, script: Script | None = None) -> list[Record]:
    """Run a plan from its beginning to its end, and return all that was seen. Always the same.

    A `script` does what it wants with the plan's pods, instead of what the plan says.
    """
    with seeded(plan.seed) as pauses:
        world = World(plan, pauses, World.follow if script is None else script)
        trio.run(world.live, clock=LeapingClock(), strict_exception_groups=True)
    return world.history


Script: TypeAlias = Callable[["World", trio.Nursery], Awaitable[None]]
"""What becomes of a world: it is over when that returns."""


@define
class _Visitor:
    """A client over all its visits: the rooms it wants to be in, whether it wants to be there."""

    number: int
    home: int
    visits: int = 0
    present: bool = False
    rooms: dict[str, None] = field(factory=dict)

    def wants(self, deed: Deed) -> None:
        """Note what it wants, whether its pod is there or not."""
        if deed.act is Act.COME:
            self.present = True
        elif deed.act is Act.GO:
            self.present = False
            self.rooms.clear()
        elif deed.act is Act.JOIN and self.present:
            self.rooms[deed.room] = None
        elif deed.act is Act.LEAVE:
            self.rooms.pop(deed.room, None)


def _act(pod: SimulatedPod, client: Visit, deed: Deed, visitor: _Visitor) -> None:
    if deed.act is Act.GO:
        pod.do(pod.depart, deed.client)
    elif deed.act is Act.JOIN:
        pod.do(client.join, deed.room)
    elif deed.act is Act.LEAVE:
        pod.do(client.leave, deed.room)
    elif deed.act is Act.STALL:
        client.stall()
    elif deed.act is Act.GO_ON:
        client.go_on()
    elif deed.act is Act.SAY and deed.room in visitor.rooms:
        pod.do(client.say, deed.room, deed.size)


class World:
    """What runs. `history` is what was seen so far; while it is `hushed` all say only as told."""

    def __init__(
        self, plan: RunPlan, pauses: Pauses, script: Script, kind: PodKind = PLAIN
    ) -> None:
        self._kind = kind
        self.history: list[Record] = []
        self.hushed = False
        self._plan = plan
        self._script = script
        self._pauses = pauses
        self._network = network_of(plan)
        self._network.tell_met = self._meet
        self._network.tell_carried = self._carry
        self._pods: dict[int, SimulatedPod] = {}
        self._next_chorus = 0.0
        self._visitors = [_Visitor(n, home) for n, home in enumerate(plan.homes)]

    async def live(self) -> None:
        """Start the pods, do what the script says, and see how the pods stand in the end."""
        async with trio.open_nursery() as nursery:
            for number in range(self._plan.pods):
                self._start(number, self._plan.skews[number], nursery)
            try:
                await self._script(self, nursery)
                for pod in self._pods.values():
                    self.history.append(pod.view(len(self._pods)))
            finally:
                # That clients are gone when the pods are killed is no part of what was seen.
                self.history = list(self.history)
                for pod in self._pods.values():
                    pod.crash()
                nursery.cancel_scope.cancel()

    async def follow(self, nursery: trio.Nursery) -> None:
        """Do all that is planned, when it is due."""
        for fault in self._plan.faults:
            nursery.start_soon(self._befall_in_time, fault, nursery)
        nursery.start_soon(self._note_calm)
        for deed in self._plan.deeds:
            await trio.sleep_until(deed.at)
            self.do(deed)
        await trio.sleep_until(self._plan.length)

    async def _note_calm(self) -> None:
        await trio.sleep_until(self._plan.last_words)
        self.history.append(Calm(trio.current_time()))

    @property
    def pods(self) -> Mapping[int, SimulatedPod]:
        """The pods that are there, by their numbers."""
        return self._pods

    def standings(self) -> list[Linked]:
        """Say how each pod stands that is there."""
        return [pod.standing() for pod in self._pods.values()]

    # What clients do -------------------------------------------------------------------------

    def do(self, deed: Deed) -> None:
        """Have a client do something, or a pod, if it is there and awake."""
        if deed.act is Act.ANNOUNCE:
            speaker = self._pods.get(deed.client)
            if speaker is not None and speaker.running and deed.client not in self._pauses:
                speaker.announce()
            return
        visitor = self._visitors[deed.client]
        visitor.wants(deed)
        pod = self._pods.get(visitor.home)
        if pod is None or not pod.running or visitor.home in self._pauses:
            return
        client = pod.clients.get(deed.client)
        if client is not None:
            _act(pod, client, deed, visitor)
        elif visitor.present:
            self._visit(pod, visitor)

    def _visit(self, pod: SimulatedPod, visitor: _Visitor) -> None:
        visitor.visits += 1
        client = pod.welcome(visitor.number, f"client{visitor.number}.{visitor.visits}")
        for room in visitor.rooms:
            pod.do(client.join, room)

    def _healed(self, nursery: trio.Nursery) -> None:
        """Let all have something to say as soon as somebody is told that all is well again."""
        now = trio.current_time()
        if now >= self._next_chorus and not self.hushed:
            self._next_chorus = now + CHORUS
            nursery.start_soon(self._say_at_once)

    async def _say_at_once(self) -> None:
        await trio.sleep(AT_ONCE)
        for visitor in self._visitors:
            for room in visitor.rooms:
                self.do(Deed(trio.current_time(), visitor.number, Act.SAY, room))

    # What goes wrong ---------------------------------------------------------------------------

    async def _befall_in_time(self, fault: Fault, nursery: trio.Nursery) -> None:
        await trio.sleep_until(fault.at)
        await self.befall(fault, nursery, partial(trio.sleep, fault.seconds))

    async def befall(
        self, fault: Fault, nursery: trio.Nursery, over: Callable[[], Awaitable[object]]
    ) -> None:
        """Do now what a fault is, and undo it when `over` returns."""
        began = trio.current_time()
        hidden, harms = fault.kind in FORGETS, fault.kind not in HARMLESS
        await self._undergo(fault, nursery, over)
        until = began + HIDDEN if hidden else trio.current_time()
        if fault.kind is Kind.LIMIT:
            until = math.inf
        self.history.append(Befell(began, fault.kind.value, until, harms, hidden))

    async def _undergo(
        self, fault: Fault, nursery: trio.Nursery, over: Callable[[], Awaitable[object]]
    ) -> None:
        if fault.kind in (Kind.CRASH, Kind.STOP):
            await self._end(fault, nursery, over)
            return
        undo = self._pause(fault.pod) if fault.kind is Kind.PAUSE else inject(self._network, fault)
        if fault.kind is Kind.DELAY:
            self.history.append(Slow(trio.current_time(), fault.seconds, fault.amount / 1000))
        if undo is not None:
            await over()
            undo()

    def _pause(self, pod: int) -> Callable[[], object] | None:
        if pod in self._pauses or pod not in self._pods:
            return None
        self._pauses.pause(pod)
        self.history.append(Paused(trio.current_time(), pod))
        return partial(self._resume, pod)

    def _resume(self, pod: int) -> None:
        if pod in self._pauses:
            self._pauses.resume(pod)
            self.history.append(Resumed(trio.current_time(), pod))

    def _carry(self, payload: bytes, pods: Sequence[int]) -> None:
        now, reached = trio.current_time(), tuple(sorted(set(pods)))
        for speaker, number in _SAID.findall(payload):
            self.history.append(Carried(now, speaker.decode(), int(number), reached))

    def _meet(self, pod: int, other: int) -> None:
        self.history.append(Met(trio.current_time(), pod, other))

    # Pods that end -------------------------------------------------------------------------------

    def _start(self, number: int, skew: float, nursery: trio.Nursery) -> None:
        healed = partial(self._healed, nursery)
        pod = SimulatedPod(
            number, self._plan, skew, self._network, self.history, healed, self._kind
        )
        self._pods[number] = pod
        self._network.begin(number)
        self.history.append(Began(trio.current_time(), number))
        pod.start(nursery)

    async def _end(
        self, fault: Fault, nursery: trio.Nursery, over: Callable[[], Awaitable[object]]
    ) -> None:
        pod = self._pods.pop(fault.pod, None)
        if pod is None:
            return
        if fault.kind is Kind.STOP and fault.pod not in self._pauses:
            pod.stop()
            with trio.move_on_after(STOPPING):
                await pod.ended()
        self._resume(fault.pod)
        pod.crash()
        await pod.ended()
        await over()
        self._start(fault.pod, float(fault.amount), nursery)
        await trio.sleep(0.5)
        back = self._pods.get(fault.pod)
        if back is None or fault.pod in self._pauses:
            return
        for visitor in self._visitors:
            at_home = visitor.home == fault.pod and visitor.present
            if at_home and visitor.number not in back.clients:
                self._visit(back, visitor)
