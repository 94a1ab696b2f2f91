"""Plays a scenario in a simulated world: clients come and talk, its steps are done, all heals."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from attrs import define, evolve, field

from ...oracle import Calm, Entered, Linked, Mended, Struck
from ...simulator import Act, Deed, Fault, RunPlan, World
from ..scenario import CONDITIONS, Condition, Scenario, ScenarioStep, Witness
from .staging import Staged, staged

__all__ = ["Play"]

LOOKED: Final = 0.05
"""Seconds between looks at whether something has come about, and at how pods stand."""
ARRIVED: Final = 10.0
"""Seconds within which all are in their rooms, or the play goes on without them."""
HEALED: Final = 8.5
"""Seconds after the last fault in which all is well again, and what is said then reaches all."""
SILENT: Final = 1.0
"""Seconds before that in which nobody says anything."""
LISTENED: Final = 3.5
"""Seconds after the last word in which all that is to be told is told."""


@define
class _Cue:
    """Whether a step has begun, and where in the history; None if it never will."""

    given: trio.Event = field(factory=trio.Event)
    place: int | None = None

    def give(self, place: int | None) -> None:
        self.place = place
        self.given.set()


class Play:
    """One play of a scenario; it is a world's script."""

    def __init__(self, scenario: Scenario, plan: RunPlan) -> None:
        self._scenario = scenario
        self._plan = plan
        self._draw = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
        self._hushed = 0
        self._over = 0
        self._begin = 0.0
        self._cues = [_Cue() for _ in scenario.steps]
        # What cannot be simulated is said before anything begins.
        self._stagings = [staged(scenario, step, plan, self._draw) for step in scenario.steps]

    async def __call__(self, world: World, pods: trio.Nursery) -> None:
        """Play it; return when all that is to be told is told. `pods` is where pods live."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._note_standings, world)
            await self._arrive(world)
            self._begin = trio.current_time()
            async with trio.open_nursery() as talk:
                for client in range(len(self._plan.homes)):
                    talk.start_soon(self._talk, world, client)
                async with trio.open_nursery() as steps:
                    for number in range(len(self._scenario.steps)):
                        steps.start_soon(self._step, world, number, pods)
                # A scenario may expect that healing takes longer, and then it may.
                healed = max(HEALED, self._scenario.expect.healed_within + SILENT)
                await trio.sleep(healed - SILENT)
                talk.cancel_scope.cancel()
            await trio.sleep(SILENT)
            world.history.append(Calm(trio.current_time()))
            await self._last_words(world)
            await trio.sleep(LISTENED)
            nursery.cancel_scope.cancel()

    # Clients -----------------------------------------------------------------------------------

    async def _arrive(self, world: World) -> None:
        await trio.sleep(0.5 + self._draw.random())
        rooms = [room.name for room in self._scenario.load.rooms]
        clients = len(self._plan.homes)
        for client in range(clients):
            world.do(Deed(0.0, client, Act.COME))
            for room in rooms:
                world.do(Deed(0.0, client, Act.JOIN, room))
        wanted = clients * (len(rooms) + 1)  # each is told that it is there, too
        await self._until(
            lambda: sum(isinstance(each, Entered) for each in world.history) >= wanted, ARRIVED
        )
        # The first beats have been said by then, at another time in each run.
        await trio.sleep(1.5 + self._draw.random())

    async def _talk(self, world: World, client: int) -> None:
        load = self._scenario.load
        draw = random.Random(f"{self._plan.seed}/{client}")  # noqa: S311 - chance, not secrecy
        while True:
            await trio.sleep(draw.expovariate(load.rate))
            room = draw.choice(load.rooms).name
            if not self._hushed:
                world.do(Deed(0.0, client, Act.SAY, room, load.size))

    async def _last_words(self, world: World) -> None:
        for room in self._scenario.load.rooms:
            for client in range(len(self._plan.homes)):
                world.do(Deed(0.0, client, Act.SAY, room.name))
                await trio.sleep(0.01)

    async def _note_standings(self, world: World) -> None:
        """Write down how pods stand, whenever that changes."""
        known: dict[int, tuple[str, int]] = {}
        while True:
            now = {each.pod: (each.link, each.peers) for each in world.standings()}
            for pod in range(self._plan.pods):
                stands = now.get(pod, ("ended", 0))
                if known.get(pod) != stands:
                    known[pod] = stands
                    world.history.append(Linked(trio.current_time(), pod, *stands))
            await trio.sleep(LOOKED)

    # Steps -------------------------------------------------------------------------------------

    async def _step(self, world: World, number: int, pods: trio.Nursery) -> None:
        step, cue = self._scenario.steps[number], self._cues[number]
        if not await self._is_time(world, number):
            cue.give(None)
            return
        cue.give(len(world.history))
        world.history.append(Struck(trio.current_time(), step.title, step.trouble.name))
        kept = await self._befall(world, self._stagings[number], step, cue, pods)
        self._over += 1
        world.history.append(Mended(trio.current_time(), step.title, not kept))

    async def _is_time(self, world: World, number: int) -> bool:
        """Wait until a step is due; return whether it ever was."""
        step = self._scenario.steps[number]
        if step.at is not None:
            await trio.sleep_until(self._begin + step.at)
        else:
            before = self._cues[number - 1]
            await before.given.wait()
            if before.place is None or step.when is None:
                return False
            if not await self._came(world, step, step.when, before.place):
                return False
        await trio.sleep(step.wait)
        return True

    async def _befall(
        self, world: World, what: Staged, step: ScenarioStep, cue: _Cue, pods: trio.Nursery
    ) -> bool:
        """Do it, and end it when it is over; return whether it ended as the step says."""
        done = trio.Event()
        for deed in what.begin:
            world.do(deed)
        self._hush(world, what.hush)
        for fault in what.faults:
            longest = evolve(fault, seconds=step.lasting or (step.until and step.within) or 0.0)
            pods.start_soon(world.befall, longest, pods, done.wait)
        for piece in what.pieces:
            pods.start_soon(self._piece, world, piece, pods)
        kept = await self._is_over(world, step, cue)
        done.set()
        if self._over + 1 < len(self._cues):  # a silence that comes last goes on until last words
            self._hush(world, -what.hush)
        for deed in what.end:
            world.do(deed)
        return kept

    def _hush(self, world: World, more: int) -> None:
        self._hushed += more
        world.hushed = self._hushed > 0

    @staticmethod
    async def _piece(world: World, piece: Fault, pods: trio.Nursery) -> None:
        await trio.sleep(piece.at)
        await world.befall(piece, pods, partial(trio.sleep, piece.seconds))

    async def _is_over(self, world: World, step: ScenarioStep, cue: _Cue) -> bool:
        if step.until in CONDITIONS:
            return await self._came(world, step, step.until, cue.place or 0)
        if step.until:
            titles = [each.title for each in self._scenario.steps]
            with trio.move_on_after(step.within):
                await self._cues[titles.index(step.until)].given.wait()
                return True
            return False
        await trio.sleep(step.lasting)
        return True

    async def _came(
        self, world: World, step: ScenarioStep, condition: Condition, since: int
    ) -> bool:
        witness = Witness(world.history, since)
        return await self._until(partial(witness.came, condition), step.within)

    @staticmethod
    async def _until(came: Callable[[], bool], seconds: float) -> bool:
        """Wait for something, so long at most; return whether it came about."""
        deadline = trio.current_time() + seconds
        while not came():
            if trio.current_time() >= deadline:
                return False
            await trio.sleep(LOOKED)
        return True
