"""Plays a scenario in a simulated world: clients come and talk, its steps are done, all heals."""

from __future__ import annotations

import random
from functools import partial
from typing import Final

import trio

from ...oracle import Calm, Entered, Linked
from ...oracle.timing import HEALED, LISTENED
from ...simulator import Act, Deed, Fault, RunPlan, World
from ..scenario import Scenario
from ..scenario.steps import ARRIVED, SILENT, EndStep, ScenarioSteps, came_about
from .staging import Staged, staged

__all__ = ["Play"]

LOOKED: Final = 0.05
"""Seconds between looks at how pods stand."""


class Play:
    """One play of a scenario; it is a world's script."""

    def __init__(self, scenario: Scenario, plan: RunPlan) -> None:
        self._scenario = scenario
        self._plan = plan
        self._draw = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
        self._hushed = 0
        # What cannot be simulated is said before anything begins.
        self._stagings = [staged(scenario, step, plan, self._draw) for step in scenario.steps]

    async def __call__(self, world: World, pods: trio.Nursery) -> None:
        """Play it; return when all that is to be told is told. `pods` is where pods live."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._note_standings, world)
            await self._arrive(world)
            do = partial(self._befall, world, pods)
            self._steps = ScenarioSteps(self._scenario, world.history, do)
            async with trio.open_nursery() as talk:
                for client in range(len(self._plan.homes)):
                    talk.start_soon(self._talk, world, client)
                await self._steps.run(trio.current_time())
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
        await came_about(
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

    async def _befall(self, world: World, pods: trio.Nursery, number: int) -> EndStep:
        """Do a step; return what ends it."""
        what, done = self._stagings[number], trio.Event()
        for deed in what.begin:
            world.do(deed)
        self._hushed += what.hush
        for fault in what.faults:
            pods.start_soon(world.befall, fault, pods, done.wait)
        for piece in what.pieces:
            pods.start_soon(self._piece, world, piece, pods)
        await trio.lowlevel.checkpoint()
        return partial(self._mend, world, what, done)

    async def _mend(self, world: World, what: Staged, done: trio.Event) -> None:
        done.set()
        if not self._steps.last:  # a silence that comes last goes on until last words
            self._hushed -= what.hush
        for deed in what.end:
            world.do(deed)
        await trio.lowlevel.checkpoint()

    @staticmethod
    async def _piece(world: World, piece: Fault, pods: trio.Nursery) -> None:
        await trio.sleep(piece.at)
        await world.befall(piece, pods, partial(trio.sleep, piece.seconds))
