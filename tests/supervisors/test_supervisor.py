from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.actors import (
    JSON,
    Actor,
    ActorCell,
    DeadLetters,
    EnvironmentFailure,
    Exit,
    ExitKind,
    handles,
)
from deployd.supervisors import (
    Backoff,
    Child,
    ChildSpec,
    Intensity,
    IntensityExceeded,
    InvalidSpec,
    Node,
    Restart,
    Service,
    StartTimeout,
    Status,
    Strategy,
    Supervisor,
    node_to_json,
)

REST, ALL = Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL


class Journal:
    """What happened to all children of a test, in order, with trio's time."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def say(self, line: str) -> None:
        self.lines.append((trio.current_time(), line))

    def __str__(self) -> str:
        return ", ".join(line for _, line in self.lines)

    def times(self, line: str) -> list[float]:
        return [at for at, said in self.lines if said == line]

    def clear(self) -> None:
        self.lines.clear()


Life = Callable[["Scripted", Callable[[], None]], Awaitable[None]]
Script = Life | Sequence[Life]


class Scripted:
    """A child whose incarnations follow a script; the last of it is repeated."""

    def __init__(self, path: str, journal: Journal, lives: Sequence[Life]) -> None:
        self.path = path
        self.name = path.rpartition("/")[2]
        self.journal = journal
        self.lives = list(lives) or [well]
        self.count = 0
        self.asked = trio.Event()
        self.crash: trio.Event = trio.Event()
        self.exits: list[Exit] = []

    async def run(self, started: Callable[[], None]) -> None:
        self.asked, self.crash = trio.Event(), trio.Event()
        life = self.lives[min(self.count, len(self.lives) - 1)]
        self.count += 1
        self.journal.say(f"{self.name} starts")
        try:
            await life(self, started)
        finally:
            self.journal.say(f"{self.name} ends")

    def request_stop(self, reason: str) -> None:
        self.asked.set()

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        self.exits.append(exit)


async def well(child: Scripted, started: Callable[[], None]) -> None:
    """Run until asked to stop, or until the test says crash."""
    started()
    child.journal.say(f"{child.name} up")
    async with trio.open_nursery() as nursery:

        async def crash() -> None:
            await child.crash.wait()
            raise ValueError("told to crash")

        nursery.start_soon(crash)
        await child.asked.wait()
        nursery.cancel_scope.cancel()


async def deaf(child: Scripted, started: Callable[[], None]) -> None:
    started()
    await trio.sleep_forever()


async def mute(child: Scripted, started: Callable[[], None]) -> None:
    await child.asked.wait()


async def bug(child: Scripted, started: Callable[[], None]) -> None:
    raise ValueError("bug")


async def refused(child: Scripted, started: Callable[[], None]) -> None:
    raise EnvironmentFailure("connection refused")


async def finish(child: Scripted, started: Callable[[], None]) -> None:
    started()


def slowly(seconds: float, then: Life) -> Life:
    async def life(child: Scripted, started: Callable[[], None]) -> None:
        with trio.move_on_after(seconds):
            await child.asked.wait()
            return
        await then(child, started)

    return life


def up_for(seconds: float, then: Life) -> Life:
    async def life(child: Scripted, started: Callable[[], None]) -> None:
        started()
        await slowly(seconds, then)(child, lambda: None)

    return life


def stops_in(seconds: float) -> Life:
    async def life(child: Scripted, started: Callable[[], None]) -> None:
        started()
        await child.asked.wait()
        await trio.sleep(seconds)

    return life


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture
def journal() -> Journal:
    return Journal()


class Tree:
    """A supervisor of scripted children, by name."""

    def __init__(
        self,
        journal: Journal,
        scripts: Mapping[str, Script],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        **specs: dict[str, object],
    ) -> None:
        self.journal = journal
        self.children: dict[str, Scripted] = {}

        def factory(script: Script) -> Callable[[str], Child]:
            def make(path: str) -> Child:
                lives = [script] if callable(script) else script
                child = Scripted(path, journal, lives)
                self.children[child.name] = child
                return child

            return make

        self.supervisor = Supervisor(
            "pod",
            [
                ChildSpec(name, factory(script), **specs.get(name, {}))  # type: ignore[arg-type]
                for name, script in scripts.items()
            ],
            strategy=strategy,
            intensity=intensity or Intensity(),
            random=lambda: 0.5,
        )

    def __getitem__(self, name: str) -> Scripted:
        return self.children[name]

    def statuses(self) -> dict[str, str]:
        nodes = self.supervisor.describe().children
        return {node.path.rpartition("/")[2]: node.status.value for node in nodes}

    async def crash(self, *names: str) -> None:
        for name in names:
            self[name].crash.set()
        await wait_all_tasks_blocked()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with trio.fail_after(1_000_000):  # of fake time: a hang becomes a failure
            async with trio.open_nursery() as nursery:
                await nursery.start(self.run)
                yield
                self.supervisor.request_stop("the test is over")

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self.supervisor.run(task_status.started)


# Starting ------------------------------------------------------------------------------------


async def test_children_start_in_order_each_when_the_one_before_is_up(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": slowly(1.0, well), "b": slowly(2.0, well), "c": well})
    async with tree.running():
        assert str(journal) == "a starts, a up, b starts, b up, c starts, c up"
        assert journal.times("b starts") == [1.0]
        assert journal.times("c starts") == [3.0]


async def test_a_broken_world_does_not_hold_up_the_boot(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "link": refused, "c": well})
    async with tree.running():
        assert tree.statuses() == {"a": "running", "link": "backing off", "c": "running"}
        await trio.sleep(3600)
        assert tree.statuses() == {"a": "running", "link": "backing off", "c": "running"}
        assert tree["link"].count > 3600 / 5.0


@pytest.mark.parametrize("strategy", [REST, ALL])
async def test_dependants_of_a_broken_world_wait_for_it(
    autojump_clock: MockClock, journal: Journal, strategy: Strategy
) -> None:
    tree = Tree(journal, {"a": [refused, refused, well], "b": well}, strategy=strategy)
    async with tree.running():
        assert str(journal) == "a starts, a ends"
        await trio.sleep(5)
        assert str(journal).endswith("a starts, a up, b starts, b up")


async def test_a_bug_at_the_first_start_is_retried_and_then_escalates(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": bug})
    with pytest.raises(IntensityExceeded, match="'b' ended 4 times within 5 s") as caught:
        await tree.supervisor.run(lambda: None)
    assert isinstance(caught.value.__cause__, ValueError)
    assert tree["b"].count == 4
    assert str(journal).endswith("b starts, b ends, a ends")


async def test_a_child_that_never_comes_up_is_killed_and_tried_again(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": [deaf_start, well]}, a={"startup": 10.0})
    with capture_logs() as logs:
        async with tree.running():
            await trio.sleep(11)
            assert tree.statuses() == {"a": "running"}
            assert journal.times("a ends") == [10.0]
    assert "did not call started() within 10 s" in logs[0]["reason"]
    assert isinstance(logs[0]["exc_info"], StartTimeout)


async def deaf_start(child: Scripted, started: Callable[[], None]) -> None:
    await trio.sleep_forever()


async def test_time_to_start_is_not_counted_once_a_child_is_up(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well}, a={"startup": 10.0})
    async with tree.running():
        await trio.sleep(100)
        assert tree["a"].count == 1


async def test_a_supervisor_without_children_is_up_at_once_and_stops(
    autojump_clock: MockClock, journal: Journal
) -> None:
    async with Tree(journal, {}).running():
        pass


async def test_two_children_of_one_name_are_refused(
    autojump_clock: MockClock, journal: Journal
) -> None:
    spec = ChildSpec("a", lambda path: Scripted(path, journal, []))
    with pytest.raises(InvalidSpec, match="two children named 'a'"):
        Supervisor("pod", [spec, spec])


# Stopping ------------------------------------------------------------------------------------


async def test_children_stop_in_reverse_order_one_after_another(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": stops_in(1), "b": stops_in(2), "c": stops_in(3)})
    async with tree.running():
        journal.clear()
    assert journal.lines == [(3.0, "c ends"), (5.0, "b ends"), (6.0, "a ends")]


async def test_a_stuck_child_is_killed_after_its_own_deadline(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(
        journal, {"a": deaf, "b": deaf, "c": well}, a={"shutdown": 2.0}, b={"shutdown": 3.0}
    )
    with capture_logs() as logs:
        async with tree.running():
            journal.clear()
    assert journal.lines == [(0.0, "c ends"), (3.0, "b ends"), (5.0, "a ends")]
    assert [(log["event"], log["path"]) for log in logs] == [
        ("child killed", "pod/b"),
        ("child killed", "pod/a"),
    ]


async def test_an_endless_deadline_is_waited_for(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": stops_in(10_000)}, a={"shutdown": math.inf})
    async with tree.running():
        pass
    assert journal.times("a ends") == [10_000.0]


async def test_a_stop_during_the_boot_starts_nobody_else(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": mute, "c": well})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tree.run)
        await wait_all_tasks_blocked()
        tree.supervisor.request_stop("changed my mind")
    assert str(journal) == "a starts, a up, b starts, b ends, a ends"


async def test_a_stop_before_the_first_turn_ends_the_run_at_once(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well})
    tree.supervisor.request_stop("early")
    await tree.supervisor.run(lambda: None)
    assert str(journal) == ""


async def test_a_stop_while_backing_off_does_not_wait_for_it(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": refused}, a={"backoff": Backoff(base=100, cap=100)})
    async with tree.running():
        pass
    assert trio.current_time() < 1.0
    assert tree.statuses() == {"a": "stopped"}


async def test_a_crash_while_stopping_restarts_nobody(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": [fails_to_stop]})
    with capture_logs() as logs:
        async with tree.running():
            pass
    assert (tree["a"].count, tree["b"].count) == (1, 1)
    assert [log["path"] for log in logs] == ["pod/b"]


async def fails_to_stop(child: Scripted, started: Callable[[], None]) -> None:
    started()
    await child.asked.wait()
    raise ValueError("bug in on_stop")


async def test_cancelling_the_supervisor_cancels_its_children_promptly(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": deaf, "b": well})
    with trio.move_on_after(1) as scope:
        await tree.supervisor.run(lambda: None)
    assert scope.cancelled_caught
    assert trio.current_time() == 1.0
    assert journal.times("a ends") == [1.0]


async def test_a_child_that_crashes_while_cancelled_does_not_show_outside(
    autojump_clock: MockClock, journal: Journal
) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("bug in a finally clause")

    async def life(child: Scripted, started: Callable[[], None]) -> None:
        started()
        async with trio.open_nursery() as nursery:  # raises both Cancelled and the bug
            nursery.start_soon(fails_when_cancelled)
            await trio.sleep_forever()

    tree = Tree(journal, {"a": life})
    with trio.move_on_after(1) as scope:
        await tree.supervisor.run(lambda: None)
    assert scope.cancelled_caught


# Restarting ----------------------------------------------------------------------------------


async def test_one_for_one_restarts_the_one_that_crashed(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": well, "c": well})
    async with tree.running():
        journal.clear()
        await tree.crash("b")
        assert str(journal) == "b ends, b starts, b up"


async def test_rest_for_one_restarts_those_started_after_it(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": well, "c": well, "d": well}, strategy=REST)
    async with tree.running():
        journal.clear()
        await tree.crash("b")
        assert str(journal) == (
            "b ends, d ends, c ends, b starts, b up, c starts, c up, d starts, d up"
        )


async def test_one_for_all_restarts_everyone(autojump_clock: MockClock, journal: Journal) -> None:
    tree = Tree(journal, {"a": well, "b": well, "c": well}, strategy=ALL)
    async with tree.running():
        journal.clear()
        await tree.crash("b")
        assert str(journal) == (
            "b ends, c ends, a ends, a starts, a up, b starts, b up, c starts, c up"
        )


async def test_a_group_that_crashes_at_once_counts_as_one_crash(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": well}, strategy=ALL, intensity=Intensity(1, 5.0))
    async with tree.running():
        await tree.crash("a", "b")
        assert (tree["a"].count, tree["b"].count) == (2, 2)


async def test_a_stuck_sibling_is_killed_before_the_group_starts_again(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": deaf}, strategy=REST, b={"shutdown": 2.0})
    async with tree.running():
        journal.clear()
        await tree.crash("a")
        await trio.sleep(2)
        await wait_all_tasks_blocked()
        assert journal.lines[:3] == [(0.0, "a ends"), (2.0, "b ends"), (2.0, "a starts")]


async def test_a_permanent_child_that_ends_is_restarted_and_a_transient_is_not(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(
        journal,
        {"a": [up_for(1, finish), well], "b": [up_for(1, finish)]},
        b={"restart": Restart.TRANSIENT},
    )
    async with tree.running():
        await trio.sleep(2)
        assert tree.statuses() == {"a": "running", "b": "stopped"}
        assert (tree["a"].count, tree["b"].count) == (2, 1)
        assert tree["b"].exits == []


async def test_a_transient_that_finishes_while_booting_lets_the_boot_go_on(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(journal, {"a": finish, "b": well}, a={"restart": Restart.TRANSIENT})
    async with tree.running():
        assert tree.statuses() == {"a": "stopped", "b": "running"}


async def test_a_temporary_child_is_forgotten_and_told_so(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": [up_for(1, bug)]}, a={"restart": Restart.TEMPORARY})
    async with tree.running():
        await trio.sleep(2)
        assert list(tree.supervisor.children) == []
        assert [ended.kind for ended in tree["a"].exits] == [ExitKind.CRASHED]


async def test_a_temporary_sibling_is_stopped_and_told_that_it_is_over(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": well}, strategy=REST, b={"restart": Restart.TEMPORARY})
    async with tree.running():
        await tree.crash("a")
        assert list(tree.supervisor.children) == ["a"]
        assert [ended.kind for ended in tree["b"].exits] == [ExitKind.SHUTDOWN]


async def test_restarts_wait_longer_each_time_and_quiet_resets_them(
    autojump_clock: MockClock, journal: Journal
) -> None:
    lives = [refused, refused, refused, refused, up_for(30, bug), well]
    tree = Tree(journal, {"a": lives})
    async with tree.running():
        await trio.sleep(60)
        starts = journal.times("a starts")
        waits = [late - early for early, late in pairwise(starts)]
        assert waits == pytest.approx([0.025, 0.05, 0.1, 0.2, 30.0])


async def test_while_one_child_backs_off_another_is_restarted(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": refused, "b": well}, a={"backoff": Backoff(base=100, cap=100)})
    async with tree.running():
        await tree.crash("b")
        assert tree["b"].count == 2
        assert tree["a"].count == 1


async def test_a_slow_start_of_one_child_does_not_hold_up_anothers_restart(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(journal, {"a": [well, slowly(20, well)], "b": well})
    async with tree.running():
        await tree.crash("a")
        assert tree.statuses() == {"a": "starting", "b": "running"}
        await tree.crash("b")
        assert tree["b"].count == 2
        assert tree.statuses() == {"a": "starting", "b": "running"}


async def test_a_second_crash_during_a_restart_is_another_restart(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": [well, bug, well], "c": well}, strategy=REST)
    async with tree.running():
        journal.clear()
        await tree.crash("a")
        await trio.sleep(1)
        assert str(journal) == (
            "a ends, c ends, b ends, a starts, a up, b starts, b ends, "
            "b starts, b up, c starts, c up"
        )


async def test_an_earlier_crash_during_a_group_restart_restarts_the_larger_group(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    lives: dict[str, Script] = {"a": well, "b": well, "c": [stops_in(3), well]}
    tree = Tree(journal, lives, strategy=REST)
    async with tree.running():
        journal.clear()
        await tree.crash("b")  # c takes three seconds to stop, meanwhile:
        await tree.crash("a")
        await trio.sleep(4)
        assert str(journal) == (
            "b ends, a ends, c ends, a starts, a up, b starts, b up, c starts, c up"
        )


async def test_a_crash_while_the_group_backs_off_brings_everyone_back_once(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    lives: dict[str, Script] = {"a": well, "b": [well, refused, well], "c": well}
    tree = Tree(journal, lives, strategy=REST, b={"backoff": Backoff(base=4, cap=8)})
    async with tree.running():
        await tree.crash("b")  # restarted at once, refused, then waits 4 s
        journal.clear()
        await tree.crash("a")
        await trio.sleep(10)
        assert str(journal) == "a ends, a starts, a up, b starts, b up, c starts, c up"


async def test_a_temporary_sibling_interrupted_while_starting_is_started_again(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(
        journal,
        {"a": [up_for(1, bug), well], "t": [slowly(5, well), well]},
        strategy=REST,
        t={"restart": Restart.TEMPORARY},
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tree.run)
        await trio.sleep(2)
        assert tree.statuses() == {"a": "running", "t": "running"}
        tree.supervisor.request_stop("over")
    assert tree["t"].count == 2


async def test_a_second_run_starts_all_but_the_temporary_again(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": well, "b": well, "t": well}, t={"restart": Restart.TEMPORARY})
    async with tree.running():
        pass
    assert [ended.kind for ended in tree["t"].exits] == [ExitKind.SHUTDOWN]
    assert tree["a"].exits == tree["b"].exits == []
    journal.clear()
    async with tree.running():
        await trio.sleep(1)
        assert str(journal) == "a starts, a up, b starts, b up"


# Escalating ----------------------------------------------------------------------------------


async def test_escalation_stops_the_others_in_reverse_and_raises_the_reason(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(journal, {"a": well, "b": up_for(1, bug), "c": well}, intensity=Intensity(1, 5))
    with pytest.raises(IntensityExceeded, match="pod gives up: 'b'") as caught:
        await tree.supervisor.run(lambda: None)
    assert str(caught.value.__cause__) == "bug"
    assert str(journal).endswith("b ends, c ends, a ends")


async def test_a_supervisor_that_gave_up_is_restarted_by_its_own_with_a_clean_sheet(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    inner = Tree(journal, {"a": [bug, bug, well]}, intensity=Intensity(1, 60))
    outer = Supervisor("root", [ChildSpec("pod", lambda _: inner.supervisor)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outer.run, lambda: None)
        await trio.sleep(1)
        (node,) = outer.describe().children
        assert (node.status, node.restarts) == (Status.RUNNING, 1)
        assert node.detail["recent_restarts"] == 0
        assert inner["a"].count == 3
        outer.request_stop("over")
    assert inner["a"].exits == []
    outer.terminated(Exit.shutdown("over"))
    assert [ended.kind for ended in inner["a"].exits] == [ExitKind.SHUTDOWN]


async def test_a_broken_world_never_escalates_whatever_the_intensity(
    autojump_clock: MockClock, journal: Journal
) -> None:
    async def grouped(child: Scripted, started: Callable[[], None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, child, started)

    tree = Tree(journal, {"a": grouped}, intensity=Intensity(0, 5.0))
    async with tree.running():
        await trio.sleep(600)
        assert tree.statuses() == {"a": "backing off"}


async def test_nested_supervisors_stop_from_the_leaves_up(
    autojump_clock: MockClock, journal: Journal
) -> None:
    inner = Tree(journal, {"x": stops_in(1), "y": stops_in(1)})
    outer = Supervisor(
        "root",
        [
            ChildSpec("first", lambda path: Scripted(path, journal, [well])),
            ChildSpec("pod", lambda _: inner.supervisor, shutdown=math.inf),
        ],
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outer.run, lambda: None)
        await wait_all_tasks_blocked()
        journal.clear()
        outer.request_stop("over")
    assert str(journal) == "y ends, x ends, first ends"


# Logging -------------------------------------------------------------------------------------


async def test_a_crash_is_logged_once_with_its_place_and_traceback(
    autojump_clock: MockClock, journal: Journal
) -> None:
    tree = Tree(journal, {"a": [up_for(1, bug), well]})
    with capture_logs() as logs:
        async with tree.running():
            await trio.sleep(2)
    (log,) = logs
    assert log["log_level"] == "warning"
    assert (log["path"], log["incarnation"], log["reason"]) == ("pod/a", 1, "ValueError: bug")
    assert isinstance(log["exc_info"], ValueError)


async def test_a_storm_is_logged_at_a_limited_rate_and_the_rest_counted(
    autojump_clock: MockClock,
    journal: Journal,
) -> None:
    tree = Tree(journal, {"a": refused})
    with capture_logs() as logs:
        async with tree.running():
            await trio.sleep(600)
    assert tree["a"].count > 200
    assert len(logs) <= 5 * 11
    assert sum(log["suppressed"] for log in logs) + len(logs) > tree["a"].count - 30
    assert all(log["exc_info"] is None for log in logs)


async def test_a_childs_faulty_callbacks_do_not_reach_its_siblings(
    autojump_clock: MockClock, journal: Journal
) -> None:
    class Faulty(Scripted):
        def request_stop(self, reason: str) -> None:
            raise ValueError("bug in request_stop")

        def terminated(self, exit: Exit) -> None:  # noqa: A002
            raise ValueError("bug in terminated")

    sibling = Scripted("pod/a", journal, [well])
    supervisor = Supervisor(
        "pod",
        [
            ChildSpec("a", lambda _: sibling),
            ChildSpec("b", lambda path: Faulty(path, journal, [deaf]), shutdown=math.inf),
        ],
    )
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run, lambda: None)
            await wait_all_tasks_blocked()
            supervisor.request_stop("over")
        supervisor.terminated(Exit.shutdown())
    assert str(journal).endswith("b ends, a ends")
    assert len(sibling.exits) == 1
    assert [log["event"] for log in logs] == [
        "request_stop() failed",
        "child killed",
        "terminated() failed",
    ]


# The picture ---------------------------------------------------------------------------------


async def test_the_tree_can_be_drawn_as_json(autojump_clock: MockClock, journal: Journal) -> None:
    tree = Tree(journal, {"a": [up_for(1, bug), well], "b": refused})
    async with tree.running():
        await trio.sleep(2)
        picture = node_to_json(tree.supervisor.describe())
    child: dict[str, JSON] = {"kind": "Scripted", "statistics": None, "children": []}
    assert picture == {
        "path": "pod",
        "kind": "Supervisor",
        "status": "running",
        "incarnation": 1,
        "restarts": 0,
        "statistics": None,
        "children": [
            {
                **child,
                "path": "pod/a",
                "status": "running",
                "incarnation": 2,
                "restarts": 1,
                "detail": {"last_exit": "ValueError: bug"},
            },
            {
                **child,
                "path": "pod/b",
                "status": "backing off",
                "incarnation": tree["b"].count,
                "restarts": tree["b"].count - 1,
                "detail": {"last_exit": "EnvironmentFailure: connection refused"},
            },
        ],
        "detail": {
            "strategy": "one_for_one",
            "recent_restarts": 1,
            "intensity": 3,
            "period": 5.0,
        },
    }
    assert json.loads(json.dumps(picture)) == picture


async def test_a_service_is_a_child_made_from_a_function(
    autojump_clock: MockClock, journal: Journal
) -> None:
    async def serve(started: Callable[[], None]) -> None:
        journal.say("serves")
        started()
        try:
            await trio.sleep_forever()
        finally:
            journal.say("served")

    service = Service("pod/http", serve)
    supervisor = Supervisor("pod", [ChildSpec("http", lambda _: service)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run, lambda: None)
        await wait_all_tasks_blocked()
        assert supervisor.describe().children == (
            Node("pod/http", "Service", Status.RUNNING, incarnation=1),
        )
        supervisor.request_stop("over")
    assert str(journal) == "serves, served"
    service.request_stop("again")  # harmless when it does not run


# With real actors ----------------------------------------------------------------------------


class Counter(Actor):
    def __init__(self) -> None:
        self.value = 0

    @handles(int)
    async def add(self, amount: int) -> None:
        self.value += 1 // amount


async def test_a_real_actor_crashes_is_restarted_and_stops(
    autojump_clock: MockClock, journal: Journal
) -> None:
    cell: ActorCell[int] = ActorCell("pod/counter", Counter, dead_letters=DeadLetters())
    supervisor = Supervisor("pod", [ChildSpec("counter", lambda _: cell)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run, lambda: None)
        await wait_all_tasks_blocked()
        cell.ref.tell(0)
        await trio.sleep(1)
        (node,) = supervisor.describe().children
        assert (node.kind, node.status, node.restarts) == ("Counter", Status.RUNNING, 2)
        assert node.statistics is not None
        assert node.statistics.poisoned == 1
        assert json.loads(json.dumps(node_to_json(node)))["statistics"]["poisoned"] == 1
        supervisor.request_stop("over")
    assert cell.ref.alive
    supervisor.terminated(Exit.shutdown("over"))
    assert not cell.ref.alive


def test_children_learn_newest_first_that_it_is_over() -> None:
    learned: list[str] = []

    class Last(Service):
        def terminated(self, exit: Exit) -> None:  # noqa: A002
            learned.append(self.path)

    async def run(started: Callable[[], None]) -> None:
        started()

    specs = [ChildSpec(name, lambda path: Last(path, run)) for name in "abc"]
    supervisor = Supervisor("pod", specs)
    supervisor.terminated(Exit.shutdown("over"))
    assert learned == ["pod/c", "pod/b", "pod/a"]
    assert not supervisor.children
