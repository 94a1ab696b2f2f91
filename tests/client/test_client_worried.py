"""A client whose pod does to it what pods do, and worse, while three tasks use it."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from deployd.client import (
    Client,
    ConnectionTrouble,
    Refused,
)
from deployd.client.endings import Ending
from deployd.transport import Emit, Join, Leave, Ping, Problem
from support.fake_pod import FakePod, client_of

PROBLEMS = ("room_busy", "forbidden", "too_fast", "room_closed", "room_crashed")


async def worry(pod: FakePod, random: Random) -> None:
    """Do to a client what pods do, and worse."""
    while True:
        await trio.sleep(random.random() * 3)
        room = random.choice("abcd")
        problem = Problem(random.choice(PROBLEMS), "As a test likes.", room)
        match random.randrange(7):
            case 0 if pod.wires and not pod.wire.over:
                pod.wire.end(random.choice([1006, 1012, 1001, 4000]), "retry_after=1.5")
            case 1:
                pod.no.setdefault(room, []).append(problem)
            case 2:
                pod.refuse += [Ending(1006, "", 503, 2.0)] * random.randrange(3)
            case 3 if pod.wires and room in pod.wire.inside and not pod.wire.over:
                pod.wire.put_out(room, problem)
            case 4:
                pod.deaf = random.choice([{Join}, {Emit, Leave}, {Ping}, set(), set()])
            case 5 if pod.wires:
                pod.wire.blocked = random.random() < 0.2
            case 6 if pod.wires and not pod.wire.over:
                pod.wire.tell(room, "said", 1)


async def use(c: Client, random: Random) -> None:
    """Join, leave and speak, and give up at any moment."""
    while True:
        room = random.choice("abcd")
        await trio.sleep(random.random())
        with trio.move_on_after(random.random() * 15), suppress(Refused, ConnectionTrouble):
            match random.randrange(3):
                case 0:
                    await c.join(room)
                case 1:
                    await c.leave(room)
                case _:
                    await c.emit(room, "said")


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_happens_it_is_where_it_wants_to_be_when_it_is_over(
    autojump_clock: MockClock, seed: int
) -> None:
    random, pod = Random(seed), FakePod()
    async with client_of(pod, random=random.random) as c:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worry, pod, random)
            for _ in range(3):
                nursery.start_soon(use, c, random)
            await trio.sleep(300)
            nursery.cancel_scope.cancel()
        pod.refuse, pod.no, pod.deaf, pod.wire.blocked = [], {}, set(), False
        await trio.sleep(120)
        await c.ready()
        assert pod.wire.inside == set(c.rooms)
        for room in c.rooms:
            await c.emit(room, "said")
        assert sum(not wire.over for wire in pod.wires) == 1
