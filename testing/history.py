"""What clients of a test were told, written down, and judged as the simulator's are."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

import trio

from ..client import (
    JSON,
    Client,
    ClientError,
    ClientEvent,
    ClientReceipt,
    Degraded,
    Gap,
    Healed,
    Refused,
)
from ..supervisors import Pod
from ..tools.oracle import (
    RULES,
    Answered,
    Began,
    Calm,
    Entered,
    Gone,
    Hearing,
    Met,
    Record,
    Spoken,
    Told,
    Violation,
    judge,
)

__all__ = ["History", "ReadEvent", "RecordedClient", "read_plainly"]

LOOK: Final = 0.02
"""Seconds between looks whom the pods know."""
SHOWN: Final = 10
"""Violations that are told in full."""
_ASKS_MORE: Final = frozenset({"membership", "healing", "cause", "well"})
JUDGED: Final = tuple(rule for rule in RULES if rule not in _ASKS_MORE)
"""What is judged unless a test says otherwise. The others ask what pods think at the end, and what
went wrong when, which nobody writes down here."""

ReadEvent: TypeAlias = Callable[[ClientEvent], tuple[str, int] | None]
"""Reads who has said an event and which of his it is; None is for one that nobody asks about."""


def read_plainly(event: ClientEvent) -> tuple[str, int] | None:
    """Read the `by` and `number` that `RecordedClient.say` has put into what it said."""
    data = event.data
    if not isinstance(data, dict):
        return None
    by, number = data.get("by"), data.get("number")
    return (by, number) if isinstance(by, str) and isinstance(number, int) else None


class RecordedClient:
    """A client in a room, all of whose words and hearings are written down. Made by `History`."""

    def __init__(self, history: History, name: str, client: Client, pod: int, room: str) -> None:
        self.name = name
        self.client = client
        self.room = room
        self._history = history
        self._pod = pod
        self._said = 0

    async def say(self, event: str = "said", **data: JSON) -> ClientReceipt | None:
        """Say something that a room passes on with the `by` and `number` that are put into it.

        Returns the receipt, or None when there is none; what the pod refuses is written down and
        raises nothing, for a rule judges it.
        """
        self._said += 1
        number, write = self._said, self._history.write
        write(Spoken(self._history.now, self.name, self._pod, self.room, number))
        said: dict[str, JSON] = {**data, "by": self.name, "number": number}
        try:
            receipt = await self.client.emit(self.room, event, said)
        except Refused as refused:
            write(Answered(self._history.now, self.name, number, f"error:{refused.code}"))
            return None
        except ClientError:
            return None
        members = -1 if receipt.members is None else receipt.members
        write(Answered(self._history.now, self.name, number, receipt.scope.value, members))
        return receipt

    async def leave(self) -> None:
        """Leave the room."""
        self._history.write(Gone(self._history.now, self.name, self.room))
        await self.client.leave(self.room)


class History:
    """Writes down what speakers say and are told. `check()` at the end judges it.

    Times are seconds since it began; tasks of its own are in `nursery`.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.records: list[Record] = []
        self._nursery = nursery
        self._began = trio.current_time()
        self._wall = time.time()
        self._pods: dict[str, int] = {}
        self._seen: list[Pod] = []
        self._speakers = 0
        nursery.start_soon(self._look)

    @property
    def now(self) -> float:
        """Seconds since the history began."""
        return trio.current_time() - self._began

    def write(self, record: Record) -> None:
        """Write a record down."""
        self.records.append(record)

    async def enter(
        self, client: Client, pod: Pod, room: str, *, read: ReadEvent = read_plainly
    ) -> RecordedClient:
        """Let a client of a pod into a room, and write down all that it hears there.

        `read` says of an event who has said it, where a room passes on something else than it got.
        """
        number = self._number_of(pod)
        self._speakers += 1
        name = f"client{self._speakers}"
        await client.join(room)
        self.write(Entered(self.now, name, number, room))
        self._nursery.start_soon(self._hear, name, client, room, read)
        self._nursery.start_soon(self._be_told, name, client)
        return RecordedClient(self, name, client, number, room)

    def calm(self) -> None:
        """Note that nothing is wrong any more: what is said from now on is to reach all."""
        self.write(Calm(self.now))

    def judge(self, rules: Collection[str] = JUDGED) -> Sequence[Violation]:
        """Return all that broke one of these rules of `deployd.tools.oracle`."""
        return judge(self.records, rules)

    def check(self, rules: Collection[str] = JUDGED) -> None:
        """Raise `AssertionError` with what broke a rule."""
        found = self.judge(rules)
        if found:
            more = f"\n… and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise AssertionError("\n".join(map(str, found[:SHOWN])) + more)

    # Inside ----------------------------------------------------------------------------------

    def _number_of(self, pod: Pod) -> int:
        if pod.pod_id not in self._pods:
            self._pods[pod.pod_id] = len(self._pods)
            self._seen.append(pod)
            self.write(Began(self.now, self._pods[pod.pod_id]))
            self._meet()
        return self._pods[pod.pod_id]

    async def _look(self) -> None:
        while True:
            self._meet()
            await trio.sleep(LOOK)

    def _meet(self) -> None:
        """Note which pods can know of which: nobody is owed the words of one that is unknown."""
        known = {(r.pod, r.other) for r in self.records if isinstance(r, Met)}
        for pod in self._seen:
            number = self._pods[pod.pod_id]
            for other in () if pod.link is None else pod.link.state.peers.known:
                there = self._pods.get(other)
                if there is not None and (number, there) not in known:
                    self.write(Met(self.now, number, there))

    async def _hear(self, name: str, client: Client, room: str, read: ReadEvent) -> None:
        async for event in client.events(room):
            said = read(event)
            if said is not None:
                self.write(Hearing(self.now, name, room, *said))

    async def _be_told(self, name: str, client: Client) -> None:
        async for outage in client.outages():
            self.write(self._told(name, outage))

    def _told(self, name: str, outage: Degraded | Gap | Healed) -> Told:
        since, until, missed = outage.since - self._wall, None, 0
        room, code = None, "missed"
        if isinstance(outage, Gap):
            room, missed = outage.room, outage.missed
            until = None if outage.whole_at is None else outage.whole_at - self._wall
        else:
            code = outage.code.value
        if isinstance(outage, Healed):
            until, missed = since + outage.seconds, outage.missed
        return Told(self.now, name, room, code, since, until, missed)
