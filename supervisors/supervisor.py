"""A supervisor with a fixed set of children: it acts on what `restart.decide` decides."""

import math
import random as random_module
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import trio

from ..transport import JSON
from .base import BaseSupervisor, CrashLog
from .child import ChildSpec
from .description import Status
from .errors import IntensityExceeded, InvalidSpec
from .record import ChildRecord
from .restart import Decision, Intensity, Restart, RestartState, Strategy, Subject, came_up

__all__ = ["Supervisor"]


@attrs.define
class _Sequence:
    """Children to start one after another, the first not before `due`."""

    due: float
    names: deque[str]


class Supervisor(BaseSupervisor):
    """A supervisor with the children that it was made with, in that order.

    Children start in order, each waited for until it is up or has failed; they stop in reverse,
    each with its own deadline. `started` is called when each was tried once: a child that failed
    is backing off then, so a broken world does not hold up the boot.

    One task decides everything, driven by a queue of what happened: at most two entries wait for
    each child. Nothing here waits for one child while another could be served.
    """

    def __init__(
        self,
        path: str,
        children: Sequence[ChildSpec],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008 - frozen
        clock: Callable[[], float] = trio.current_time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        super().__init__(path, intensity, clock, random)
        self._strategy = strategy
        for spec in children:
            if spec.name in self._records:
                raise InvalidSpec(f"{path} has two children named '{spec.name}'; rename one.")
            self._records[spec.name] = ChildRecord(spec, spec.factory(f"{path}/{spec.name}"))
        self._crash_logs = {name: CrashLog(clock) for name in self._records}
        self._reset()

    def _reset(self) -> None:
        self._state = RestartState((), self._strategy, self._intensity)
        self._happened: deque[Callable[[], None]] = deque()
        self._wake = trio.Event()
        self._stopping: deque[ChildRecord] = deque()
        self._sequences: list[_Sequence] = []
        self._quitting = False
        self._failure: IntensityExceeded | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Supervise until `request_stop`. Raises `IntensityExceeded` when it gives up.

        A run after another begins with a clean sheet; temporary children that have lived
        are gone.
        """
        self._reset()
        try:
            with self._incarnated():
                async with trio.open_nursery() as nursery:
                    await self._supervise(nursery, started)
        finally:
            self._forget_temporary()
        if self._failure is not None:
            raise self._failure

    def request_stop(self, reason: str) -> None:
        """Stop all children in reverse order; `run` then returns."""
        self._affinity.check("request_stop")
        self._stop_reason = reason
        self._wake.set()

    def _detail(self) -> Mapping[str, JSON]:
        return {
            "strategy": self._strategy.value,
            "recent_restarts": len(self._state.recent),
            "intensity": self._intensity.restarts,
            "period": self._intensity.period,
        }

    # The loop ------------------------------------------------------------------------------

    async def _supervise(self, nursery: trio.Nursery, started: Callable[[], None]) -> None:
        boot = _Sequence(self._clock(), deque(self._records))
        self._sequences.append(boot)
        self._state = attrs.evolve(
            self._state, children=tuple(_subject(r.spec) for r in self._records.values())
        )
        while True:
            self._take_in()
            self._advance(nursery)
            if self._status is Status.STARTING and not boot.names and not self._quitting:
                self._status = Status.RUNNING
                started()
            if self._quitting and not self._stopping:
                return
            await self._wait()

    def _take_in(self) -> None:
        """Handle all that happened before anything is done about it: no exit is then stale."""
        while self._happened:
            self._happened.popleft()()
        if self._stop_reason is not None and not self._quitting:
            self._quit(tuple(reversed(self._records)))

    def _advance(self, nursery: trio.Nursery) -> None:
        self._stop_next()
        if not self._stopping:
            self._start_due(nursery)

    async def _wait(self) -> None:
        with trio.move_on_after(max(0.0, self._next_due() - self._clock())):
            await self._wake.wait()
        self._wake = trio.Event()

    def _next_due(self) -> float:
        if self._stopping:
            return math.inf
        waiting = (s.due for s in self._sequences if not self._records[s.names[0]].alive)
        return min(waiting, default=math.inf)

    # What happened -------------------------------------------------------------------------

    async def _live(self, record: ChildRecord) -> None:
        try:
            await record.run(lambda record: self._post(partial(self._came_up, record)))
        finally:
            self._post(partial(self._exited, record))

    def _post(self, event: Callable[[], None]) -> None:
        self._happened.append(event)
        self._wake.set()

    def _came_up(self, record: ChildRecord) -> None:
        self._state = came_up(self._state, record.spec.name, self._clock())

    def _exited(self, record: ChildRecord) -> None:
        self._note_end(record, self._crash_logs[record.spec.name])
        if record not in self._stopping:
            self._decide(record)
        if record.final:
            self._forget(record)

    def _decide(self, record: ChildRecord) -> None:
        now = self._clock()
        self._state, decision = self._decided(self._state, record, now)
        for gone in decision.forget:
            self._records[gone].final = True
        if decision.escalate is not None:
            self._escalate(decision.escalate, decision.stop, record)
            return
        self._schedule({record.spec.name, *decision.stop}, decision)
        if decision.start and decision.due > now:
            record.status = Status.BACKING_OFF

    def _schedule(self, affected: set[str], decision: Decision) -> None:
        for sequence in self._sequences:
            sequence.names = deque(n for n in sequence.names if n not in affected)
        self._sequences = [s for s in self._sequences if s.names]
        if decision.start:
            self._sequences.append(_Sequence(decision.due, deque(decision.start)))
        self._stop(decision.stop)

    def _stop(self, names: Sequence[str]) -> None:
        # Who is in line already stands before who is added: rest_for_one adds earlier children.
        self._stopping.extend(self._records[name] for name in names)

    def _quit(self, names: Sequence[str]) -> None:
        self._quitting = True
        self._status = Status.STOPPING
        self._sequences.clear()
        self._stop(names)

    def _escalate(self, why: str, others: Sequence[str], record: ChildRecord) -> None:
        self._failure = IntensityExceeded(
            f"{self.path} gives up: {why}. "
            "Mend what the log says above, or allow more with Intensity(restarts, period)."
        )
        self._failure.__cause__ = None if record.exit is None else record.exit.error
        self._quit(others)

    # What is done about it -------------------------------------------------------------------

    def _stop_next(self) -> None:
        """Ask the next in line to stop; those before it have ended."""
        while self._stopping:
            record = self._stopping[0]
            if record.alive:
                record.stop(self._stop_reason or "stopped with a sibling")
                return
            record.status = Status.STOPPED
            self._stopping.popleft()

    def _start_due(self, nursery: trio.Nursery) -> None:
        now = self._clock()
        for sequence in self._sequences:
            while sequence.names:
                record = self._records[sequence.names[0]]
                if record.status is not Status.RUNNING:
                    if not record.alive and sequence.due <= now:
                        self._launch(record, nursery)
                    break
                sequence.names.popleft()
        self._sequences = [s for s in self._sequences if s.names]

    def _forget_temporary(self) -> None:
        for record in list(self._records.values()):
            if record.spec.restart is Restart.TEMPORARY and record.incarnation:
                self._forget(record)


def _subject(spec: ChildSpec) -> Subject:
    return Subject(spec.name, spec.restart, spec.backoff, spec.tireless)
