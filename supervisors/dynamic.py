"""A supervisor whose children come and go: connections by the ten thousand, rooms."""

import contextvars
import math
import random as random_module
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import attrs
import trio

from ..actors import Affinity, Exit
from ..config import get_logger
from .child import Child, ChildRecord, ChildrenView, ChildSpec, Node, Restart, Status, settle_all
from .crash_log import CrashLog
from .errors import InvalidSpec, NameTaken, NotRunning, TooManyChildren
from .restart import Intensity, RestartState, Subject, came_up, decide

__all__ = ["DynamicSupervisor", "Pacing"]

_STEP = 0.1
"""Seconds between two batches of a paced stop."""

_SHOWN = 500
"""So many children at most are drawn; the node's detail says how many there are."""

_log = get_logger("realtime")


@attrs.frozen
class Pacing:
    """How fast children are asked to stop: evenly over `window` seconds, every 0.1 s a batch.

    A batch is never smaller than `min_batch`, so few children do not take the whole window.
    The default asks all at once.
    """

    window: float = 0.0
    min_batch: int = 100

    def __attrs_post_init__(self) -> None:
        if self.window < 0 or self.min_batch < 1:
            raise InvalidSpec(f"{self}: give a window of 0 s or more and a batch of 1 or more.")

    def batch(self, total: int) -> int:
        """Return how many of `total` children to ask to stop in each step of 0.1 s."""
        # Rounded, for 0.3 s are three steps and not 2.9999999999999996.
        steps = max(1, math.floor(round(self.window / _STEP, 6)))
        return max(self.min_batch, math.ceil(total / steps))


