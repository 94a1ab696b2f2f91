"""Who is in simulated rooms, as each pod and each client knows it, held against who really is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import trio
from attrs import evolve

from deployd.actors import Presence, Room
from deployd.tools.simulator.chance import LeapingClock, seeded
from deployd.tools.simulator.client import Visit
from deployd.tools.simulator.faults import BrokerName, Kind
from deployd.tools.simulator.plan import plan
from deployd.tools.simulator.pod import PodKind
from deployd.tools.simulator.world import World

__all__ = ["strangers_of"]


SETTLED = 8.0
"""Seconds after which all know it: who has fallen silent is counted for as long."""


class Square(Room):
    """A room that tells who is in it, and nothing more."""

    presence = Presence()


class Onlooker(Visit):
    """A client that keeps the list of who is there, as it is told."""

    @cached_property
    def there(self) -> dict[str, set[str]]:
        """The users in each room it is in."""
        return {}

    def _hear(self, told: dict[str, Any]) -> None:
        if told["type"] == "emit" and told["event"] == "presence":
            data, room = told["data"], told["room"]
            if "here" in data:
                self.there[room] = {one["user"] for one in data["here"]}
            there = self.there.setdefault(room, set())
            there.update(one["user"] for what in ("came", "changed") for one in data.get(what, ()))
            there.difference_update(one["user"] for one in data.get("went", ()))
            return
        super()._hear(told)


def strangers_of(seed: int, broker: BrokerName | None = None) -> list[str]:
    """Run a seed with rooms that tell who is in; return what is wrong when all is well again."""
    wrong: list[str] = []

    async def script(world: World, nursery: trio.Nursery) -> None:
        await world.follow(nursery)
        await trio.sleep(SETTLED)
        wrong.extend(_faults(world))

    drawn = plan(seed, broker)
    # A server that takes 1,500 bytes from then on carries no event at all: nobody can know.
    faults = tuple(fault for fault in drawn.faults if fault.kind is not Kind.LIMIT)
    drawn = evolve(drawn, faults=faults)
    with seeded(drawn.seed) as pauses:
        world = World(drawn, pauses, script, PodKind({"*": Square}, Onlooker))
        trio.run(world.live, clock=LeapingClock(), strict_exception_groups=True)
    return wrong


def _faults(world: World) -> Iterator[str]:
    truth: dict[str, set[str]] = {}
    for pod in world.pods.values():
        for client in pod.clients.values():
            for room in client.rooms:
                truth.setdefault(room, set()).add(client.name)
    for number, pod in world.pods.items():
        for room, there in truth.items():
            known = pod.people(room)
            here = {client.name for client in pod.clients.values() if room in client.rooms}
            if here and sorted(known) != sorted(there):
                yield f"pod {number} knows {sorted(known)} in {room}, there are {sorted(there)}"
        for client in pod.clients.values():
            for room in client.rooms:
                if isinstance(client, Onlooker) and client.there.get(room) != truth[room]:
                    told = sorted(client.there.get(room, ()))
                    yield f"{client.name} was told {told} in {room}, there are {truth[room]}"
