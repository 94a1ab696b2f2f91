"""Running scripts: what they decide, how they fail, and lists of documents.

Time is trio's mock clock, moved by hand: a thread's own work takes no time of it, and how long
the machine needs is waited for.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from deployd.documents import (
    ScriptBroken,
    ScriptFailed,
    ScriptOver,
    ScriptTimeout,
)
from deployd.documents.scripts import (
    ScriptOutcome,
    ScriptRunner,
    load_scripts,
)
from deployd.documents.scripts.thread_job import ThreadJob
from support.late_scripts import KINDS, SECONDS, failure, pass_time
from support.scripts import FakePod, load, real_patience

pytestmark = pytest.mark.usefixtures("mock_clock")


@pytest.fixture
def pod() -> FakePod:
    return FakePod()


@pytest.fixture
def runner() -> ScriptRunner:
    return ScriptRunner(SECONDS, 1)


# -- what a run decides -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_returns_what_the_script_decided(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str
) -> None:
    source = f"""
        {kind} run(ctx):
            ctx.data["title"] = ctx.data["title"].upper()
            ctx.error("title", "too loud")
            ctx.hide("secret")
            ctx.protect("score")
            ctx.set_response([1], 201)
            print("scripts may print")
            return "and what they return is ignored"
        """
    script = load(tmp_path, source)
    given = {"title": "a", "secret": 1, "score": 9}
    outcome = await runner.run(script, pod.context(script, given))
    assert outcome.data == {"title": "A", "secret": 1}
    assert outcome.errors == (("title", "too loud"),)
    assert outcome.hidden == {"secret"}
    assert outcome.protected == {"score"}
    assert outcome.cancelled is None
    assert outcome.response is not None
    assert (outcome.response.body, outcome.response.status) == ([1], 201)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [
        "ctx.cancel('no', 409)",
        "try: ctx.cancel('no', 409)\n    except Exception: ctx.data['x'] = 1",
        "try: ctx.cancel('no', 409)\n    except BaseException: pass",
        "try: ctx.cancel('no', 409)\n    finally: ctx.data = None",
    ],
)
async def test_a_script_that_cancels_has_ended_the_request(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str, body: str
) -> None:
    script = load(tmp_path, f"{kind} run(ctx):\n    {body}\n")
    with capture_logs() as logs:
        outcome = await runner.run(script, pod.context(script))
    assert outcome == ScriptOutcome({}, cancelled=("no", 409))
    assert logs == []


async def test_an_async_script_may_cancel_from_a_nursery(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    source = """
        import trio
        async def refuse(ctx):
            ctx.cancel("no")
        async def run(ctx):
            async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
                nursery.start_soon(refuse, ctx)
                nursery.start_soon(refuse, ctx)
                nursery.start_soon(trio.sleep_forever)
        """
    script = load(tmp_path, source)
    assert (await runner.run(script, pod.context(script))).cancelled == ("no", 400)


@pytest.mark.parametrize("kind", KINDS)
async def test_two_tasks_may_run_the_same_script_at_once(
    pod: FakePod, tmp_path: Path, kind: str
) -> None:
    both, inside = trio.Event(), 0

    async def meet() -> None:
        nonlocal inside
        inside += 1
        if inside == 2:
            both.set()
        await both.wait()

    pod.answer = meet
    wait = "await " if kind == "async def" else ""
    source = f"""
        {kind} run(ctx):
            {wait}ctx.collections.users.get()
            ctx.data["mine"] = ctx.data["n"]
        """
    script, outcomes = load(tmp_path, source), dict[int, Any]()
    runner = ScriptRunner(SECONDS, 2)

    async def one(number: int) -> None:
        outcomes[number] = (await runner.run(script, pod.context(script, {"n": number}))).data

    with real_patience():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, 1)
            nursery.start_soon(one, 2)
    assert outcomes == {1: {"n": 1, "mine": 1}, 2: {"n": 2, "mine": 2}}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_script_that_fails_after_it_cancelled_has_failed(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str
) -> None:
    script = load(tmp_path, f"{kind} run(ctx):\n    try: ctx.cancel('no')\n    finally: 1 / 0\n")
    with capture_logs():
        assert (await failure(runner, script, pod.context(script))).line == 3


async def test_a_failure_beside_a_cancellation_is_a_failure(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    source = """
        import trio
        async def refuse(ctx): ctx.cancel("no")
        async def fail(ctx): 1 / 0
        async def run(ctx):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refuse, ctx)
                nursery.start_soon(fail, ctx)
        """
    script = load(tmp_path, source)
    with capture_logs():
        error = await failure(runner, script, pod.context(script))
    assert "ExceptionGroup" in error.reason
    assert error.line in (3, 4)


# -- how it fails -----------------------------------------------------------------------------

FAILURES = {
    "raise ValueError('x')": "ValueError: x",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise BaseExceptionGroup('g', [SystemExit(), ValueError()])": "BaseExceptionGroup",
    "import sys; sys.exit()": "SystemExit",
    "run(ctx) if False else deep(0)": "RecursionError",
    "ctx.nothing": "AttributeError",
    "ctx.cancel('no', 200)": "ValueError: refuse with",
    "ctx.set_response('', headers={'Set-Cookie': 'a'})": "ValueError: a script cannot set",
    "raise type(ctx).cancel.__globals__['Cancel']": "Cancel",
    "raise __import__('trio').Cancelled._create(source='explicit')": "Cancelled",
    "exec('raise OSError()')": "OSError",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", FAILURES)
async def test_whatever_a_script_raises_it_has_failed_at_a_line(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str, body: str
) -> None:
    source = f"def deep(n): return deep(n + 1)\n\n{kind} run(ctx):\n    {body}\n"
    script = load(tmp_path, source)
    with capture_logs() as logs:
        error = await failure(runner, script, pod.context(script))
    assert FAILURES[body] in error.reason
    assert error.line == (1 if "deep" in body else 4)
    assert error.__cause__ is not None
    assert str(error).startswith("The script todos/post.py failed at line ")
    assert error.sentence == "The script todos/post.py failed; the pod's log says why."
    (log,) = logs
    assert (log["event"], log["line"]) == ("script failed", error.line)
    assert log["exc_info"] is error.__cause__


NOT_JSON = {
    "ctx.data['at'] = {1}": r"ctx\.data\['at'\] is not JSON",
    "ctx.data['a'] = [b'']": r"ctx\.data\['a'\]\[0\] is not JSON",
    "ctx.data = [1]": r"ctx\.data must stay a dict",
    "ctx.data = None": r"ctx\.data must stay a dict",
    "del ctx.data": "AttributeError",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", NOT_JSON)
async def test_a_script_that_leaves_no_json_has_failed(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str, body: str
) -> None:
    script = load(tmp_path, f"\n{kind} run(ctx):\n    {body}\n")
    with capture_logs(), pytest.raises(ScriptFailed, match=NOT_JSON[body]) as caught:
        await runner.run(script, pod.context(script))
    assert caught.value.line == 2


async def test_a_run_that_gives_something_to_await_has_failed(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    source = "async def later(ctx): pass\n\ndef run(ctx):\n    return later(ctx)\n"
    script = load(tmp_path, source)
    with capture_logs():
        assert "async def run" in (await failure(runner, script, pod.context(script))).reason


async def test_a_broken_script_is_never_run(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    (tmp_path / "post.py").write_text("1 / 0")
    with capture_logs():
        script = load_scripts("todos", tmp_path).by_event["post"]
    for contexts in ([], [pod.context(script)]):
        with pytest.raises(ScriptBroken):
            await runner.run_each(script, contexts)


async def test_a_context_of_the_other_kind_is_refused(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    script = load(tmp_path, "def run(ctx): pass")
    with pytest.raises(TypeError, match="needs contexts of Context"):
        await runner.run(script, pod.asynchronous())


async def test_failures_are_logged_at_a_limited_rate(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, mock_clock: MockClock
) -> None:
    script = load(tmp_path, "async def run(ctx): 1 / 0")
    with capture_logs() as logs:
        for _ in range(50):
            await failure(runner, script, pod.context(script))
        mock_clock.jump(60)
        await failure(runner, script, pod.context(script))
    assert [log["suppressed"] for log in logs] == [0] * 20 + [30]


# -- many documents ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_keeps_its_order_and_each_document_its_own_end(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str
) -> None:
    source = f"""
        {kind} run(ctx):
            threads.add(threading.get_ident())
            if ctx.data["n"] == 1: raise ValueError("one")
            if ctx.data["n"] == 2: ctx.cancel("not yours", 403)
            if ctx.data["n"] == 3: ctx.data["n"] = object
            if ctx.data["n"] == 4: ctx.hide("n")
        """
    threads: set[int] = set()
    script = load(tmp_path, source, threads=threads, threading=threading)
    contexts = [pod.context(script, {"n": number}) for number in range(6)]
    with capture_logs() as logs:
        results = await runner.run_each(script, contexts)
    shown = [one.shown if isinstance(one, ScriptOutcome) else type(one) for one in results]
    assert shown == [{"n": 0}, ScriptFailed, {}, ScriptFailed, {}, {"n": 5}]
    assert len(threads) == 1
    assert (threading.get_ident() in threads) == (kind == "async def")
    (log,) = logs
    assert log["documents"] == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_no_documents_need_no_thread(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, kind: str
) -> None:
    script = load(tmp_path, f"{kind} run(ctx): pass")
    assert await runner.run_each(script, []) == []


async def test_a_thousand_documents_do_not_hold_the_loop(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    script = load(tmp_path, "async def run(ctx): pass")
    turns, done = 0, False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        results = await runner.run_each(script, [pod.context(script) for _ in range(1000)])
        done = True
    assert len(results) == 1000
    assert turns >= 999


@pytest.mark.parametrize("kind", KINDS)
async def test_one_time_limit_counts_for_the_whole_list(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, mock_clock: MockClock, kind: str
) -> None:
    pod.answer = lambda: mock_clock.jump(2)
    wait = "await " if kind == "async def" else ""
    script = load(tmp_path, f"{kind} run(ctx): {wait}ctx.collections.users.get()")
    contexts = [pod.context(script) for _ in range(5)]
    with capture_logs(), real_patience(), pytest.raises(ScriptTimeout):
        await runner.run_each(script, contexts)
    assert len(pod.asked) <= 4  # the last one may have been on its way


async def test_no_document_comes_after_the_one_that_took_too_long(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path, mock_clock: MockClock
) -> None:
    source = """
        def run(ctx):
            ran.append(ctx.data["n"])
            try:
                ctx.emit("started")
                while True: pass
            except BaseException: pass
        """
    ran: list[int] = []
    script = load(tmp_path, source, ran=ran)
    quick = load(tmp_path, "def run(ctx): pass")
    contexts = [pod.context(script, {"n": number}) for number in range(3)]
    with real_patience(), capture_logs():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_time, mock_clock, pod.event("started"))
            with pytest.raises(ScriptTimeout):
                await runner.run_each(script, contexts)
        await runner.run(quick, pod.context(quick))
    assert ran == [0]


def test_a_job_that_is_stopped_before_its_thread_begins_never_runs(
    pod: FakePod, tmp_path: Path
) -> None:
    ran: list[object] = []
    script = load(tmp_path, "def run(ctx): ran.append(ctx)", ran=ran)
    job = ThreadJob(script, [pod.sync()])
    job.stop()
    assert job.run() == ran == []


async def test_a_context_of_a_list_is_over_when_its_document_is_done(
    runner: ScriptRunner, pod: FakePod, tmp_path: Path
) -> None:
    source = """
        def run(ctx):
            kept.append(ctx)
            kept[0].emit("said")
        """
    script = load(tmp_path, source, kept=[])
    with capture_logs():
        results = await runner.run_each(script, [pod.context(script) for _ in range(2)])
    assert isinstance(results[0], ScriptOutcome)
    assert isinstance(results[1], ScriptFailed)
    assert isinstance(results[1].__cause__, ScriptOver)
    assert len(pod.emits) == 1
