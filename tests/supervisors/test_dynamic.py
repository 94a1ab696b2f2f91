from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.actors import (
    Actor,
    ActorCell,
    DeadLetters,
    Down,
    EnvironmentFailure,
    Exit,
    ExitKind,
    handles,
)
from deployd.supervisors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    InvalidSpec,
    NameTaken,
    NotRunning,
    Pacing,
    Restart,
    Status,
    Strategy,
    Supervisor,
    TooManyChildren,
)

TEMPORARY, TRANSIENT = Restart.TEMPORARY, Restart.TRANSIENT


class Worker:
    """Runs until told what to do: an error to raise, or None to finish."""

    def __init__(self, path: str, *, lag: float = 0.0, first: Exception | None = None) -> None:
        self.path = path
        self.lag = lag
        self.first = first
        self.starts: list[float] = []
        self.asked: list[float] = []
        self.exits: list[Exit] = []
        self.ended = math.nan
        self._orders, self._to_obey = trio.open_memory_channel[Exception | None](10)

    def tell(self, order: Exception | None) -> None:
        self._orders.send_nowait(order)

    async def run(self, started: Callable[[], None]) -> None:
        self.starts.append(trio.current_time())
        if self.first is not None:
            raise self.first
        started()
        order = await self._to_obey.receive()
        await trio.sleep(self.lag)
        if order is not None:
            raise order

    def request_stop(self, reason: str) -> None:
        self.asked.append(trio.current_time())
        self.tell(None)

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        self.exits.append(exit)
        self.ended = trio.current_time()


class Pool:
    """A dynamic supervisor and its workers."""

    def __init__(
        self, *, intensity: Intensity | None = None, pacing: Pacing | None = None, most: int = 100
    ) -> None:
        self.supervisor = DynamicSupervisor(
            "pool",
            max_children=most,
            intensity=intensity or Intensity(),
            pacing=pacing or Pacing(),
            random=lambda: 0.5,
        )

    def start(
        self,
        name: str,
        restart: Restart = Restart.PERMANENT,
        *,
        lag: float = 0.0,
        first: Exception | None = None,
        shutdown: float = 5.0,
        backoff: Backoff | None = None,
    ) -> Worker:
        spec = ChildSpec(
            name,
            lambda path: Worker(path, lag=lag, first=first),
            restart=restart,
            shutdown=shutdown,
            backoff=backoff or Backoff(),
        )
        worker = self.supervisor.start_child(spec)
        assert isinstance(worker, Worker)
        return worker

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self.supervisor.run(task_status.started)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with trio.fail_after(1_000_000):  # of fake time: a hang becomes a failure
            async with trio.open_nursery() as nursery:
                await nursery.start(self.run)
                yield
                self.supervisor.request_stop("the test is over")


async def crash(*workers: Worker, error: Exception | None = None) -> None:
    for worker in workers:
        worker.tell(error or ValueError("bug"))
    await wait_all_tasks_blocked()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


# Starting ------------------------------------------------------------------------------------


async def test_a_child_is_started_at_run_time_below_its_supervisors_path(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    async with pool.running():
        worker = pool.start("a")
        assert pool.supervisor.children["a"] is worker
        assert worker.path == "pool/a"
        assert len(pool.supervisor) == 1
        await wait_all_tasks_blocked()
        assert worker.starts == [0.0]


async def test_a_start_before_the_run_says_what_to_do(autojump_clock: MockClock) -> None:
    with pytest.raises(NotRunning, match=r"pool is stopped.*after it is up"):
        Pool().start("a")


async def test_a_start_while_stopping_is_refused(autojump_clock: MockClock) -> None:
    pool = Pool()
    async with pool.running():
        pool.supervisor.request_stop("over")
        with pytest.raises(NotRunning, match="pool is stopping"):
            pool.start("a")
    with pytest.raises(NotRunning, match=r"pool is stopped"):
        pool.start("a")


async def test_a_name_is_taken_until_its_child_has_ended(autojump_clock: MockClock) -> None:
    pool = Pool()
    async with pool.running():
        pool.start("a", lag=1.0)
        await wait_all_tasks_blocked()
        pool.supervisor.stop_child("a", "no longer needed")
        with pytest.raises(NameTaken, match="has a child 'a' already"):
            pool.start("a")
        await trio.sleep(2)
        pool.start("a")


async def test_there_is_a_limit_to_the_children(autojump_clock: MockClock) -> None:
    pool = Pool(most=2)
    async with pool.running():
        pool.start("a")
        pool.start("b")
        with pytest.raises(TooManyChildren, match="holds its 2 children"):
            pool.supervisor.start_child(ChildSpec("c", never_made))


def never_made(path: str) -> Worker:
    raise AssertionError("a child that may not start was made")


async def test_a_factory_that_fails_fails_its_caller_and_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    def broken(path: str) -> Worker:
        raise ValueError("no such room class")

    pool = Pool()
    async with pool.running():
        with pytest.raises(ValueError, match="no such room class"):
            pool.supervisor.start_child(ChildSpec("a", broken))
        assert len(pool.supervisor) == 0


# Ending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "order", "kind"),
    [
        (TEMPORARY, None, ExitKind.NORMAL),
        (TEMPORARY, ValueError("bug"), ExitKind.CRASHED),
        (TEMPORARY, EnvironmentFailure("reset by peer"), ExitKind.CRASHED),
        (TRANSIENT, None, ExitKind.NORMAL),
    ],
)
async def test_a_child_that_ended_for_good_is_removed_and_told_so(
    autojump_clock: MockClock, restart: Restart, order: Exception | None, kind: ExitKind
) -> None:
    pool = Pool()
    async with pool.running():
        worker = pool.start("a", restart)
        worker.tell(order)
        await wait_all_tasks_blocked()
        assert len(pool.supervisor) == 0
        assert [ended.kind for ended in worker.exits] == [kind]
        assert len(worker.starts) == 1


