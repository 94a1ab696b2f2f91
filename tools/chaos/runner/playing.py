"""Plays a scenario for real: servers and pods as processes, clients who talk, steps, a verdict."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from ...oracle import (
    Answered,
    Befell,
    Began,
    Calm,
    Entered,
    Hearing,
    Mended,
    Record,
    Spoken,
    Struck,
    View,
    moved,
)
from ...oracle.timing import HEALED, HIDDEN, LISTENED
from ..scenario import BrokerName, Judgement, Scenario, TopologyName, judged
from ..scenario.steps import ARRIVED, SILENT, EndStep, ScenarioSteps, came_about
from ..servers import (
    Deployment,
    NotObeyed,
    WhereBroker,
    brokers,
    free_port,
    standing_broker,
    work_folder,
)
from ..targets import BenchTarget, Guest, GuestSeat, PodPost
from .faults import RealFaults, hindrance_of, takes_within
from .pods import RealPod
from .standings import LOOKED, Standings
from .waits import ProcessorWaits, judged_at_ease
from .ways import Ways, open_ways

__all__ = ["Bench", "hindrance", "play_scenario"]

FOUND: Final = 20.0
"""Seconds within which pods find each other, or the play goes on without that."""
WELL: Final = 1.5
"""Seconds for which all has been well when it is taken to be."""
BLAMED: Final = 1.0
"""Seconds after a pod is back in which connections of its clients may still end."""
SLACK: Final = 0.25
"""Seconds by which what several clients see may be apart, and their clocks run in one process."""


def hindrance(target: BenchTarget, scenario: Scenario, deployment: Deployment | None) -> str | None:
    """Say why a scenario that has sense with a broker cannot be played for real, or None."""
    if scenario.not_run:
        return scenario.not_run
    reasons = (hindrance_of(target, scenario, step.trouble, deployment) for step in scenario.steps)
    return next((reason for reason in reasons if reason is not None), None)


class Bench:
    """Servers on which one scenario after another is played, with pods and clients of its own.

    The pods are those of a system, the `target`.
    """

    def __init__(
        self,
        target: BenchTarget,
        broker: BrokerName,
        topology: TopologyName,
        folder: Path,
        deployment: Deployment,
    ) -> None:
        self.target = target
        self.broker = broker
        self.topology = topology
        self.folder = folder
        self.deployment = deployment
        self._plays = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        target: BenchTarget,
        broker: BrokerName,
        topology: TopologyName,
        servers: int = 3,
        where: WhereBroker | None = None,
    ) -> AsyncIterator[Bench]:
        """Start servers for the length of the block, or use one. Raises `ServersError`s."""
        with work_folder() as folder:
            opened: AbstractAsyncContextManager[Deployment] = (
                brokers(broker, topology, servers, folder)
                if where is None
                else standing_broker(where, folder)
            )
            async with opened as deployment:
                yield cls(target, broker, topology, folder, deployment)

    def place(self) -> Path:
        """Return a folder for the next play."""
        self._plays += 1
        folder = self.folder / f"play-{self._plays}"
        folder.mkdir()
        return folder


async def play_scenario(
    bench: Bench, scenario: Scenario, seed: int, say: Callable[[str], object] = lambda _: None
) -> Judgement:
    """Play a scenario, and judge what clients were told. `say` is told how it goes.

    Raises `MachineBusy` where nothing else is to blame.
    """
    deployment = bench.deployment
    async with open_ways(deployment, scenario.pods.count) as ways:
        play = _RealPlay(bench, scenario, seed, ways, say)
        try:
            await play.run()
        finally:
            with trio.CancelScope(shield=True):
                await play.end()
                await deployment.restore()
    judge = partial(judged, scenario, bench.broker, bench.topology, seed, slack=SLACK)
    return judged_at_ease(judge, play.seen(), play.waits)


class _RealPlay:
    """One play; see `Cast`."""

    def __init__(
        self,
        bench: Bench,
        scenario: Scenario,
        seed: int,
        ways: Ways,
        say: Callable[[str], object],
    ) -> None:
        self.deployment = bench.deployment
        self.deployment.signed = scenario.pods.signed
        self.ways = ways
        self.history: list[Record] = []
        self.hushed = 0
        self.nursery: trio.Nursery
        self._scenario = scenario
        self._draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self._say = say
        self._zero = trio.current_time()
        self.waits = ProcessorWaits(self._zero)
        self._blamed: dict[int, int] = {}
        self._target = bench.target
        folder = bench.place()
        self.pods = [
            RealPod(bench.target, self._post(number, bench, folder))
            for number in range(scenario.pods.count)
        ]
        self._standings = Standings(self.pods, self.history)
        self.guests: list[Guest] = []

    def _post(self, number: int, bench: Bench, folder: Path) -> PodPost:
        population = self._scenario.pods
        through = self.ways.through(number)
        return PodPost(
            number,
            population.count,
            folder / f"pod-{number}",
            free_port(),
            bench.deployment.settings(number, through=through, roam=population.roam),
            self._scenario.load.rooms,
            signed=population.signed,
            chaos=takes_within(self._scenario),
        )

    def _seats(self) -> Iterator[GuestSeat]:
        for number in range(self._scenario.load.clients * len(self.pods)):
            pod = self.pods[number % len(self.pods)]
            rooms, blameless = self._scenario.load.rooms, partial(self._is_blameless, pod.number)
            yield GuestSeat(number, pod.number, pod.url, rooms, blameless, pod.ahead)

    # How it goes -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play it."""
        async with (
            self._target.guests(list(self._seats()), self.history) as guests,
            trio.open_nursery() as nursery,
        ):
            self.guests, self.nursery = list(guests), nursery
            await self._play()
            nursery.cancel_scope.cancel()

    async def _play(self) -> None:
        self._say(f"starting {len(self.pods)} pods")
        self.nursery.start_soon(self.waits.watch, self._processes)
        await self._start()
        self.nursery.start_soon(self._standings.watch)
        await came_about(self._standings.are_well, FOUND)
        self._say(f"{len(self.guests)} clients come")
        for guest in self.guests:
            self.nursery.start_soon(guest.live)
        await came_about(self._has_arrived, ARRIVED)
        await trio.sleep(0.5 + self._draw.random())
        await self._talk_and_fail()
        await trio.sleep(SILENT)
        self.history.append(Calm(trio.current_time()))
        self._say("last words")
        await self._last_words()
        await came_about(self._have_all_heard, LISTENED)
        await trio.sleep(LOOKED)
        self._standings.write_down()

    async def end(self) -> None:
        """Leave nothing behind."""
        for pod in self.pods:
            await pod.kill()

    def seen(self) -> list[Record]:
        """Return what was seen, in seconds since the play began, with what befell."""
        last = next((n for n, each in enumerate(self.history) if isinstance(each, View)), None)
        history = self.history if last is None else self.history[: last + len(self.pods)]
        records = [*self._befallen(history), *history]
        return [moved(each, lambda at: at - self._zero) for each in records]

    def _processes(self) -> Iterator[int]:
        for pod in self.pods:
            with suppress(NotObeyed):  # it does not run
                yield pod.pid

    async def _start(self) -> None:
        clocks = [*self._scenario.pods.clocks, *[0.0] * len(self.pods)]
        async with trio.open_nursery() as nursery:
            for pod in self.pods:
                self.history.append(Began(trio.current_time(), pod.number))
                nursery.start_soon(pod.start, clocks[pod.number])

    async def _talk_and_fail(self) -> None:
        steps = ScenarioSteps(self._scenario, self.history, self._befall)
        async with trio.open_nursery() as talk:
            for guest in self.guests:
                talk.start_soon(self._talk, guest)
            await steps.run(trio.current_time())
            self._say("all is to heal")
            healed = max(HEALED, self._scenario.expect.healed_within + SILENT)
            await self._until_well(healed - SILENT)
            talk.cancel_scope.cancel()

    async def _until_well(self, seconds: float) -> None:
        """Return when all has been well for a while; what may be hidden takes all the time."""
        hidden = any(step.trouble.name.startswith("broker.forget") for step in self._scenario.steps)
        if hidden or not self._target.tells_all:
            await trio.sleep(seconds)
            return
        deadline, since = trio.current_time() + seconds, math.inf
        while trio.current_time() < min(deadline, since + WELL):
            await trio.sleep(LOOKED)
            well = self._standings.are_well() and all(guest.well for guest in self.guests)
            since = min(since, trio.current_time()) if well else math.inf

    async def _befall(self, number: int) -> EndStep:
        step = self._scenario.steps[number]
        self._say(step.title)
        return await RealFaults(self).begin(step.trouble)

    async def _talk(self, guest: Guest) -> None:
        load = self._scenario.load
        draw = random.Random(f"{self._draw.random()}/{guest.number}")  # noqa: S311
        while True:
            await trio.sleep(draw.expovariate(load.rate))
            if not self.hushed:
                self.say(guest, draw.choice(load.rooms).name, load.size)

    async def _last_words(self) -> None:
        for room in self._scenario.load.rooms:
            for guest in self.guests:
                self.say(guest, room.name, 0)
                await trio.sleep(0.01)

    def say(self, guest: Guest, room: str, size: int) -> None:
        """Let a client say something."""
        guest.say(room, size, self.nursery)

    # Who is to blame -----------------------------------------------------------------------------

    def blame(self, pod: int) -> EndStep:
        """Take it upon oneself that a pod's clients are cut off, until what is returned is done."""
        self._blamed[pod] = self._blamed.get(pod, 0) + 1

        async def forgive() -> None:
            await trio.sleep(BLAMED)
            self._blamed[pod] -= 1

        return forgive

    def _is_blameless(self, pod: int) -> bool:
        return not self._blamed.get(pod) and not self.pods[pod].asleep

    def _has_arrived(self) -> bool:
        wanted = len(self.guests) * (1 + len(self._scenario.load.rooms))
        return sum(isinstance(each, Entered) for each in self.history) >= wanted

    def _have_all_heard(self) -> bool:
        """Whether whatever was said last has come to everybody."""
        calm = next(n for n, each in enumerate(self.history) if isinstance(each, Calm))
        last = self.history[calm:]
        said = sum(isinstance(each, Spoken) for each in last)
        heard = sum(isinstance(each, Hearing) for each in last)
        answered = sum(isinstance(each, Answered) for each in last)
        return answered >= said and heard >= said * len(self.guests)

    def _befallen(self, history: list[Record]) -> list[Record]:
        """Return what the steps were, for the rules."""
        end = history[-1].at if history else 0.0
        befell: list[Record] = []
        for struck in (each for each in history if isinstance(each, Struck)):
            mended = [e.at for e in history if isinstance(e, Mended) and e.step == struck.step]
            hidden = struck.fault.startswith("broker.forget")
            until = struck.at + HIDDEN if hidden else min(mended, default=end)
            befell.append(Befell(struck.at, struck.fault, until, True, hidden))
        return befell
