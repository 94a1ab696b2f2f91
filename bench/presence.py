"""What it costs to know who is there: ten thousand members of one room over four pods.

Pods, links, rooms and sessions are the real ones, in one loop on a virtual clock (the simulator's,
without faults); sockets and a broker's process are not there. Processor time is that of all four.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from typing import Final

import trio
from attrs import evolve
from structlog.testing import capture_logs

from deployd.actors import Presence, Room
from deployd.actors.rooms.people import People
from deployd.actors.rooms.person import PageWord
from deployd.tools.simulator.chance import LeapingClock, seeded
from deployd.tools.simulator.client import Visit
from deployd.tools.simulator.plan import plan
from deployd.tools.simulator.pod import PodKind, SimulatedPod
from deployd.tools.simulator.world import World

PODS: Final = 4
RATE: Final = 1000
"""Members that join each second, all pods together."""
ROOM: Final = "square"


class Tracked(Room):
    """Tells who is in it."""

    presence = Presence()


class Plain(Room):
    """Does not."""


class Listener(Visit):
    """Counts what it is told, and reads nothing of it."""

    frames = nbytes = 0

    def write(self, data: bytes, messages: int = 1) -> None:
        """Count it."""
        Listener.frames += messages
        Listener.nbytes += len(data)


class Said:
    """What pods have told each other of people."""

    messages = nbytes = 0

    @classmethod
    def count(cls) -> None:
        """Begin to."""
        encode = PageWord.encode

        def counted(word: PageWord) -> bytes:
            encoded = encode(word)
            cls.messages += 1
            cls.nbytes += len(encoded)
            return encoded

        PageWord.encode = counted  # type: ignore[method-assign,assignment]


async def fill(pods: list[SimulatedPod], members: int) -> None:
    """Let them come in, one after another, on all pods in turn."""
    for number in range(members):
        pod = pods[number % PODS]
        pod.do(pod.welcome(number, f"client{number}").join, ROOM)
        if number % 10 == 9:
            await trio.sleep(10 / RATE)
    await trio.sleep(2)


def measured(room: type[Room], members: int) -> tuple[float, float, int]:
    """Return the processor's seconds until all are in, and for one more; and who is known."""
    result = [0.0, 0.0]
    known = 0

    async def script(world: World, nursery: trio.Nursery) -> None:
        nonlocal known
        await trio.sleep(3)
        pods = list(world.pods.values())
        began = time.process_time()
        await fill(pods, members)
        result[0] = time.process_time() - began
        began = time.process_time()
        pods[0].do(pods[0].welcome(members, "one-more").join, ROOM)
        await trio.sleep(1)
        result[1] = time.process_time() - began
        known = len(pods[-1].people(ROOM))

    quiet = evolve(
        plan(1, "nats"),
        faults=(),
        deeds=(),
        homes=(),
        places=(0,) * PODS,
        nodes=1,
        spread=0.0,
        skews=(0.0,) * PODS,
    )
    with seeded(1) as pauses, capture_logs():
        world = World(quiet, pauses, script, PodKind({ROOM: room}, Listener))
        trio.run(world.live, clock=LeapingClock(), strict_exception_groups=True)
    return result[0], result[1], known


def memory(members: int) -> float:
    """Return the bytes that one pod keeps of each person."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    here = People("0", 1)
    for number in range(members // PODS):
        here.place(f"client{number}", f"user{number}", "Somebody", 1.0)
    here.changes()
    for pod in range(1, PODS):
        other = People(str(pod), 1)
        for number in range(members // PODS):
            other.place(f"client{pod}-{number}", f"user{pod}-{number}", "Somebody", 1.0)
        for said in other.changes():
            here.hear(str(pod), said)
        del other
    here.news()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / members


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10_000)
    members = parser.parse_args().members
    plain, _, _ = measured(Plain, members)
    plain_frames = Listener.frames
    Listener.frames = Listener.nbytes = 0
    Said.count()
    tracked, one_more, known = measured(Tracked, members)
    print(f"{members} members of one room over {PODS} pods, {RATE} joining each second")
    print(f"  known on each pod: {known} of {members + 1}")
    print(
        f"  a join: {tracked / members * 1e6:.0f} us of a processor, {plain / members * 1e6:.0f}"
        " without presence"
    )
    print(f"  pods told each other {Said.messages} messages, {Said.nbytes / 1e6:.2f} MB")
    print(
        f"  members were told {Listener.frames - plain_frames} messages more,"
        f" {Listener.nbytes / 1e6:.0f} MB in all"
    )
    print(
        f"  one more who comes: {one_more * 1000:.1f} ms of a processor in the second after it,"
        " beats included"
    )
    print(f"  memory: {memory(members):.0f} bytes a person on each pod")


if __name__ == "__main__":
    main()
