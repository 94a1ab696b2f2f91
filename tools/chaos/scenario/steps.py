"""Does a scenario's steps when they are due, and ends them when they are over.

Whoever plays a scenario, simulated or with real servers, says how a step is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import define, field

from ...oracle import Mended, Record, Struck
from .conditions import Witness
from .schema import CONDITIONS, Condition, Scenario, ScenarioStep

__all__ = ["ARRIVED", "SILENT", "BeginStep", "EndStep", "ScenarioSteps", "came_about"]

ARRIVED: Final = 10.0
"""Seconds within which all are in their rooms, or the play goes on without them."""
SILENT: Final = 1.0
"""Seconds before the last words in which nobody says anything."""
LOOKED: Final = 0.05
"""Seconds between looks at whether something has come about."""

EndStep: TypeAlias = Callable[[], Awaitable[int | None]]
"""Ends a step, and returns how many messages it struck, of what strikes messages alone."""
BeginStep: TypeAlias = Callable[[int], Awaitable[EndStep]]
"""Does a step, by its number, and returns what ends it."""


@define
class _Cue:
    """Whether a step has begun, and where in the history; None if it never will."""

    given: trio.Event = field(factory=trio.Event)
    place: int | None = None

    def give(self, place: int | None) -> None:
        self.place = place
        self.given.set()


class ScenarioSteps:
    """The steps of one play; `history` is written while they are done. `over` are those ended."""

    def __init__(self, scenario: Scenario, history: list[Record], do: BeginStep) -> None:
        self._scenario = scenario
        self._history = history
        self._do = do
        self._cues = [_Cue() for _ in scenario.steps]
        self.over = 0

    @property
    def last(self) -> bool:
        """Whether only one is not over, or none."""
        return self.over + 1 >= len(self._cues)

    async def run(self, begin: float) -> None:
        """Do all; times are counted from `begin` (seconds, trio's clock)."""
        async with trio.open_nursery() as nursery:
            for number in range(len(self._cues)):
                nursery.start_soon(self._step, number, begin)

    async def _step(self, number: int, begin: float) -> None:
        step, cue = self._scenario.steps[number], self._cues[number]
        if not await self._is_time(number, begin):
            cue.give(None)
            return
        cue.give(len(self._history))
        self._history.append(Struck(trio.current_time(), step.title, step.trouble.name))
        end = await self._do(number)
        kept = await self._is_over(step, cue)
        struck = await end()
        self.over += 1
        self._history.append(Mended(trio.current_time(), step.title, not kept, struck))

    async def _is_time(self, number: int, begin: float) -> bool:
        """Wait until a step is due; return whether it ever was."""
        step = self._scenario.steps[number]
        if step.at is not None:
            await trio.sleep_until(begin + step.at)
        else:
            before = self._cues[number - 1]
            await before.given.wait()
            if before.place is None or step.when is None:
                return False
            if not await self._came(step, step.when, before.place):
                return False
        await trio.sleep(step.wait)
        return True

    async def _is_over(self, step: ScenarioStep, cue: _Cue) -> bool:
        if step.until in CONDITIONS:
            return await self._came(step, step.until, cue.place or 0)
        if step.until:
            titles = [each.title for each in self._scenario.steps]
            with trio.move_on_after(step.within):
                await self._cues[titles.index(step.until)].given.wait()
                return True
            return False
        await trio.sleep(step.lasting)
        return True

    async def _came(self, step: ScenarioStep, condition: Condition, since: int) -> bool:
        witness = Witness(self._history, since)
        return await came_about(partial(witness.came, condition), step.within)


async def came_about(came: Callable[[], bool], seconds: float) -> bool:
    """Wait for something, so long at most; return whether it came about."""
    deadline = trio.current_time() + seconds
    while not came():
        if trio.current_time() >= deadline:
            return False
        await trio.sleep(LOOKED)
    return True
