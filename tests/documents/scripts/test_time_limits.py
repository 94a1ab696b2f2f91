"""How long scripts may take, and that the worst of them hurt nobody.

Time is trio's mock clock, moved by hand: a thread's own work takes no time of it, and how long
the machine needs is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.documents import (
    ScriptError,
    ScriptOver,
    ScriptsBusy,
)
from deployd.documents.scripts import (
    AsyncContext,
    Script,
    ScriptRunner,
)
from deployd.documents.scripts.running import WAITING_PER_THREAD
from support.late_scripts import SECONDS, late
from support.scripts import FakePod, load, real_patience

pytestmark = pytest.mark.usefixtures("mock_clock")


@pytest.fixture
def pod() -> FakePod:
    return FakePod()


@pytest.fixture
def runner() -> ScriptRunner:
    return ScriptRunner(SECONDS, 1)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """What ends scripts that nothing else can; it is set at the end of a test."""
    event = threading.Event()
    yield event
    event.set()


# -- how long it may take ---------------------------------------------------------------------

SPINS = """
    def run(ctx):
        ctx.emit("started")
        while True: pass
    """


async def test_a_thread_that_never_ends_is_told_to_and_its_place_is_free_again(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, mock_clock: MockClock
) -> None:
    script = load(tmp_path, SPINS)
    with real_patience(), capture_logs() as logs:
        error = await late(runner, pod, mock_clock, script)
        quick = load(tmp_path, "def run(ctx): ctx.data['done'] = True")
        assert (await runner.run(quick, pod.context(quick))).data == {"done": True}
    assert error.line in (3, 4)
    assert f"line {error.line}" in str(error)
    assert error.sentence == "The script todos/post.py took too long."
    (log,) = logs
    assert (log["event"], log["script"], log["line"], log["seconds"]) == (
        "script took too long",
        "todos/post.py",
        error.line,
        SECONDS,
    )
    assert runner.statistics().threads == 0


async def test_a_thread_that_catches_everything_comes_to_nothing(
    runner: ScriptRunner,
    pod: FakePod,
    tmp_path: Path,
    mock_clock: MockClock,
    stop: threading.Event,
) -> None:
    source = """
        def run(ctx):
            while not stop.is_set():
                try:
                    if not caught: ctx.emit("started")
                    while not stop.is_set(): pass
                except BaseException as error:
                    caught.append(type(error).__name__)
                try:
                    ctx.emit("late")
                except BaseException as error:
                    caught.append(type(error).__name__)
                try:
                    ctx.collections.users.get()
                except BaseException as error:
                    caught.append(type(error).__name__)
                try:
                    ctx.log("late")
                except BaseException as error:
                    caught.append(type(error).__name__)
                token.run_sync_soon(tried.set)
        """
    caught: list[str] = []
    tried, token = trio.Event(), trio.lowlevel.current_trio_token()
    script = load(tmp_path, source, stop=stop, caught=caught, tried=tried, token=token)
    with real_patience(), capture_logs() as logs:
        await late(runner, pod, mock_clock, script)
        await tried.wait()
        stop.set()
        quick = load(tmp_path, "def run(ctx): pass")
        await runner.run(quick, pod.context(quick))
    assert set(caught) == {"Interrupted"}
    assert [event for event, _, _ in pod.emits] == ["started"]
    assert pod.asked == []
    assert [log["event"] for log in logs] == ["script took too long"]


@pytest.fixture
def gate() -> Iterator[threading.Lock]:
    """A lock that scripts wait for in C, where nothing can reach them."""
    lock = threading.Lock()
    lock.acquire()
    yield lock
    if lock.locked():
        lock.release()


STUCK = """
    def run(ctx):
        try:
            ctx.emit("started")
        except BaseException: pass  # it may be told before it has got to the gate
        with gate: pass
    """


async def test_a_thread_that_cannot_be_ended_keeps_its_place_and_is_named(
    runner: ScriptRunner,
    pod: FakePod,
    tmp_path: Path,
    mock_clock: MockClock,
    gate: threading.Lock,
) -> None:
    stuck = load(tmp_path, STUCK, gate=gate)
    quick = load(tmp_path, "def run(ctx): pass", "get")
    busy: list[ScriptsBusy] = []

    async def try_another() -> None:
        with pytest.raises(ScriptsBusy) as caught:
            await runner.run(quick, pod.context(quick))
        busy.append(caught.value)

    with real_patience(), capture_logs() as logs:
        await late(runner, pod, mock_clock, stuck)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_another)
            await wait_all_tasks_blocked()
            statistics = runner.statistics()
            assert (statistics.threads, statistics.waiting) == (1, 1)
            (overdue,) = statistics.overdue
            mock_clock.jump(SECONDS)
        gate.release()
        await runner.run(quick, pod.context(quick))
    assert overdue in ("todos/post.py, line 4", "todos/post.py, line 6")
    assert (busy[0].script, busy[0].places) == ("todos/get.py", 1)
    assert [log["event"] for log in logs] == ["script took too long", "no thread for a script"]
    assert logs[1]["overdue"][0].startswith("todos/post.py, line ")
    assert runner.statistics().overdue == ()


async def test_no_more_than_some_wait_for_a_thread(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, gate: threading.Lock
) -> None:
    stuck = load(tmp_path, STUCK, gate=gate)
    quick = load(tmp_path, "def run(ctx): pass", "get")
    with real_patience(), capture_logs():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run, stuck, pod.context(stuck))
            await pod.event("started").wait()
            for _ in range(WAITING_PER_THREAD):
                nursery.start_soon(runner.run, quick, pod.context(quick))
            await wait_all_tasks_blocked()
            with pytest.raises(ScriptsBusy):
                await runner.run(quick, pod.context(quick))
            gate.release()


async def test_waiting_for_a_thread_takes_nothing_of_a_scripts_time(
    runner: ScriptRunner,
    pod: FakePod,
    tmp_path: Path,
    mock_clock: MockClock,
    gate: threading.Lock,
) -> None:
    first = load(tmp_path, STUCK, gate=gate)
    second = load(tmp_path, "def run(ctx): ctx.collections.users.get()", "get")
    pod.answer = lambda: mock_clock.jump(SECONDS * 0.9)
    with real_patience():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run, first, pod.context(first))
            await pod.event("started").wait()
            nursery.start_soon(runner.run, second, pod.context(second))
            await wait_all_tasks_blocked()
            mock_clock.jump(SECONDS * 0.9)
            gate.release()
    assert len(pod.asked) == 1


async def test_a_script_that_a_script_waits_for_needs_none_of_its_threads(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    outer = load(tmp_path, "def run(ctx): ctx.data['n'] = ctx.collections.users.get()")
    inner = load(tmp_path, "def run(ctx): ctx.data['n'] = 3", "get")

    async def answer() -> object:
        return (await runner.run(inner, pod.context(inner, depth=1))).data["n"]

    pod.answer = answer
    with real_patience():
        assert (await runner.run(outer, pod.context(outer))).data == {"n": 3}


async def test_a_call_inside_the_pod_ends_with_the_time_of_the_script_that_asked(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, mock_clock: MockClock
) -> None:
    ended = trio.Event()

    async def never() -> None:
        pod.event("started").set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    pod.answer = never
    script = load(tmp_path, "def run(ctx): ctx.collections.users.get()")
    quick = load(tmp_path, "def run(ctx): pass", "get")
    with real_patience(), capture_logs():
        error = await late(runner, pod, mock_clock, script)
        await runner.run(quick, pod.context(quick))
    assert error.line == 1
    assert ended.is_set()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("await trio.sleep_forever()", 5),
        ("try: await trio.sleep_forever()\n    except BaseException: pass", None),
        ("try: await trio.sleep_forever()\n    finally: 1 / 0", 6),
        ("await ctx.collections.users.get()", 5),
    ],
)
async def test_an_async_script_over_its_time_is_cancelled(
    runner: ScriptRunner,
    pod: FakePod,
    tmp_path: Path,
    mock_clock: MockClock,
    body: str,
    line: int | None,
) -> None:
    pod.answer = trio.sleep_forever
    source = f"import trio\n\nasync def run(ctx):\n    ctx.emit('started')\n    {body}\n"
    with real_patience(), capture_logs() as logs:
        error = await late(runner, pod, mock_clock, load(tmp_path, source))
    assert error.line == line
    assert [log["event"] for log in logs] == ["script took too long"]


async def test_an_async_script_that_has_ended_reaches_nothing(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    kept: list[AsyncContext] = []
    script = load(tmp_path, "async def run(ctx): kept.append(ctx)", kept=kept)
    await runner.run(script, pod.context(script))
    with pytest.raises(ScriptOver):
        kept[0].emit("late")


# -- when the caller is cancelled -------------------------------------------------------------


async def test_who_is_cancelled_waits_for_no_thread_and_the_thread_is_told(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    script = load(tmp_path, SPINS)
    quick = load(tmp_path, "def run(ctx): pass", "get")
    with real_patience(), capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run, script, pod.context(script))
            await pod.event("started").wait()
            nursery.cancel_scope.cancel()
        await runner.run(quick, pod.context(quick))
    assert logs == []


@pytest.mark.parametrize(
    "body",
    [
        "await trio.sleep_forever()",
        "try: await trio.sleep_forever()\n    except BaseException: raise ValueError",
        "async with trio.open_nursery() as nursery: await trio.sleep_forever()",
    ],
)
async def test_cancelling_passes_through_an_async_script(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, body: str
) -> None:
    source = f"import trio\n\nasync def run(ctx):\n    ctx.emit('started')\n    {body}\n"
    script, results = load(tmp_path, source), list[ScriptError]()

    async def one() -> None:
        try:
            await runner.run(script, pod.context(script))
        except ScriptError as error:
            results.append(error)

    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await pod.event("started").wait()
            nursery.cancel_scope.cancel()
    assert results == []
    assert logs == []


# -- under stress -----------------------------------------------------------------------------


async def test_under_a_storm_of_late_scripts_the_others_never_notice(
    pod: FakePod, tmp_path: Path, mock_clock: MockClock
) -> None:
    """Threads are reused: whatever is raised in one must not reach the script after it."""
    spins = load(tmp_path, SPINS)
    works = load(tmp_path, "def run(ctx): ctx.data['sum'] = sum(range(2000))", "get")
    runner, ends = ScriptRunner(SECONDS, 4), dict[str, int]()

    async def one(script: Script) -> None:
        try:
            outcome = await runner.run(script, pod.context(script))
        except ScriptError as error:
            end = type(error).__name__
        else:
            end = f"sum {outcome.data.get('sum')}"
        ends[end] = ends.get(end, 0) + 1

    with real_patience(), capture_logs():
        for _ in range(60):
            async with trio.open_nursery() as nursery:
                pod.heard.clear()
                nursery.start_soon(one, spins)
                await pod.event("started").wait()
                mock_clock.jump(SECONDS)
                for _ in range(3):
                    nursery.start_soon(one, works)
    assert ends == {"ScriptTimeout": 60, "sum 1999000": 180}
