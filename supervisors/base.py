"""What all supervisors share, whatever children they have and however they restart them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import trio

from ..actors import ActorCell, Affinity, EnvironmentFailure, Exit
from ..config import LogLimiter, get_logger
from ..transport import JSON
from .blame import own_frame
from .crashes import RecentCrashes
from .description import Node, Status
from .record import ChildRecord, ChildrenView
from .restart import Decision, Intensity, RestartState, decide, is_environment_failure

__all__ = ["BaseSupervisor", "CrashLog"]

_log = get_logger("realtime")


class BaseSupervisor(ABC):
    """A child that starts, restarts and stops children of its own.

    Here is what is the same for all: the children by name, what is decided of one that ended, its
    end for good, and the picture of it all. Who is started and stopped when is the subclass's:
    `run` and `request_stop`.
    """

    def __init__(
        self,
        path: str,
        intensity: Intensity,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.path = path
        self.restarted = 0
        """Restarts of children after they ended, since this supervisor was made."""
        self.crashes = RecentCrashes()
        """Which of them crash again and again."""
        self._intensity = intensity
        self._clock = clock
        self._random = random
        self._records: dict[str, ChildRecord] = {}
        self._affinity = Affinity()
        self._status = Status.STOPPED
        self._incarnation = 0
        self._stop_reason: str | None = None

    @property
    def children(self) -> ChildrenView:
        """The children by name, in start order."""
        return ChildrenView(self._records)

    def terminated(self, exit: Exit) -> None:  # noqa: A002 - OTP's word
        """Tell all children, newest first, that none of them will live again, and forget them."""
        while self._records:
            _, record = self._records.popitem()
            record.settle(exit)

    def describe(self) -> Node:
        """Draw the tree from here down."""
        return Node(
            path=self.path,
            kind=type(self).__name__,
            status=self._status,
            incarnation=self._incarnation,
            restarts=max(0, self._incarnation - 1),
            children=tuple(record.node() for record in self._shown()),
            detail=self._detail(),
        )

    # For subclasses --------------------------------------------------------------------------

    def _shown(self) -> Iterable[ChildRecord]:
        """Return the children to draw."""
        return self._records.values()

    @abstractmethod
    def _detail(self) -> Mapping[str, JSON]:
        """Return what the picture says of this supervisor itself."""

    @abstractmethod
    async def _live(self, record: ChildRecord) -> None:
        """Be the task of one child."""

    @contextmanager
    def _incarnated(self) -> Iterator[None]:
        """Be one incarnation of this supervisor for the length of the block."""
        self._incarnation += 1
        self._status = Status.STARTING
        try:
            yield
        finally:
            self._status = Status.STOPPED
            self._stop_reason = None

    def _launch(self, record: ChildRecord, nursery: trio.Nursery) -> None:
        """Start a child's task."""
        record.prepare()
        nursery.start_soon(self._live, record, name=record.child.path)

    def _decided(
        self, state: RestartState, record: ChildRecord, now: float
    ) -> tuple[RestartState, Decision]:
        """Decide what becomes of a child that has ended, and of its siblings; count a restart."""
        ended = record.exit or Exit.normal()
        state, decision = decide(state, record.spec.name, ended, now, self._random)
        self.restarted += bool(decision.start)
        return state, decision

    def _note_end(self, record: ChildRecord, log: "CrashLog") -> None:
        """Write down how a child's incarnation has ended, if that was not as it should be."""
        ended = record.exit
        if ended is None or not ended.abnormal:
            return
        if isinstance(ended.error, EnvironmentFailure) and ended.error.told:
            return
        self.crashes.note(record.child.path, ended.reason, self._clock())
        log.report(record, ended)

    def _forget(self, record: ChildRecord) -> None:
        """Let go of a child that will not live again, and tell it so."""
        del self._records[record.spec.name]
        record.settle(Exit.normal())


class CrashLog:
    """Says each crash once; a storm of them at most `burst` times in `period` seconds."""

    def __init__(self, clock: Callable[[], float], *, burst: int = 5, period: float = 60.0) -> None:
        self._clock = clock
        self._limiter = LogLimiter(burst, period)

    def report(self, record: ChildRecord, ended: Exit) -> None:
        """Log how the last incarnation ended."""
        suppressed = self._limiter.admit(self._clock())
        if suppressed is None:
            return
        # What the world did needs no traceback; what the code did is useless without.
        bug = None if is_environment_failure(ended.error) else ended.error
        at, child = own_frame(bug), record.child
        _log.warning(
            f"child {ended.kind.value}",
            path=child.path,
            **({} if at is None else {"at": at}),
            **(child.crashed_on if isinstance(child, ActorCell) else {}),
            incarnation=record.incarnation,
            reason=ended.reason[:500],
            suppressed=suppressed,
            exc_info=bug,
        )
