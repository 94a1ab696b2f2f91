"""A run is what its seed says: the same each time, and what it patches of others is still there."""

from __future__ import annotations

import random
import secrets
import time

import trio
import trio._core._run as trio_run

from deployd.tools.oracle import digest
from deployd.tools.simulator import plan, run
from deployd.tools.simulator.chance import POD, LeapingClock, seeded


def test_a_seed_gives_the_same_plan_and_the_same_history() -> None:
    assert plan(7) == plan(7)
    assert digest(run(plan(7))) == digest(run(plan(7)))


def test_another_seed_gives_another_history() -> None:
    assert digest(run(plan(7))) != digest(run(plan(8)))


def test_trio_still_has_what_makes_its_scheduler_follow_a_seed() -> None:
    assert trio_run._ALLOW_DETERMINISTIC_SCHEDULING in (False, True)
    assert isinstance(trio_run._r, random.Random)
    assert callable(trio_run.Runner.reschedule)

    async def order() -> list[int]:
        ran: list[int] = []

        async def note(number: int) -> None:
            ran.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)
        assert hasattr(trio_run.GLOBAL_RUN_CONTEXT.runner, "runq")
        return ran

    orders = []
    for seed in (1, 1, 2):
        with seeded(seed):
            orders.append(trio.run(order))
    assert orders[0] == orders[1] != orders[2]


def test_chance_is_given_back_as_it_was() -> None:
    state, hexes = random.getstate(), secrets.token_hex
    with seeded(3):
        random.random()
        drawn = secrets.token_hex(4)
    with seeded(3):
        assert secrets.token_hex(4) == drawn
    assert random.getstate() == state
    assert secrets.token_hex is hexes


def test_what_belongs_to_a_paused_pod_waits_and_then_runs_late() -> None:
    ran: list[tuple[int, float]] = []

    async def tick(number: int) -> None:
        POD.set(number)
        await trio.sleep(1)
        ran.append((number, trio.current_time()))

    with seeded(1) as pauses:

        async def both() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick, 0)
                nursery.start_soon(tick, 1)
                await trio.sleep(0.5)
                pauses.pause(1)
                await trio.sleep(4.5)
                pauses.resume(1)

        trio.run(both, clock=LeapingClock())
    assert ran == [(0, 1.0), (1, 5.0)]


def test_the_clock_leaps_to_what_is_due_next_and_costs_no_time() -> None:
    async def sleep() -> list[float]:
        woken: list[float] = []

        async def wake(at: float) -> None:
            await trio.sleep_until(at)
            woken.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for at in (7200.0, 1.0, 3600.0):
                nursery.start_soon(wake, at)
            with trio.move_on_after(0.5):
                await trio.sleep_forever()
            woken.append(trio.current_time())
        return woken

    began = time.monotonic()
    assert trio.run(sleep, clock=LeapingClock()) == [0.5, 1.0, 3600.0, 7200.0]
    assert time.monotonic() - began < 10
