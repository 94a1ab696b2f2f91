"""Nothing that user code raises ends more than its actor: every place × every exception."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import structlog
import trio
import trio.testing
from attrs import frozen

from deployd.actors import (
    JSON,
    Actor,
    ActorCell,
    ActorError,
    ActorRef,
    Conflate,
    DeadLetters,
    Exit,
    ExitKind,
    Later,
    Mailbox,
    Overflow,
    Request,
    conflate,
    handles,
)
from deployd.supervisors import (
    ChildSpec,
    DynamicSupervisor,
    Node,
    Service,
    Supervisor,
    node_to_json,
)
from support.raised import RAISED, Unshowable, Untellable, nothing_escapes

Raise = Callable[[], BaseException]


def throw(raised: Raise) -> Any:
    raise raised()


@frozen
class Bad(Request[str]):
    """What the code under test fails on."""


@frozen
class Well(Request[str]):
    pass


class Good(Actor):
    """Whom nothing may happen to; the actors under test are made of it too."""

    attempts = 1
    raised: Raise

    @handles(Well)
    async def well(self, message: Well) -> str:
        return "well"

    @handles(Bad)
    async def bad(self, message: Bad) -> str:
        return "done"


class InInit(Good):
    def __init__(self) -> None:
        raise self.raised()


class InStart(Good):
    async def on_start(self) -> None:
        raise self.raised()


class InHandler(Good):
    async def bad(self, message: Bad) -> str:
        raise self.raised()


class InHandlerThatWaits(Good):
    async def bad(self, message: Bad) -> str:
        await trio.sleep(0.01)
        raise self.raised()


class InNurseryOfHandler(Good):
    async def bad(self, message: Bad) -> str:
        async def fail() -> None:
            raise self.raised()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
        return "trio's nurseries take any Cancelled for their own"


class InCleanUpOfHandler(Good):
    """Raises while it is cancelled, by a scope of its own."""

    async def bad(self, message: Bad) -> str:
        with trio.move_on_after(0.01):
            try:
                await trio.sleep(1)
            finally:
                throw(self.raised)
        return "and so do its scopes that are cancelled"


class InIdle(Good):
    async def on_idle(self) -> None:
        raise self.raised()


class Listens(Good):
    def call_away(self) -> None:
        """Be called away by nobody."""


class InListening(Listens):
    def listen(self) -> Awaitable[None]:
        raise self.raised()


class WhileListening(Listens):
    async def listen(self) -> None:
        await trio.sleep(0.01)
        raise self.raised()


class InAround(Good):
    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        raise self.raised()


class BesideLoop(Good):
    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop)
            await trio.sleep(0.01)
            raise self.raised()


class AfterLoop(Good):
    async def bad(self, message: Bad) -> str:
        self.stop()
        return "stopped"

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        await loop()
        raise self.raised()


class InAfter(Good):
    async def bad(self, message: Bad) -> str:
        self.after(0.01, self.fail)
        return "set"

    async def fail(self) -> None:
        raise self.raised()


class InEvery(InAfter):
    async def bad(self, message: Bad) -> str:
        self.every(0.01, self.fail)
        return "set"


class InTimerThatIsNoCoroutine(Good):
    async def bad(self, message: Bad) -> str:
        self.after(0.01, self.fail)
        return "set"

    def fail(self) -> Any:
        raise self.raised()


class InStop(Good):
    async def bad(self, message: Bad) -> str:
        self.stop()
        return "stopped"

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        raise self.raised()


class InStopAfterCrash(InStop):
    async def bad(self, message: Bad) -> str:
        raise ValueError("first")


class InLost(Good):
    async def bad(self, message: Bad) -> str:
        raise ValueError("first")

    def on_lost(self, message: object, error: Exception) -> None:
        raise self.raised()


class InNaming(InStopAfterCrash):
    def naming(self, message: object) -> Mapping[str, str]:
        raise self.raised()


class InDescribe(Good):
    def describe(self) -> Mapping[str, JSON]:
        raise self.raised()


class SaysNoJson(Good):
    def describe(self) -> Mapping[str, JSON]:
        return {"is": self.raised()}  # type: ignore[dict-item]


class FailsLater(Good):
    async def bad(self, message: Bad) -> Later[str]:  # type: ignore[override]
        later: Later[str] = Later()
        later.fail(ValueError("later"))
        raise self.raised()


ACTORS = [
    *(InInit, InStart, InHandler, InHandlerThatWaits, InNurseryOfHandler, InCleanUpOfHandler),
    *(
        InListening,
        WhileListening,
        InIdle,
        InAround,
        BesideLoop,
        AfterLoop,
        InAfter,
        InEvery,
        InTimerThatIsNoCoroutine,
    ),
    *(InStop, InStopAfterCrash, InLost, InNaming, InDescribe, SaysNoJson, FailsLater),
]
HOOKS = {"on_start", "on_stop", "on_idle", "around", "listen", "on_lost", "naming", "describe"}


def test_every_hook_of_an_actor_is_in_the_table() -> None:
    told = {"after", "every", "cancel", "stop", "wake", "blame", "bind", "handler_for"}
    told |= {"call_away"}  # not an author's: a sender's turn runs it
    public = {name for name, _ in inspect.getmembers(Actor, inspect.isfunction) if name[0] != "_"}
    assert public - told == HOOKS
    overridden = {name for one in ACTORS for name in vars(one)}
    assert overridden >= HOOKS


@pytest.fixture(params=RAISED)
def raised(request: pytest.FixtureRequest) -> Raise:
    return RAISED[request.param]


def cell_of(path: str, actor_class: type[Actor], **more: Any) -> ActorCell[Any]:
    return ActorCell(path, actor_class, dead_letters=DeadLetters(), **more)


@asynccontextmanager
async def beside_others(
    make: Callable[[str], Any],
) -> AsyncIterator[tuple[Supervisor, ActorRef[Any]]]:
    """Run a child with a good actor beside it, below supervisors; both must live on at the end."""
    good = cell_of("pod/dynamic/good", Good)
    dynamic = DynamicSupervisor("pod/dynamic")
    root = Supervisor("pod", [ChildSpec("dynamic", lambda _: dynamic)])
    with nothing_escapes():
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: root.run(task_status.started))
            dynamic.start_child(ChildSpec("good", lambda _: good))
            dynamic.start_child(ChildSpec("tried", make))
            yield root, good.ref
            assert await good.ref.ask(Well(), timeout=1) == "well"
            assert good.incarnation == 1
            assert dynamic.describe().incarnation == 1
            root.request_stop("the end")
        root.terminated(Exit.shutdown("the end"))
    assert not good.ref.alive


@pytest.mark.parametrize("actor_class", ACTORS, ids=lambda one: one.__name__)
async def test_what_an_actor_raises_ends_itself_and_is_answered(
    actor_class: type[Good], raised: Raise, autojump_clock: trio.testing.MockClock
) -> None:
    if raised is Unshowable and actor_class in (InNurseryOfHandler, BesideLoop):
        raised = Untellable
    tried = type(actor_class.__name__, (actor_class,), {"raised": staticmethod(raised)})
    cell = cell_of("pod/dynamic/tried", tried)
    with structlog.testing.capture_logs():
        async with beside_others(lambda _: cell) as (root, _):
            try:
                answer = await cell.ref.ask(Bad(), timeout=20)
            except ActorError:
                answer = None
            assert answer is None or isinstance(answer, str)
            await trio.sleep(20)
            orjson.dumps(node_to_json(root.describe()))
    assert not cell.ref.alive


async def test_an_incarnation_ends_with_an_exception_whatever_was_raised(raised: Raise) -> None:
    exits: list[Exit] = []

    class Sore(Good):
        async def bad(self, message: Bad) -> str:
            raise raised()

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            exits.append(exit)

    cell = cell_of("pod/sore", Sore)
    cell.ref.tell(Bad())
    with nothing_escapes(), pytest.raises(Exception):  # noqa: B017 - whichever it is
        await cell.run(lambda: None)
    assert [exit_.kind for exit_ in exits] == [ExitKind.CRASHED]
    assert isinstance(exits[0].error, Exception)
    assert [name for name, _ in cell.poison] == ["Bad"]
    orjson.dumps(cell.poison)


async def test_what_is_raised_at_the_end_hides_neither_the_end_nor_its_reason(
    raised: Raise,
) -> None:
    class Sore(Good):
        async def bad(self, message: Bad) -> str:
            raise ZeroDivisionError("first")

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            raise raised()

        def on_lost(self, message: object, error: Exception) -> None:
            raise raised()

        def describe(self) -> Mapping[str, JSON]:
            raise raised()

    def look() -> None:
        orjson.dumps(dict(cell.statistics().detail))

    cell, watcher = cell_of("pod/sore", Sore), cell_of("pod/watcher", Good)
    cell.ref.monitor(watcher.ref)
    cell.ref.tell(Bad())
    with structlog.testing.capture_logs() as lines, nothing_escapes():
        with pytest.raises(ZeroDivisionError, match="first"):
            await cell.run(look)
        cell.terminated(Exit.killed())
    assert watcher.ref.alive
    assert len(watcher.mailbox) == 1
    errors = [line["event"] for line in lines if line["log_level"] == "error"]
    assert errors == ["on_stop failed", "on_lost failed"]


async def test_real_cancellation_is_no_failure() -> None:
    class Sleeper(Good):
        async def bad(self, message: Bad) -> str:
            await trio.sleep(1)
            return "never"

    cell = cell_of("pod/sleeper", Sleeper)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: cell.run(task_status.started))
        cell.ref.tell(Bad())
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught


async def test_what_is_raised_amid_real_cancellation_is_told_and_the_task_still_ends(
    raised: Raise,
) -> None:
    class Sore(Good):
        async def bad(self, message: Bad) -> str:
            try:
                await trio.sleep(1)
            finally:
                throw(raised)
            return "never"

    dynamic = DynamicSupervisor("pod/dynamic")
    cell = cell_of("pod/dynamic/sore", Sore)
    with structlog.testing.capture_logs(), nothing_escapes():
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: dynamic.run(task_status.started))
            dynamic.start_child(ChildSpec("sore", lambda _: cell))
            cell.ref.tell(Bad())
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    dynamic.terminated(Exit.killed())
    assert not cell.ref.alive


# -- children that are no actors -----------------------------------------------------------------


class Failing:
    """A child that fails in one of the calls of its supervisor."""

    path = "pod/dynamic/tried"

    def __init__(self, place: str, raised: Raise) -> None:
        self._place = place
        self._raised = raised

    def _pass(self, place: str) -> None:
        if place == self._place:
            raise self._raised()

    async def run(self, started: Callable[[], None]) -> None:
        self._pass("before start")
        started()
        await trio.sleep(0.01)
        self._pass("run")
        await trio.sleep_forever()

    def request_stop(self, reason: str) -> None:
        self._pass("request_stop")

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        self._pass("terminated")

    def describe(self) -> Node:
        self._pass("describe")
        return Node(self.path, "Failing")


@pytest.mark.parametrize("place", ["before start", "run", "request_stop", "terminated", "describe"])
async def test_what_a_child_raises_harms_neither_its_supervisor_nor_its_siblings(
    place: str, raised: Raise, autojump_clock: trio.testing.MockClock
) -> None:
    with structlog.testing.capture_logs():
        async with beside_others(lambda _: Failing(place, raised)) as (root, _):
            await trio.sleep(20)
            orjson.dumps(node_to_json(root.describe()))


async def test_what_a_service_raises_does_not_either(
    raised: Raise, autojump_clock: trio.testing.MockClock
) -> None:
    async def serve(started: Callable[[], None]) -> None:
        raise raised()

    with structlog.testing.capture_logs():
        async with beside_others(lambda path: Service(path, serve)):
            await trio.sleep(20)


async def test_what_a_childs_factory_raises_is_for_who_started_it(raised: Raise) -> None:
    def make(path: str) -> Service:
        raise raised()

    dynamic = DynamicSupervisor("pod/dynamic")
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: dynamic.run(task_status.started))
        error = raised()
        with pytest.raises(type(error)):
            dynamic.start_child(ChildSpec("tried", make))
        assert len(dynamic) == 0
        dynamic.request_stop("the end")


# -- callbacks of who sends ----------------------------------------------------------------------


async def test_what_a_mailboxs_callbacks_raise_does_not_reach_who_sends(raised: Raise) -> None:
    def fail(*_: object) -> Any:
        raise raised()

    def unhashable(_: object) -> Any:
        return []

    overflows: list[Overflow | Conflate[Any]] = [
        *(Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.DISCONNECT),
        *(conflate(fail), conflate(unhashable)),
    ]
    for overflow in overflows:
        letters = DeadLetters()
        mailbox: Mailbox[Any] = Mailbox(max_messages=1, overflow=overflow, on_drop=fail)
        cell: ActorCell[Any] = ActorCell("pod/full", Good, mailbox=mailbox, dead_letters=letters)
        with nothing_escapes():
            for _ in range(3):
                cell.ref.tell(Well())
        assert letters.statistics().total >= 4  # what is lost, and what its callback raised
