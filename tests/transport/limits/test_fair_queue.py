"""Who works next: the addresses take turns, and not their requests."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from deployd.transport import POD, Asker, FairQueue, Grant, Shares, TooManyWaiting

GREEDY, ANN, BOB = (Asker.of(f"192.0.2.{n}") for n in (1, 2, 3))


async def work(turns: FairQueue, asker: Asker, begun: list[str], seconds: float = 1.0) -> None:
    async with turns.turn(asker):
        begun.append(asker.network)
        await trio.sleep(seconds)


async def test_somebody_else_is_next_whoever_sent_a_hundred_requests(
    autojump_clock: trio.testing.MockClock,
) -> None:
    turns, begun = FairQueue(Shares(1), Shares(200)), list[str]()
    async with trio.open_nursery() as nursery:
        for asker in [GREEDY] * 100 + [ANN] * 2 + [BOB]:
            nursery.start_soon(work, turns, asker, begun)
            await trio.testing.wait_all_tasks_blocked()
    first = [GREEDY.network, GREEDY.network, ANN.network, BOB.network, GREEDY.network, ANN.network]
    assert begun[:6] == first
    assert len(begun) == 103


async def test_who_has_its_share_of_the_work_waits_also_where_there_is_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    turns, begun = FairQueue(Shares(4, per_address=2), Shares(200)), list[str]()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(work, turns, GREEDY, begun, 1000.0)
        await trio.testing.wait_all_tasks_blocked()
        assert begun == [GREEDY.network] * 2
        with trio.fail_after(1):
            async with turns.turn(ANN):
                pass
        nursery.cancel_scope.cancel()


async def test_the_pod_and_root_come_first(autojump_clock: trio.testing.MockClock) -> None:
    turns, begun = FairQueue(Shares(1), Shares(200)), list[str]()
    async with trio.open_nursery() as nursery:
        for asker in (GREEDY, ANN, GREEDY, POD):
            nursery.start_soon(work, turns, asker, begun)
            await trio.testing.wait_all_tasks_blocked()
    assert begun == [GREEDY.network, "", ANN.network, GREEDY.network]


async def test_who_finds_no_place_to_wait_is_told_whose_fault_that_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    turns = FairQueue(Shares(1), Shares(3, per_address=2))
    async with trio.open_nursery() as nursery:
        for asker in (GREEDY, GREEDY):
            nursery.start_soon(work, turns, asker, [])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(TooManyWaiting) as own:
            await work(turns, GREEDY, [])
        nursery.start_soon(work, turns, ANN, [])
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(TooManyWaiting) as anybodys:
            await work(turns, BOB, [])
    assert own.value.grant is Grant.OVER_SHARE
    assert anybodys.value.grant is Grant.NONE_LEFT
    assert len(turns) == 0


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_forgotten_and_nothing_is_held_in_the_end_whoever_gives_up(
    seed: int,
) -> None:
    chance = random.Random(seed)
    working, present = Shares(3, per_address=2), Shares(40, per_address=20)
    turns, begun = FairQueue(working, present), list[str]()

    async def one() -> None:
        await trio.sleep(chance.random() * 3)
        asker = chance.choice([GREEDY, GREEDY, GREEDY, ANN, BOB, POD, Asker("")])
        with trio.move_on_after(chance.choice([0.5, 1.0, 1000.0])):
            try:
                await work(turns, asker, begun, chance.choice([0.0, 0.5, 1.0]))
            except TooManyWaiting:
                return

    async def crowd() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(one)

    trio.run(crowd, clock=trio.testing.MockClock(autojump_threshold=0))
    assert begun
    assert (len(working), len(present), len(turns._queues)) == (0, 0, 0)