async def test_a_stopped_child_is_gone_whatever_its_kind(autojump_clock: MockClock) -> None:
    pool = Pool()
    async with pool.running():
        worker = pool.start("a")
        await wait_all_tasks_blocked()
        assert pool.supervisor.stop_child("a", "closed by an admin")
        await wait_all_tasks_blocked()
        assert worker.exits == [Exit.shutdown("closed by an admin")]
        assert not pool.supervisor.stop_child("a", "again")


async def test_a_child_stopped_before_its_first_turn_never_runs(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    async with pool.running():
        worker = pool.start("a")
        pool.supervisor.stop_child("a", "changed my mind")
        await wait_all_tasks_blocked()
        assert (worker.starts, worker.exits) == ([], [Exit.shutdown("changed my mind")])


async def test_a_child_stopped_while_it_backs_off_is_gone_at_once(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    async with pool.running():
        slow = Backoff(base=100, cap=100)
        worker = pool.start("a", first=EnvironmentFailure("refused"), backoff=slow)
        await wait_all_tasks_blocked()
        pool.supervisor.stop_child("a", "closed")
        await wait_all_tasks_blocked()
        assert (worker.exits, trio.current_time()) == ([Exit.shutdown("closed")], 0.0)
        assert len(worker.starts) == 1


async def test_a_child_that_does_not_stop_is_killed_after_its_deadline(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    async with pool.running():
        worker = pool.start("a", TEMPORARY, lag=math.inf, shutdown=2.0)
        await wait_all_tasks_blocked()
        pool.supervisor.stop_child("a", "closed")
        await trio.sleep(1.9)
        assert worker.exits == []
        await trio.sleep(0.2)
        assert [ended.kind for ended in worker.exits] == [ExitKind.KILLED]


# Restarting ----------------------------------------------------------------------------------


async def test_a_crash_restarts_one_child_and_leaves_the_others_alone(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    async with pool.running():
        a, b = pool.start("a"), pool.start("b", TRANSIENT)
        await crash(b)
        assert (len(a.starts), len(b.starts)) == (1, 2)
        assert b.exits == []


async def test_a_child_over_its_budget_is_given_up_alone(autojump_clock: MockClock) -> None:
    pool = Pool(intensity=Intensity(2, 5.0))
    with capture_logs() as logs:
        async with pool.running():
            good, bad = pool.start("good"), pool.start("bad", first=ValueError("bug"))
            await trio.sleep(5)
            assert list(pool.supervisor.children) == ["good"]
            assert len(bad.starts) == 3
            assert [ended.kind for ended in bad.exits] == [ExitKind.CRASHED]
            assert len(good.starts) == 1
            assert pool.supervisor.describe().detail["given_up"] == 1
    (error,) = [log for log in logs if log["log_level"] == "error"]
    assert (error["event"], error["path"]) == ("child given up", "pool/bad")
    assert "ended 3 times within 5 s" in error["why"]


async def test_each_child_has_a_budget_of_its_own(autojump_clock: MockClock) -> None:
    pool = Pool(intensity=Intensity(1, 5.0))
    async with pool.running():
        workers = [pool.start(str(number)) for number in range(10)]
        await crash(*workers)
        assert [len(worker.starts) for worker in workers] == [2] * 10


async def test_a_child_that_takes_over_a_name_begins_with_a_clean_sheet(
    autojump_clock: MockClock,
) -> None:
    pool = Pool(intensity=Intensity(1, 60.0))
    async with pool.running():
        for _ in range(2):
            worker = pool.start("a")
            await crash(worker)
            assert len(worker.starts) == 2
            pool.supervisor.stop_child("a", "replaced")
            await wait_all_tasks_blocked()


async def test_a_run_after_another_begins_with_a_clean_sheet(autojump_clock: MockClock) -> None:
    pool = Pool(intensity=Intensity(1, 60.0))
    async with pool.running():
        worker = pool.start("a")
        await crash(worker)
    async with pool.running():
        await crash(worker)
        assert list(pool.supervisor.children) == ["a"]


async def test_a_broken_world_never_costs_the_budget(autojump_clock: MockClock) -> None:
    pool = Pool(intensity=Intensity(0, 5.0))
    async with pool.running():
        link = pool.start("link", first=EnvironmentFailure("refused"))
        await trio.sleep(600)
        assert len(link.starts) > 600 / 5.0
        assert link.exits == []


async def test_waits_grow_and_a_quiet_time_resets_them(autojump_clock: MockClock) -> None:
    pool = Pool(intensity=Intensity(9, 5.0))
    async with pool.running():
        worker = pool.start("a")
        ends = []
        for quiet in (0, 1, 1, 31):
            await trio.sleep(quiet)
            ends.append(trio.current_time())
            await crash(worker)
            await trio.sleep(0.3)
        waits = [start - end for start, end in zip(worker.starts[1:], ends, strict=True)]
        assert waits == pytest.approx([0.0, 0.05, 0.1, 0.0])


async def test_a_storm_of_crashes_is_logged_at_a_limited_rate(autojump_clock: MockClock) -> None:
    pool = Pool(most=1000)
    with capture_logs() as logs:
        async with pool.running():
            workers = [pool.start(str(number), TEMPORARY) for number in range(1000)]
            await crash(*workers)
            assert len(pool.supervisor) == 0
    assert len(logs) == 20


# Stopping ------------------------------------------------------------------------------------


async def test_a_paced_stop_spreads_the_newest_first_evenly_over_its_window(
    autojump_clock: MockClock,
) -> None:
    pool = Pool(pacing=Pacing(window=0.5, min_batch=2))
    async with pool.running():
        workers = [pool.start(str(number), TEMPORARY) for number in range(20)]
        await wait_all_tasks_blocked()
    asked = [worker.asked[0] for worker in reversed(workers)]
    assert asked == pytest.approx([0.1 * (number // 4) for number in range(20)])
    assert all(worker.exits == [Exit.shutdown("the test is over")] for worker in workers)


async def test_a_few_children_do_not_take_the_whole_window(autojump_clock: MockClock) -> None:
    pool = Pool(pacing=Pacing(window=60.0))
    async with pool.running():
        for number in range(100):
            pool.start(str(number), TEMPORARY)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0.0


async def test_each_deadline_counts_from_the_childs_own_turn(autojump_clock: MockClock) -> None:
    pool = Pool(pacing=Pacing(window=0.2, min_batch=1))
    async with pool.running():
        workers = [pool.start(str(n), TEMPORARY, lag=math.inf, shutdown=1.0) for n in range(2)]
        await wait_all_tasks_blocked()
    assert [worker.ended for worker in workers] == pytest.approx([1.1, 1.0])


async def test_a_crash_during_a_paced_stop_restarts_nobody(autojump_clock: MockClock) -> None:
    pool = Pool(pacing=Pacing(window=10.0, min_batch=1))
    async with pool.running():
        old, _new = pool.start("old"), pool.start("new")
        await wait_all_tasks_blocked()
        pool.supervisor.request_stop("over")
        await crash(old)
        assert len(old.starts) == 1


@given(
    st.integers(0, 20_000),
    st.integers(0, 100).map(lambda tenths: tenths / 10),
    st.integers(1, 500),
)
def test_pacing_fits_its_window_and_is_never_slower_than_its_least_batch(
    total: int, window: float, least: int
) -> None:
    batch = Pacing(window, least).batch(total)
    assert batch >= least
    asked_at_the_latest = (math.ceil(total / batch) - 1) * 0.1
    assert asked_at_the_latest <= window + 1e-9
    if batch > least and window:
        assert math.ceil(total / (batch - 1)) * 0.1 > window


@pytest.mark.parametrize("values", [(-1.0, 1), (1.0, 0)])
def test_an_impossible_pacing_is_refused(values: tuple[float, int]) -> None:
    with pytest.raises(InvalidSpec):
        Pacing(*values)


async def test_cancelling_the_supervisor_cancels_its_children_promptly(
    autojump_clock: MockClock,
) -> None:
    pool = Pool()
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            brief, lasting = pool.start("brief", TEMPORARY), pool.start("lasting")
            await trio.sleep_forever()
    assert trio.current_time() == 1.0
    assert [ended.kind for ended in brief.exits] == [ExitKind.KILLED]
    assert (list(pool.supervisor.children), lasting.exits) == (["lasting"], [])


# As a child itself ---------------------------------------------------------------------------


async def test_restarted_with_its_group_it_brings_its_lasting_children_back(
    autojump_clock: MockClock,
) -> None:
    pool, first = Pool(), Worker("root/first")
    root = Supervisor(
        "root",
        [ChildSpec("first", lambda _: first), ChildSpec("pool", lambda _: pool.supervisor)],
        strategy=Strategy.REST_FOR_ONE,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run, lambda: None)
        await wait_all_tasks_blocked()
        room, connection = pool.start("room", TRANSIENT), pool.start("connection", TEMPORARY)
        stopped = pool.start("stopped")
        await wait_all_tasks_blocked()
        pool.supervisor.stop_child("stopped", "closed")
        await crash(first)
        await trio.sleep(1)
        assert list(pool.supervisor.children) == ["room"]
        assert (len(room.starts), room.exits) == (2, [])
        assert (len(connection.starts), len(connection.exits)) == (1, 1)
        assert len(stopped.exits) == 1
        root.request_stop("over")
    root.terminated(Exit.shutdown("over"))
    assert len(room.exits) == 1
    assert len(pool.supervisor) == 0


async def test_it_draws_a_bounded_number_of_children_the_unwell_first(
    autojump_clock: MockClock,
) -> None:
    pool = Pool(most=1000)
    async with pool.running():
        for number in range(600):
            pool.start(str(number), TEMPORARY)
        pool.start("sick", first=EnvironmentFailure("refused"))
        await wait_all_tasks_blocked()
        node = pool.supervisor.describe()
        assert (node.kind, node.status) == ("DynamicSupervisor", Status.RUNNING)
        assert node.detail["count"] == 601
        assert len(node.children) == 500
        assert node.children[0].path == "pool/sick"
        assert node.children[0].status is Status.BACKING_OFF
        assert node.children[1].path == "pool/0"


async def test_a_child_costs_one_task(autojump_clock: MockClock) -> None:
    pool = Pool()
    async with pool.running():
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        for number in range(50):
            pool.start(str(number), TEMPORARY)
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before + 50


# With real actors ----------------------------------------------------------------------------


class Room(Actor):
    @handles(str)
    async def say(self, message: str) -> None:
        if message == "bug":
            raise ValueError(message)


class Watcher(Actor):
    def __init__(self, seen: list[Down]) -> None:
        self.seen = seen

    @handles(Down)
    async def down(self, message: Down) -> None:
        self.seen.append(message)


async def test_watchers_learn_that_an_actor_was_given_up_and_its_neighbour_goes_on(
    autojump_clock: MockClock,
) -> None:
    letters, seen = DeadLetters(), list[Down]()
    cells: dict[str, ActorCell[str]] = {}

    def room(path: str) -> ActorCell[str]:
        return cells.setdefault(path, ActorCell(path, Room, dead_letters=letters))

    supervisor = DynamicSupervisor("rooms", intensity=Intensity(1, 60.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: supervisor.run(task_status.started))
        for name in ("bad", "good"):
            supervisor.start_child(ChildSpec(name, room, restart=TRANSIENT))
        watcher: ActorCell[Down] = ActorCell(
            "rooms/watcher", lambda: Watcher(seen), dead_letters=letters
        )
        supervisor.start_child(ChildSpec("watcher", lambda _: watcher))
        bad, good = cells["rooms/bad"].ref, cells["rooms/good"].ref
        bad.monitor(watcher.ref)
        bad.tell("bug")
        await trio.sleep(5)
        assert (bad.alive, good.alive, good.incarnation) == (False, True, 1)
        assert [down.ref for down in seen] == [bad]
        supervisor.request_stop("over")


async def test_a_restart_that_is_overdue_when_it_is_decided_happens_at_once(
    autojump_clock: MockClock,
) -> None:
    readings = itertools.count()  # a clock that moves on while the code between readings runs
    workers = [Worker("pool/a"), Worker("pool/b")]
    pool = DynamicSupervisor("pool", clock=lambda: float(next(readings)), intensity=Intensity(9))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, lambda: None)
        await wait_all_tasks_blocked()
        for worker in workers:
            pool.start_child(ChildSpec(worker.path[-1], lambda _, w=worker: w))  # type: ignore[misc]
        await wait_all_tasks_blocked()
        workers[0].tell(RuntimeError("on purpose"))
        await wait_all_tasks_blocked()
        assert [len(worker.starts) for worker in workers] == [2, 1]
        nursery.cancel_scope.cancel()
