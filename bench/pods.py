"""What the other pods cost a pod, by how many they are and by what they say elsewhere.

    python bench/pods.py

First links without sockets, all in one thread on a virtual clock, each with its own account of
processor time. Then a pod as it is served, on a real broker, with and without the beats of others,
which one process says for all of them.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import attrs
import trio
import trio.testing
from _attributed import Attributed
from _brokers import BROKERS
from _crowd import served_beside
from _report import machine, verdict

from deployd.actors.cluster.pace import interval
from deployd.config import Logging, configure_logging
from deployd.transport.brokers.contract import Channel, Message
from deployd.transport.brokers.memory import MemoryBroker, MemoryBus
from support.fake_broker import FakeBus
from support.links import SETTINGS, SimPod

MOST: Final = 0.01
"""Of a core: what the beats of a hundred pods may cost each."""
ACQUAINTED: Final = 10.0
VIRTUAL: Final = 20.0
"""Seconds until everybody knows everybody, and those that are measured; both virtual."""
SKEW: Final = 0.02
"""Seconds within which the clocks of pods agree that ask the same servers for the time."""
APART: Final = 1.0
"""Seconds over which their beats are spread when they do not agree at all."""
WORDS: Final = 20
"""What each of the other pods says a second in a room that it shares with one more."""


@attrs.define
class Traffic:
    """Messages and bytes of one pod, both ways."""

    heard: int = 0
    heard_bytes: int = 0
    said: int = 0
    said_bytes: int = 0


class Counted(MemoryBroker):
    """A connection that counts, and hears on its own account."""

    def __init__(self, bus: MemoryBus, number: int, traffic: Traffic, account: Attributed) -> None:
        super().__init__(bus)
        self._number, self._traffic, self._account = number, traffic, account

    async def publish(self, batch: Sequence[Message]) -> None:
        """Count what is said."""
        self._traffic.said += len(batch)
        self._traffic.said_bytes += sum(len(payload) for _, payload in batch)
        await super().publish(batch)

    def hear(self, channel: Channel, payload: bytes) -> None:
        """Count what is heard."""
        self._traffic.heard += 1
        self._traffic.heard_bytes += len(payload)
        with self._account.on_account(self._number):
            super().hear(channel, payload)


@attrs.frozen
class Cost:
    """What one pod hears and says a second, and its processor time, a share of a core."""

    traffic: Traffic
    share: float


def simulated(count: int, words: int, *, signed: bool = False) -> Cost:
    """Return what a pod that is in no room costs beside others, each of which says so much."""
    settings = attrs.evolve(SETTINGS, secret="s" * 32 if signed else "")
    account = Attributed(count)
    traffic = [Traffic() for _ in range(count)]

    async def run() -> Cost:
        bus = FakeBus()
        pods = [SimPod(f"{n:08x}", bus, settings) for n in range(count)]
        async with trio.open_nursery() as nursery:
            for number, pod in enumerate(pods):
                pod.make = partial(Counted, bus, number, traffic[number], account)
                account.own(number, nursery, pod.run)
            for number, pod in enumerate(pods[1:], 1):
                nursery.start_soon(pod.come, f"room-{number // 2}")
            await trio.sleep(ACQUAINTED)
            assert all(len(pod.state.peers) == count - 1 for pod in pods)
            if words:
                for number, pod in enumerate(pods[1:], 1):
                    talk = partial(speak, pod, f"room-{number // 2}", words)
                    account.own(number, nursery, talk)
            gc.collect()  # what all the pods of this process have made is not this one's
            gc.disable()
            before, used = attrs.astuple(traffic[0]), account.seconds[0]
            await trio.sleep(VIRTUAL)
            after, share = attrs.astuple(traffic[0]), (account.seconds[0] - used) / VIRTUAL
            gc.enable()
            nursery.cancel_scope.cancel()
        a_second = [round((now - was) / VIRTUAL) for now, was in zip(after, before, strict=True)]
        return Cost(Traffic(*a_second), share)

    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(run, clock=clock, instruments=[account])


async def speak(pod: SimPod, room: str, words: int) -> None:
    """Say so many words a second, until cancelled."""
    while True:
        await trio.sleep(1 / words)
        pod.say(room, "x" * 100)


def show_simulated(counts: Sequence[int], *, signed: bool) -> bool:
    """Print a line for each number of pods, idle and beside others that speak; judge."""
    print(
        "\npods in one thread, without sockets, each "
        + ("signing what it says" if signed else "unsigned")
        + "; of one of them, in no room, a second:\n"
        "  pods  others say  hears  bytes  says  bytes  of a core"
    )
    good = True
    for count in counts:
        idle, busy = (simulated(count, words, signed=signed) for words in (0, WORDS))
        for words, cost in ((0, idle), (WORDS, busy)):
            on = cost.traffic
            print(
                f"  {count:4} {words * (count - 1):11,} {on.heard:6} {on.heard_bytes:6,}"
                f" {on.said:5} {on.said_bytes:6,} {cost.share:9.2%}"
            )
        same = abs(busy.traffic.heard - idle.traffic.heard) <= 1 and busy.traffic.said <= 3
        good = good and same and (count > 100 or busy.share < MOST)
        print(f"        messages do not grow with what is said elsewhere: {verdict(same)}")
    return good


def show_served(kinds: Sequence[str], others: int, *, signed: bool) -> bool:
    """Print what a pod takes of a core alone, and beside others; judge what those cost."""
    good = True
    how = "signed" if signed else "unsigned"
    print(f"\na pod as it is served, beside {others} that beat, {how}; of a core:")
    for kind in kinds:
        alone, in_step, apart = (
            trio.run(partial(served_beside, kind, count, spread, signed=signed))
            for count, spread in ((0, 0.0), (others, SKEW), (others, APART))
        )
        cost = in_step - alone
        good = good and cost < MOST
        print(
            f"  {kind:8} alone {alone:.2%}; their beats cost {cost:.2%} in step"
            f" (apart: {apart - alone:.2%}); promised below {MOST:.0%}: {verdict(cost < MOST)}"
        )
        sys.stdout.flush()
    return good


def main() -> int:
    """Measure, print, and return the exit code."""
    options = _options()
    configure_logging(Logging(level="CRITICAL"), tty=False, stream=sys.stderr)
    print(machine())
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"load of the machine (1, 5, 15 minutes): {load}")
    for count in options.pods:
        print(f"{count} pods beat each {interval(count - 1):g} s")
    good = True
    for signed in (False, True):
        good = show_simulated(options.pods, signed=signed) and good
        if options.broker:
            good = show_served(options.broker, 99, signed=signed) and good
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, nargs="*", default=[2, 10, 100, 200])
    parser.add_argument("--broker", choices=list(BROKERS), nargs="*", default=list(BROKERS))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
