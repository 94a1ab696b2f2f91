"""What a supervisor knows of each of its children, and how one incarnation of one is run."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs
import trio

from ..actors import Exit, contained, failure_of
from ..config import get_logger
from .child import Child, ChildSpec
from .description import Node, Status, node_of
from .errors import StartTimeout

__all__ = ["ChildRecord", "ChildrenView"]

_log = get_logger("realtime")


@attrs.define(eq=False)
class ChildRecord:
    """One child as its supervisor holds it; small, for a pod holds ten thousand.

    `exit` is how the last incarnation ended. A `final` child will not live again.
    """

    spec: ChildSpec
    child: Child
    status: Status = Status.STOPPED
    incarnation: int = 0
    exit: Exit | None = None
    stop_reason: str | None = None
    final: bool = False
    came_up: bool = False
    """Whether the last incarnation has started."""
    _scope: trio.CancelScope | None = None

    @property
    def alive(self) -> bool:
        """Whether a task runs it, or will in a moment."""
        return self.status in (Status.STARTING, Status.RUNNING, Status.STOPPING)

    def prepare(self) -> None:
        """Forget an earlier stop: a task that calls `run` is about to be started."""
        self.stop_reason = None
        self.status = Status.STARTING

    async def run(self, on_up: Callable[["ChildRecord"], None]) -> None:
        """Run one incarnation and note its exit; what the child raises ends here.

        Only the caller's own cancellation passes through.
        """
        ended = Exit.killed("cancelled with its supervisor")
        try:
            # One scope is both clocks of a child: its deadline is that of the start, later that
            # of the stop. It costs no task and no timer of our own.
            with trio.CancelScope(deadline=trio.current_time() + self.spec.startup) as scope:
                self._scope = scope
                if self.stop_reason is None:  # else stopped before this task's first turn
                    self.incarnation += 1
                    self.status, self.came_up = Status.STARTING, False
                    await self.child.run(partial(self._came_up, on_up))
            ended = self._ended(scope)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this child's crash
            ended = Exit.crashed(failure_of(error))
        finally:
            self.exit = ended
            self._scope = None
            self.status = Status.STOPPED

    async def back_off(self, seconds: float) -> None:
        """Wait before the next incarnation; a stop ends the wait."""
        self.status = Status.BACKING_OFF
        with trio.CancelScope() as self._scope:
            await trio.sleep(max(0.0, seconds))  # it may be due already: clocks move on
        self._scope = None
        self.status = Status.STOPPED

    def stop(self, reason: str) -> None:
        """Ask the child to end; it is killed when it still runs after its `shutdown` seconds."""
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        scope, backing_off = self._scope, self.status is Status.BACKING_OFF
        if self.alive:
            self.status = Status.STOPPING
        if scope is None:
            return  # its task has not had its first turn and will see the reason
        if backing_off or not self._ask_to_stop(reason):
            scope.cancel()
        scope.deadline = trio.current_time() + self.spec.shutdown

    def settle(self, exit: Exit) -> None:  # noqa: A002
        """Tell the child that it will not live again; `exit` is for one that never lived."""
        try:
            self.child.terminated(self.exit or exit)
        except BaseException as error:  # noqa: BLE001 - must not take the siblings with it
            _log.error("terminated() failed", path=self.child.path, exc_info=contained(error))

    def node(self) -> Node:
        """Draw the child."""
        node = attrs.evolve(
            node_of(self.child),
            status=self.status,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
        )
        if self.exit is None or not self.exit.abnormal:
            return node
        return attrs.evolve(node, detail={**node.detail, "last_exit": self.exit.reason})

    def _came_up(self, on_up: Callable[["ChildRecord"], None]) -> None:
        if self.status is Status.STARTING and self._scope is not None:
            self.status, self.came_up = Status.RUNNING, True
            self._scope.deadline = math.inf
            on_up(self)

    def _ask_to_stop(self, reason: str) -> bool:
        try:
            self.child.request_stop(reason)
        except BaseException as error:  # noqa: BLE001 - then it is killed
            _log.error("request_stop() failed", path=self.child.path, exc_info=contained(error))
            return False
        return True

    def _ended(self, scope: trio.CancelScope) -> Exit:
        stopped, killed = self.stop_reason is not None, scope.cancelled_caught
        if not killed:
            return Exit.shutdown(self.stop_reason or "") if stopped else Exit.normal()
        if stopped:
            return Exit.killed(f"still ran {self.spec.shutdown:g} s after it was asked to stop")
        return Exit.crashed(
            StartTimeout(
                f"{self.child.path} did not call started() within {self.spec.startup:g} s; "
                "call it as soon as the child is up, or raise `startup` in its ChildSpec."
            )
        )


class ChildrenView(Mapping[str, Child]):
    """A supervisor's children by name, in start order; a live view."""

    def __init__(self, records: Mapping[str, ChildRecord]) -> None:
        self._records = records

    def __getitem__(self, name: str) -> Child:
        return self._records[name].child

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def each(self) -> Iterator[Child]:
        """Yield the children; `values()` finds each anew by its name, which ten thousand feel."""
        return (record.child for record in self._records.values())

    def __len__(self) -> int:
        return len(self._records)
