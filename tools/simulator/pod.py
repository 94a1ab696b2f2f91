"""A simulated pod: the real parts, put together as ever, without ports, threads and processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from typing import Final, cast

import trio
from attrs import evolve, field, frozen

from ...actors import Link, RoomFactory
from ...config import Broker as BrokerSettings
from ...config import Chaos, Config, Secrets, Server
from ...supervisors import Supervisor
from ...supervisors.chaos import Injector
from ...supervisors.pod import Parts, assemble
from ..oracle import EVERYBODY, Answered, Gone, Linked, Record, Spoken, View
from .chance import POD
from .client import SAID, Visit
from .models import connections_of
from .network import SimulatedNetwork
from .plan import RunPlan

__all__ = ["PLAIN", "PodKind", "SimulatedPod"]

EPOCH: Final = 1_800_000_000.0
"""Unix seconds at which a run begins."""
SETTINGS: Final = BrokerSettings(
    type="simulated:Broker",
    enabled=True,
    notice_window=0.0,
    canary_interval=0.5,  # a fifth less time a run
    timeout=0.95,  # so that what hangs is noticed as soon as with the usual 0.15 and 1.3
)
_KEYS: Final = Secrets("m" * 64, "j" * 64)
_BARE: Final = Config(broker=SETTINGS)
_SECRET: Final = "s" * 64
LOOK: Final = 1.0
"""Seconds between looks at what clients are owed."""


def _settings(plan: RunPlan, number: int) -> Config:
    server: Server = evolve(_BARE.server, name=f"pod{number}", api_enabled=False)
    broker = evolve(
        SETTINGS,
        secret=_SECRET if plan.signed else "",
        policies=dict(plan.policies),
        receipts=dict(plan.receipts),
    )
    return evolve(_BARE, broker=broker, server=server)


@frozen
class PodKind:
    """What pods of a run are beside the usual: `rooms` by pattern, and the class of visits.

    With `chaos` they take faults from inside.
    """

    rooms: Mapping[str, RoomFactory] = field(factory=dict)
    visit: type[Visit] = Visit
    chaos: bool = False


PLAIN: Final = PodKind()


class SimulatedPod:
    """One life of a pod. `skew` is how many seconds its wall clock is wrong.

    `healed` is called when one of its clients is told that the pods hear each other again.
    """

    def __init__(
        self,
        number: int,
        plan: RunPlan,
        skew: float,
        network: SimulatedNetwork,
        history: list[Record],
        healed: Callable[[], object],
        kind: PodKind = PLAIN,
    ) -> None:
        self._healed = healed
        self.number = number
        self._visit = kind.visit
        self.running = False
        self.clients: dict[int, Visit] = {}
        self._network = network
        self._history = history
        self._skew = skew
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._context: Context = copy_context()
        self._context.run(POD.set, number)
        self._voice = f"pod{number}@{trio.current_time():.3f}"
        self._announced = 0
        config = evolve(_settings(plan, number), chaos=Chaos(enabled=kind.chaos))
        self._parts: Parts = assemble(
            config,
            _KEYS,
            kind.rooms,
            broker=connections_of(plan, network, number),
            wall=lambda: EPOCH + trio.current_time() + skew,
        )
        self._link = cast("Link", self._parts.watched.link)
        tree = self._parts.tree
        branch = [] if tree.broker is None else [tree.broker]
        faults = [] if tree.chaos is None else [tree.faults()]
        self._root = Supervisor("pod", [*branch, *tree.rooms.children(), *faults])
        self._environment = self._parts.tree.clients.environment

    # Life ----------------------------------------------------------------------------------

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to run, as tasks of this pod."""
        self.do(nursery.start_soon, self._run)

    async def _run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery, self.running = nursery, True
                    nursery.start_soon(self._look)
                    await self._root.run(lambda: None)
                    nursery.cancel_scope.cancel()
        finally:
            self._ended.set()

    async def _look(self) -> None:
        while True:
            await trio.sleep(LOOK)
            for client in list(self.clients.values()):
                client.look()

    def crash(self) -> None:
        """Die in this moment, without a word to anybody."""
        self._network.abandon(self.number)
        for client in self.clients.values():
            client.vanish()
        self.clients.clear()
        self._fall_silent()
        self._scope.cancel()

    def stop(self) -> None:
        """Stop as it is told to: its clients go first."""
        for number in list(self.clients):
            self.do(self.depart, number)
        self._fall_silent()
        self.do(self._root.request_stop, "stopped")

    async def ended(self) -> None:
        """Return when nothing of it runs any more."""
        await self._ended.wait()

    def do(self, what: Callable[..., object], *args: object) -> None:
        """Do something as a task of this pod would: what it starts belongs to it."""
        self._context.run(what, *args)

    # What it says itself --------------------------------------------------------------------

    def announce(self) -> None:
        """Say something to everybody, as code of the application would."""
        self._announced += 1
        said = Spoken(trio.current_time(), self._voice, self.number, EVERYBODY, self._announced)
        self._history.append(said)
        self.do(self._nursery.start_soon, self._tell_everybody, self._announced)

    async def _tell_everybody(self, number: int) -> None:
        receipt = await self._parts.hub.send_to_all(SAID, {"by": self._voice, "number": number})
        answer = Answered(trio.current_time(), self._voice, number, receipt.scope.value)
        self._history.append(answer)

    def _fall_silent(self) -> None:
        """Say nothing more: nobody is owed an answer."""
        self._history.append(Gone(trio.current_time(), self._voice, None))

    # Clients -------------------------------------------------------------------------------

    def welcome(self, number: int, name: str) -> Visit:
        """Let a client come."""
        client = self._visit(
            name, self.number, self._environment, self._history, self._since, self._healed
        )
        self.clients[number] = client
        self.do(client.come, self._nursery)
        return client

    def depart(self, number: int) -> None:
        """Let a client go."""
        self.clients.pop(number).go()

    def _since(self, wall: float) -> float:
        return wall - EPOCH - self._skew

    def standing(self) -> Linked:
        """Say how its link stands, and how many others it counts."""
        state = self._link.state
        return Linked(trio.current_time(), self.number, state.breaker.state.value, len(state.peers))

    def people(self, room: str) -> list[str]:
        """Return the users that it knows to be in a room, where that room tracks them."""
        roster = self._parts.watched.rooms.roster(room)
        people = None if roster is None else roster.people
        return [] if people is None else [person.user for person in people]

    @property
    def chaos(self) -> Injector | None:
        """What breaks it from inside, where it takes that."""
        return self._parts.watched.chaos

    def view(self, live: int) -> View:
        """Say how this pod sees the others."""
        degraded = self._link.state.degraded
        code = "" if degraded is None else degraded.code.value
        return View(trio.current_time(), self.number, len(self._link.state.peers), live, code)
