"""A supervisor whose children come and go: connections by the ten thousand, rooms."""

import contextvars
import math
import random as random_module
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import attrs
import trio

from ..config import get_logger
from ..transport import JSON
from .base import BaseSupervisor, CrashLog
from .child import Child, ChildSpec
from .description import Status
from .errors import InvalidSpec, NameTaken, NotRunning, TooManyChildren
from .record import ChildRecord
from .restart import Intensity, Restart, RestartState, Subject, came_up

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


class DynamicSupervisor(BaseSupervisor):
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
        super().__init__(path, intensity, clock, random)
        self._max_children = max_children
        self._pacing = pacing
        self._states: dict[str, RestartState] = {}
        self._crash_log = CrashLog(clock, burst=20, period=10.0)
        self._nursery: trio.Nursery | None = None
        self._context = contextvars.Context()
        self._given_up = 0
        self._stop_asked = trio.Event()

    def __len__(self) -> int:
        return len(self._records)

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
        self._states.clear()
        self._context = contextvars.copy_context()
        try:
            with self._incarnated():
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
            self._stop_asked = trio.Event()

    def request_stop(self, reason: str) -> None:
        """Start no more children and stop all there are, newest first, paced."""
        self._affinity.check("request_stop")
        if self._stop_reason is None:
            self._stop_reason = reason
            self._status = Status.STOPPING
            self._nursery = None
            self._stop_asked.set()

    def _shown(self) -> Iterable[ChildRecord]:
        """Return at most 500 children, those not well first."""
        unwell_first = sorted(self._records.values(), key=lambda r: r.status is Status.RUNNING)
        return islice(unwell_first, _SHOWN)

    def _detail(self) -> Mapping[str, JSON]:
        return {
            "count": len(self._records),
            "max_children": self._max_children,
            "given_up": self._given_up,
        }

    # One child's task ------------------------------------------------------------------------

    def _launch(self, record: ChildRecord, nursery: trio.Nursery) -> None:
        # A task's context, with what its lines say of it, is that of whoever starts it: here the
        # supervisor, and not the client's or the application's task that happened to ask.
        self._context.run(super()._launch, record, nursery)

    async def _live(self, record: ChildRecord) -> None:
        try:
            while True:
                await record.run(self._came_up)
                due = self._next_start(record)
                if due is None:
                    break
                await record.back_off(due - self._clock())  # `run` sees a stop that ends the wait
        finally:
            record.status = Status.STOPPED
            if record.final:
                self._forget(record)

    def _next_start(self, record: ChildRecord) -> float | None:
        """Note how an incarnation ended; return when there is to be another, None if never."""
        self._note_end(record, self._crash_log)
        if record.final or self._stop_reason is not None:
            return None
        due = self._decide(record)
        record.final = due is None
        return due

    def _came_up(self, record: ChildRecord) -> None:
        state = self._states.get(record.spec.name)
        if state is not None:  # it has crashed before, so its quiet time counts
            self._states[record.spec.name] = came_up(state, record.spec.name, self._clock())

    def _decide(self, record: ChildRecord) -> float | None:
        """Return when the child is to live again, or None."""
        spec = record.spec
        state = self._states.get(spec.name) or RestartState(
            (Subject(spec.name, spec.restart, spec.backoff, spec.tireless),),
            intensity=self._intensity,
        )
        self._states[spec.name], decision = self._decided(state, record, self._clock())
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

    def _forget(self, record: ChildRecord) -> None:
        self._states.pop(record.spec.name, None)
        super()._forget(record)

    async def _stop_all(self, reason: str) -> None:
        newest_first = list(reversed(self._records.values()))
        batch = self._pacing.batch(len(newest_first))
        for asked, record in enumerate(newest_first):
            if asked and asked % batch == 0:
                # Jittered, or several pods that stop together would send their clients off in step.
                await trio.sleep(_STEP * (0.5 + self._random()))
            record.stop(reason)
