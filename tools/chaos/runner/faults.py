"""What a scenario's steps are with real servers, pods and clients; and what cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatchmethod
from typing import Final, Protocol

import trio

from ...oracle import Began, Paused, Record, Resumed
from ..scenario import Scenario, Trouble
from ..scenario import inner_faults as inner
from ..scenario import way_faults as way
from ..scenario.steps import EndStep
from ..servers import Deployment
from ..targets import Guest, Target
from .pods import RealPod
from .ways import Ways, no_way

__all__ = ["Cast", "Faults", "hindrance_of"]

_REASONS: Final[dict[type[Trouble], str]] = {
    inner.PodBlock: "It takes a fault inside the pod, which this runner does not ask for yet.",
    inner.PodClock: "It takes a fault inside the pod, which this runner does not ask for yet.",
    inner.PodRaise: "It takes a room of one's own, which this runner's pods do not have.",
    inner.StoreStop: "This runner's pods keep no documents.",
    inner.StoreLock: "This runner's pods keep no documents.",
    inner.StoreFull: "This runner's pods keep no documents.",
    inner.ClientStall: "The client reads all the time; it takes one without it.",
    inner.ClientRubbish: "The client sends no rubbish; it takes one without it.",
}
"""Why it cannot be done what cannot."""


class Cast(Protocol):
    """Who is there."""

    deployment: Deployment
    ways: Ways
    pods: list[RealPod]
    guests: list[Guest]
    history: list[Record]
    hushed: int
    nursery: trio.Nursery

    def blame(self, pod: int) -> EndStep:
        """Take it upon oneself that a pod's clients are cut off, until what is returned is done."""

    def say(self, guest: Guest, room: str, size: int) -> None:
        """Let a client say something."""


def hindrance_of(
    target: Target,
    scenario: Scenario,
    trouble: Trouble,
    deployment: Deployment | None,
    kind: str,
    topology: str,
) -> str | None:
    """Say why something cannot be done, or None. What servers can do is known when they run."""
    reason = _REASONS.get(type(trouble)) or target.spared(scenario, trouble)
    if isinstance(trouble, way.OfWays):
        reason = no_way(trouble, kind, topology)
    if isinstance(trouble, inner.PodStarve) and trouble.of == "processor":
        reason = "It takes a processor that nothing else of the run uses."
    if isinstance(trouble, inner.PodKill | inner.PodStop) and trouble.clock:
        reason = "It takes another clock for one process, which needs libfaketime."
    if any(scenario.pods.clocks):
        reason = "It takes another clock for one process, which needs libfaketime."
    if reason is None and trouble.name.startswith("broker.") and deployment is not None:
        reason = deployment.cannot(trouble)
    return reason


class Faults:
    """Does what goes wrong."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    async def begin(self, trouble: Trouble) -> EndStep:
        """Do it; return what ends it."""
        return await self._do(trouble)

    @singledispatchmethod
    async def _do(self, trouble: Trouble) -> EndStep:
        """Do what is done to the broker."""
        undo = await self._cast.deployment.do(trouble)
        return trio.lowlevel.checkpoint if undo is None else undo

    @_do.register
    async def _(self, trouble: way.OfWays) -> EndStep:
        return _then(self._cast.ways.befall(trouble))

    @_do.register
    async def _(self, trouble: inner.PodKill | inner.PodMemory) -> EndStep:
        return await self._end(trouble.pods, gently=False)

    @_do.register
    async def _(self, trouble: inner.PodStop) -> EndStep:
        return await self._end(trouble.pods, gently=True)

    @_do.register
    async def _(self, trouble: inner.PodPause) -> EndStep:
        pods = self._pods(trouble.pods)
        for pod in pods:
            pod.sleep()
            self._note(Paused(trio.current_time(), pod.number))

        def wake() -> None:
            for pod in pods:
                pod.wake()
                self._note(Resumed(trio.current_time(), pod.number))

        return _then(wake)

    @_do.register
    async def _(self, trouble: inner.PodStarve) -> EndStep:
        pods = self._pods(trouble.pods)
        for pod in pods:
            pod.starve()
        return _then(*(pod.feed for pod in pods))

    @_do.register
    async def _(self, trouble: inner.ClientVanish) -> EndStep:
        guests = self._guests(trouble.clients)
        for guest in guests:
            guest.go()
        return _then(*(guest.come for guest in guests))

    @_do.register
    async def _(self, trouble: inner.ClientHerd) -> EndStep:
        for guest in self._guests(trouble.clients):
            guest.go()
            guest.come()
        return trio.lowlevel.checkpoint

    @_do.register
    async def _(self, trouble: inner.ClientSilence) -> EndStep:
        self._cast.hushed += 1

        def speak() -> None:
            self._cast.hushed -= 1

        return _then(speak)

    @_do.register
    async def _(self, trouble: inner.ClientLarge) -> EndStep:
        for guest in self._guests(trouble.clients):
            self._cast.say(guest, trouble.room, trouble.size)
        return trio.lowlevel.checkpoint

    @_do.register
    async def _(self, trouble: inner.ClientFlood) -> EndStep:
        over = trio.CancelScope()
        for guest in self._guests(trouble.clients):
            self._cast.nursery.start_soon(self._flood, guest, trouble.rate, over)
        return _then(over.cancel)

    # Parts ---------------------------------------------------------------------------------------

    async def _flood(self, guest: Guest, rate: float, over: trio.CancelScope) -> None:
        with over:
            while True:
                await trio.sleep(1 / rate)
                for room in guest.rooms[:1]:
                    self._cast.say(guest, room, 0)

    async def _end(self, numbers: Sequence[int], *, gently: bool) -> EndStep:
        pods = self._pods(numbers)
        ends = [self._cast.blame(pod.number) for pod in pods]
        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(pod.stop if gently else pod.kill)

        async def again() -> None:
            async with trio.open_nursery() as nursery:
                for pod in pods:
                    self._note(Began(trio.current_time(), pod.number))
                    nursery.start_soon(pod.start)
            for end in ends:
                await end()

        return again

    def _pods(self, numbers: Sequence[int]) -> list[RealPod]:
        pods = self._cast.pods
        return [pods[n] for n in numbers if n < len(pods)] or list(pods)

    def _guests(self, numbers: Sequence[int]) -> list[Guest]:
        guests = self._cast.guests
        return [guests[n] for n in numbers if n < len(guests)] or list(guests)

    def _note(self, record: Record) -> None:
        self._cast.history.append(record)


def _then(*deeds: Callable[[], object]) -> EndStep:
    """Make of what ends a fault at once something that can be awaited."""

    async def end() -> None:
        for deed in deeds:
            deed()
        await trio.lowlevel.checkpoint()

    return end
