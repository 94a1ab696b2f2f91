"""What a supervisor starts, and what it knows of each of its children."""

import enum
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import attrs
import orjson
import trio

from ..actors import ActorStatistics, Exit, contained, error_text, failure_of
from ..config import get_logger
from ..transport import JSON
from .backoff import Backoff
from .errors import InvalidSpec, StartTimeout
from .restart import Restart

__all__ = [
    "Child",
    "ChildRecord",
    "ChildSpec",
    "ChildrenView",
    "Node",
    "Restart",
    "Service",
    "Status",
    "node_to_json",
]

_log = get_logger("realtime")
_BACKOFF = Backoff()  # frozen, so all specifications may share it


class Child(Protocol):
    """What can be supervised: an `ActorCell`, a `Service`, another supervisor."""

    @property
    def path(self) -> str:
        """Where it hangs in the tree: names joined by slashes."""

    async def run(self, started: Callable[[], None]) -> None:
        """Live once. Call `started` when up; return for a normal exit, raise for a crash."""

    def request_stop(self, reason: str) -> None:
        """Ask the running incarnation to end soon; `run` then returns."""

    def terminated(self, exit: Exit) -> None:  # noqa: A002 - OTP's word
        """Learn that there will be no other incarnation."""


@runtime_checkable
class Measured(Protocol):
    """A child that says how it is doing, as actors do."""

    def statistics(self) -> ActorStatistics:
        """Return its counters."""


@runtime_checkable
class Described(Protocol):
    """A child that draws its own node, as supervisors do."""

    def describe(self) -> "Node":
        """Return its node; its supervisor fills in status and incarnation."""


@attrs.frozen
class ChildSpec:
    """How to start, restart and stop one child. Times are seconds.

    `factory` is called once, with the child's path: the object survives restarts, its `run` is
    called again. A child that is not up after `startup` is killed and counts as crashed; one
    that still runs `shutdown` after it was asked to stop is killed. A supervisor's own
    specification needs a `shutdown` above the sum of its children's, or `math.inf`.

    A `tireless` child is never given up, however often it crashes, and so never takes its siblings
    with it: they can do without it, and its backoff bounds what its crashes cost.
    """

    name: str
    factory: Callable[[str], Child]
    restart: Restart = Restart.PERMANENT
    shutdown: float = 5.0
    backoff: Backoff = _BACKOFF
    startup: float = 30.0
    tireless: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.name:
            raise InvalidSpec("A child's name is empty; its path needs one.")
        if self.shutdown < 0 or self.startup <= 0:
            raise InvalidSpec(f"'{self.name}': give shutdown 0 s or more and startup above 0 s.")


class Service:
    """A child made from a coroutine function that is not an actor.

    The function gets `started` and must call it when it is up. `request_stop` cancels it, which
    is a normal exit.
    """

    __slots__ = ("_run", "_scope", "path")

    def __init__(self, path: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self.path = path
        self._run = run
        self._scope: trio.CancelScope | None = None

    async def run(self, started: Callable[[], None]) -> None:
        """Run the function once."""
        with trio.CancelScope() as self._scope:
            await self._run(started)

    def request_stop(self, reason: str) -> None:
        """Cancel the function."""
        if self._scope is not None:
            self._scope.cancel()

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Do nothing: nobody monitors a service."""


class Status(enum.StrEnum):
    """What a child is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


@attrs.frozen
class Node:
    """One child in a picture of the tree. `detail` holds what its kind wants to add."""

    path: str
    kind: str
    status: Status = Status.STOPPED
    incarnation: int = 0
    restarts: int = 0
    statistics: ActorStatistics | None = None
    children: tuple["Node", ...] = ()
    detail: Mapping[str, JSON] = attrs.field(factory=dict)


def node_to_json(node: Node) -> dict[str, JSON]:
    """Return the picture of a tree as JSON: one object a node, with the names of `Node`."""
    statistics = None
    if node.statistics is not None:  # its detail is the node's
        statistics = attrs.asdict(node.statistics, filter=attrs.filters.exclude("detail"))
    return {
        "path": node.path,
        "kind": node.kind,
        "status": node.status.value,
        "incarnation": node.incarnation,
        "restarts": node.restarts,
        "statistics": statistics,
        "children": [node_to_json(child) for child in node.children],
        "detail": _as_json(node.detail),
    }


def _as_json(detail: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what an actor says of itself, or why it cannot be shown: the others' can."""
    try:
        orjson.dumps(detail)
    except TypeError as error:
        return {"describe": error_text(error)}
    return dict(detail)


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
                    self.status = Status.STARTING
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
            _node_of(self.child),
            status=self.status,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
        )
        if self.exit is None or not self.exit.abnormal:
            return node
        return attrs.evolve(node, detail={**node.detail, "last_exit": self.exit.reason})

    def _came_up(self, on_up: Callable[["ChildRecord"], None]) -> None:
        if self.status is Status.STARTING and self._scope is not None:
            self.status = Status.RUNNING
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


def settle_all(records: dict[str, ChildRecord], exit: Exit) -> None:  # noqa: A002
    """Tell all children, newest first, that none of them will live again, and forget them."""
    while records:
        _, record = records.popitem()
        record.settle(exit)


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


def _node_of(child: Child) -> Node:
    try:
        return _drawn(child)
    except BaseException as error:  # noqa: BLE001 - whoever looks at the tree must see the rest
        return Node(child.path, type(child).__name__, detail={"describe": error_text(error)})


def _drawn(child: Child) -> Node:
    if isinstance(child, Described):
        return child.describe()
    if isinstance(child, Measured):
        statistics = child.statistics()
        return Node(child.path, statistics.kind, statistics=statistics, detail=statistics.detail)
    return Node(path=child.path, kind=type(child).__name__)
