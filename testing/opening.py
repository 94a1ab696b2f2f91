"""`open_room`: a room under test, alone on the clock of the test, or wherever pytest is told to.

::

    async def test_who_bids_more_leads(autojump_clock):
        async with open_room(Auction) as room:
            ann, ben = await room.join(user="ann"), await room.join(user="ben")
            assert (await ann.emit("bid", {"amount": 5})).answer == {"user": "ann", "amount": 5}
            assert await ben.hear("leading") == {"user": "ann", "amount": 5}
            await room.advance(60)
            assert await ben.hear("sold") == {"user": "ann", "amount": 5}

Guests are clients of `deployd.client`, so what is said and answered is what clients hear, in their
words. `pytest --rooms=pod` has the same test talk to pods on free ports, `--rooms=simulator` runs
it once for each of many seeds.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio
from trio.testing import MockClock

from ..actors import RoomFactory
from ..config import Config, lead_into_logging
from ..transport.brokers import FaultyBroker
from ..transport.brokers.contract import Broker
from ..transport.brokers.faulty import Fate
from ..transport.brokers.memory import MemoryBroker, MemoryBus
from .room import RoomUnderTest
from .room_pod import pod_alone, pod_with_port
from .room_pods import RoomPods, settings_for_rooms
from .transcript import Transcript
from .whereabouts import CHOICE, RoomsAt

__all__ = ["open_room"]

MOST_PODS: Final = 9
QUIET: Final = 0.003
"""Seconds without a sound after which nothing is on its way between sockets of this machine."""
FAR: Final = 0.05
"""Seconds that a message between pods takes at most in the simulator."""


@asynccontextmanager
async def open_room(
    room: RoomFactory, *, name: str = "room-1", pods: int = 1, config: Config | None = None
) -> AsyncIterator[RoomUnderTest]:
    """Run a room of this class, or of what a function makes, for the length of the block.

    It is supervised as in a pod: a crash restarts it. With several `pods` each has its own, joined
    by a broker in this process. An error that leaves the block carries what was said.
    """
    if not 1 <= pods <= MOST_PODS:
        raise ValueError(f"Ask for 1 to {MOST_PODS} pods.")
    lead_into_logging()
    CHOICE.opened += 1
    venue, transcript = CHOICE.now, Transcript()
    quiet = QUIET if venue is RoomsAt.POD else 0.0
    open_pod = pod_with_port if venue is RoomsAt.POD else pod_alone
    running = RoomPods({name: room}, settings_for_rooms(config), _brokers(pods, venue), open_pod)
    failures: list[Exception] = []
    with _clock_that_waits(quiet):
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, running, failures, nursery.cancel_scope)
            if not failures:
                try:
                    yield RoomUnderTest(name, running, nursery, transcript, quiet)
                    await running.stopped()
                except Exception as error:  # noqa: BLE001 - raised below, and not in a group
                    failures.append(error)
            nursery.cancel_scope.cancel()
    if failures:
        failures[0].add_note(str(transcript))
        raise failures[0]


async def _run(
    pods: RoomPods,
    failures: list[Exception],
    scope: trio.CancelScope,
    task_status: trio.TaskStatus[None],
) -> None:
    up = False

    def came_up() -> None:
        nonlocal up
        up = True
        task_status.started()

    try:
        await pods.run(came_up)
    except Exception as error:  # noqa: BLE001 - raised above, out of the groups
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        failures.insert(0, error)
        scope.cancel()
        if not up:
            task_status.started()


def _brokers(pods: int, venue: RoomsAt) -> list[Callable[[], Broker] | None]:
    """Return what joins each pod to the others; one alone has none."""
    if pods == 1:
        return [None]
    bus = MemoryBus()

    def joined() -> Broker:
        broker = MemoryBroker(bus)
        return FaultyBroker(broker, lambda _: _late()) if venue is RoomsAt.SIMULATOR else broker

    return [joined] * pods


def _late() -> Fate:
    return Fate(delay=random.uniform(0.0, FAR))  # noqa: S311 - chance, of the seed


@contextmanager
def _clock_that_waits(quiet: float) -> Iterator[None]:
    """Let a test's clock jump only when nothing is on its way between sockets."""
    clock = trio.lowlevel.current_clock()
    if not quiet or not isinstance(clock, MockClock):
        yield
        return
    before, clock.autojump_threshold = (
        clock.autojump_threshold,
        max(quiet, clock.autojump_threshold),
    )
    try:
        yield
    finally:
        clock.autojump_threshold = before