class DynamicSupervisor:
    """A supervisor of children that are added at run time, one_for_one.

    Each child has an intensity of its own: one that exceeds it is given up alone, its neighbours
    never notice and nothing escalates. A child that has ended for good is removed and told so.

    A child costs one task and one small record. The task runs all its incarnations and waits
    out its backoffs; a state for restarts is made when it first crashes.
    """

    def __init__(
        self,
        path: str,
        *,
        max_children: int = 100_000,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        pacing: Pacing = Pacing(),
        clock: Callable[[], float] = trio.current_time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.path = path
        self._max_children = max_children
        self._intensity = intensity
        self._pacing = pacing
        self._clock = clock
        self._random = random
        self._records: dict[str, ChildRecord] = {}
        self._states: dict[str, RestartState] = {}
        self._crash_log = CrashLog(clock, burst=20, period=10.0)
        self._nursery: trio.Nursery | None = None
        self._context = contextvars.Context()
        self._affinity = Affinity()
        self._status = Status.STOPPED
        self._incarnation = 0
        self._given_up = 0
        self.restarted = 0
        """Restarts of children after they ended, since this supervisor was made."""
        self._stop_reason: str | None = None
        self._stop_asked = trio.Event()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def children(self) -> ChildrenView:
        """The children by name, oldest first."""
        return ChildrenView(self._records)

    def start_child(self, spec: ChildSpec) -> Child:
        """Start a child and return it at once; it comes up in its own time.

        Raises `NotRunning`, `NameTaken`, `TooManyChildren`, `WrongThread`, and what the factory
        raises.
        """
        self._affinity.check("start_child")
        if self._nursery is None:
            raise NotRunning(
                f"{self.path} is {self._status.value} and starts no '{spec.name}'; "
                "start children after it is up and before it is asked to stop."
            )
        if spec.name in self._records:
            raise NameTaken(
                f"{self.path} has a child '{spec.name}' already; use that one, "
                "or wait for its end (monitor it) before starting another."
            )
        if len(self._records) >= self._max_children:
            raise TooManyChildren(
                f"{self.path} holds its {self._max_children} children already; "
                "wait until one ends, or raise max_children."
            )
        child = spec.factory(f"{self.path}/{spec.name}")
        record = ChildRecord(spec, child, final=spec.restart is Restart.TEMPORARY)
        self._records[spec.name] = record
        self._launch(record, self._nursery)
        return child

    def stop_child(self, name: str, reason: str) -> bool:
        """Ask a child to stop for good; false when there is none of that name.

        It ends within its `shutdown` seconds and is removed then, not now.
        """
        self._affinity.check("stop_child")
        record = self._records.get(name)
        if record is None:
            return False
        record.final = True
        record.stop(reason)
        return True

    async def run(self, started: Callable[[], None]) -> None:
        """Supervise until `request_stop`.

        Children that an earlier run left behind, all but the temporary, are started again.
        """
        self._incarnation += 1
        self._states.clear()
        self._context = contextvars.copy_context()
        try:
            async with trio.open_nursery() as self._nursery:
                for record in self._records.values():
                    self._launch(record, self._nursery)
                self._status = Status.RUNNING
                started()
                await self._stop_asked.wait()
                self._nursery = None  # it was set again when the stop came before this run
                await self._stop_all(self._stop_reason or "")
        finally:
            self._nursery = None
            self._status = Status.STOPPED
            self._stop_reason, self._stop_asked = None, trio.Event()

    def request_stop(self, reason: str) -> None:
        """Start no more children and stop all there are, newest first, paced."""
        self._affinity.check("request_stop")
        if self._stop_reason is None:
            self._stop_reason = reason
            self._status = Status.STOPPING
            self._nursery = None
            self._stop_asked.set()

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Tell the children that are left, newest first, that none of them will live again."""
        settle_all(self._records, exit)

    def describe(self) -> Node:
        """Draw the tree from here down: at most 500 children, those not well first."""
        return Node(
            path=self.path,
            kind=type(self).__name__,
            status=self._status,
            incarnation=self._incarnation,
            restarts=max(0, self._incarnation - 1),
            children=tuple(record.node() for record in islice(self._unwell_first(), _SHOWN)),
            detail={
                "count": len(self._records),
                "max_children": self._max_children,
                "given_up": self._given_up,
            },
        )

    # One child's task ------------------------------------------------------------------------

    def _launch(self, record: ChildRecord, nursery: trio.Nursery) -> None:
        record.prepare()
        # A task's context, with what its lines say of it, is that of whoever starts it: here the
        # supervisor, and not the client's or the application's task that happened to ask.
        start = partial(nursery.start_soon, self._live, record, name=record.child.path)
        self._context.run(start)

    async def _live(self, record: ChildRecord) -> None:
        try:
            while await self._live_once(record):
                pass
        finally:
            record.status = Status.STOPPED
            if record.final:
                self._remove(record)

    async def _live_once(self, record: ChildRecord) -> bool:
        """Run one incarnation, wait out its backoff, and say whether there is to be another."""
        await record.run(self._came_up)
        self._crash_log.report(record)
        if record.final or self._stop_reason is not None:
            return False
        due = self._decide(record)
        if due is None:
            record.final = True
            return False
        self.restarted += 1
        await record.back_off(due - self._clock())
        return True  # `run` sees a stop that ended the wait

    def _came_up(self, record: ChildRecord) -> None:
        state = self._states.get(record.spec.name)
        if state is not None:  # it has crashed before, so its quiet time counts
            self._states[record.spec.name] = came_up(state, record.spec.name, self._clock())

    def _decide(self, record: ChildRecord) -> float | None:
        """Return when the child is to live again, or None."""
        spec, ended = record.spec, record.exit or Exit.normal()
        state = self._states.get(spec.name) or RestartState(
            (Subject(spec.name, spec.restart, spec.backoff, spec.tireless),),
            intensity=self._intensity,
        )
        state, decision = decide(state, spec.name, ended, self._clock(), self._random)
        self._states[spec.name] = state
        if decision.escalate is not None:
            self._give_up(record, decision.escalate)
        return decision.due if decision.start else None

    def _give_up(self, record: ChildRecord, why: str) -> None:
        self._given_up += 1
        ended = record.exit
        _log.error(
            "child given up",
            path=record.child.path,
            incarnation=record.incarnation,
            why=why,
            reason="" if ended is None else ended.reason[:500],
        )

    def _remove(self, record: ChildRecord) -> None:
        del self._records[record.spec.name]
        self._states.pop(record.spec.name, None)
        record.settle(Exit.normal())

    async def _stop_all(self, reason: str) -> None:
        newest_first = list(reversed(self._records.values()))
        batch = self._pacing.batch(len(newest_first))
        for asked, record in enumerate(newest_first):
            if asked and asked % batch == 0:
                # Jittered, or several pods that stop together would send their clients off in step.
                await trio.sleep(_STEP * (0.5 + self._random()))
            record.stop(reason)

    def _unwell_first(self) -> Iterator[ChildRecord]:
        return iter(sorted(self._records.values(), key=lambda r: r.status is Status.RUNNING))
