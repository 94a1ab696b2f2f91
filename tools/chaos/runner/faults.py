"""What a scenario's steps are with real servers, pods and clients; and what cannot be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial, singledispatchmethod
from typing import Final, Protocol

import trio

from ...oracle import Began, Paused, Record, Resumed
from ..scenario import Scenario, Trouble
from ..scenario import inner_faults as inner
from ..scenario import way_faults as way
from ..scenario.steps import EndStep
from ..servers import Deployment
from ..targets import BenchTarget, Guest
from .intruders import rubbish, stall
from .pods import WITHIN, RealPod
from .stores import lock_stores, stop_stores
from .ways import Ways, no_way

__all__ = ["Cast", "RealFaults", "hindrance_of", "takes_within"]

EVENTS: Final = 100
"""Events of a room, of which a share makes it crash: about those of a play."""

_REASONS: Final[dict[type[Trouble], str]] = {
    inner.PodBlock: "A pod takes no fault that holds up its whole loop; pod.pause is next to it.",
    inner.StoreFull: "A disk of limited size takes root.",
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
    target: BenchTarget, scenario: Scenario, trouble: Trouble, deployment: Deployment | None
) -> str | None:
    """Say why something cannot be done, or None. What servers can do is known when they run."""
    reason = _REASONS.get(type(trouble)) or target.spared(scenario, trouble)
    if isinstance(trouble, way.OfWays):
        reason = no_way(trouble)
    if isinstance(trouble, inner.PodStarve) and trouble.of == "processor":
        reason = "It takes a processor that nothing else of the run uses."
    if reason is None and trouble.name.startswith("broker.") and deployment is not None:
        reason = deployment.cannot(trouble)
    return reason


def takes_within(scenario: Scenario) -> bool:
    """Whether it takes pods that take faults from inside."""
    troubles = [step.trouble for step in scenario.steps]
    return any(scenario.pods.clocks) or any(
        isinstance(each, inner.PodClock | inner.PodRaise | inner.StoreStop)
        or (isinstance(each, inner.PodKill | inner.PodStop) and bool(each.clock))
        for each in troubles
    )


class RealFaults:
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
        return partial(_told, self._cast.ways.befall(trouble))

    @_do.register
    async def _(self, trouble: inner.PodMemory) -> EndStep:
        return await self._end(trouble.pods, gently=False)

    @_do.register
    async def _(self, trouble: inner.PodKill) -> EndStep:
        return await self._end(trouble.pods, gently=False, ahead=trouble.clock)

    @_do.register
    async def _(self, trouble: inner.PodStop) -> EndStep:
        return await self._end(trouble.pods, gently=True, ahead=trouble.clock)

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
    async def _(self, trouble: inner.PodClock) -> EndStep:
        pods = self._pods(trouble.pods)
        for pod in pods:
            await pod.jump(trouble.seconds)
        return partial(_relieve, pods)

    @_do.register
    async def _(self, trouble: inner.PodRaise) -> EndStep:
        times = max(1, round(EVENTS * trouble.share))
        fault = {"fault": "actor.crash", "seconds": WITHIN, "times": times}
        return await self._inject(trouble.pods, fault | {"path": f"pod/rooms/{trouble.room}"})

    @_do.register
    async def _(self, trouble: inner.StoreStop) -> EndStep:
        return await stop_stores(self._cast.pods)

    @_do.register
    async def _(self, trouble: inner.StoreLock) -> EndStep:
        return await lock_stores(self._cast.pods)

    @_do.register
    async def _(self, trouble: inner.ClientVanish) -> EndStep:
        guests = self._guests(trouble.clients)
        for guest in guests:
            guest.go()
        return _then(*(guest.come for guest in guests))

    @_do.register
    async def _(self, trouble: inner.ClientStall) -> EndStep:
        guests = self._guests(trouble.clients)
        return self._meanwhile([partial(stall, guest.url, guest.rooms[:1]) for guest in guests])

    @_do.register
    async def _(self, trouble: inner.ClientRubbish) -> EndStep:
        guests = self._guests(trouble.clients)
        return self._meanwhile([partial(rubbish, guest.url, guest.number) for guest in guests])

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
        guests = self._guests(trouble.clients)
        return self._meanwhile([partial(self._flood, guest, trouble.rate) for guest in guests])

    async def _inject(self, numbers: Sequence[int], fault: Mapping[str, object]) -> EndStep:
        pods = self._pods(numbers)
        for pod in pods:
            await pod.inject(fault)
        return partial(_relieve, pods)

    # Parts ---------------------------------------------------------------------------------------

    def _meanwhile(self, deeds: Sequence[Callable[[], Awaitable[None]]]) -> EndStep:
        """Do things until they are to end."""
        over = trio.CancelScope()
        self._cast.nursery.start_soon(_all, over, deeds)
        return _then(over.cancel)

    async def _flood(self, guest: Guest, rate: float) -> None:
        while True:
            await trio.sleep(1 / rate)
            for room in guest.rooms[:1]:
                self._cast.say(guest, room, 0)

    async def _end(self, numbers: Sequence[int], *, gently: bool, ahead: float = 0.0) -> EndStep:
        pods = self._pods(numbers)
        ends = [self._cast.blame(pod.number) for pod in pods]
        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(pod.stop if gently else pod.kill)

        async def again() -> None:
            async with trio.open_nursery() as nursery:
                for pod in pods:
                    self._note(Began(trio.current_time(), pod.number))
                    nursery.start_soon(pod.start, ahead)
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


async def _relieve(pods: Sequence[RealPod]) -> None:
    """End what was injected into some pods."""
    for pod in pods:
        await pod.relieve()


async def _all(scope: trio.CancelScope, deeds: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Do several things at once until a scope is cancelled."""
    with scope:
        async with trio.open_nursery() as nursery:
            for deed in deeds:
                nursery.start_soon(deed)


async def _told(end: Callable[[], int | None]) -> int | None:
    """End what befell ways."""
    await trio.lowlevel.checkpoint()
    return end()


def _then(*deeds: Callable[[], object]) -> EndStep:
    """Make of what ends a fault at once something that can be awaited."""

    async def end() -> None:
        for deed in deeds:
            deed()
        await trio.lowlevel.checkpoint()

    return end
