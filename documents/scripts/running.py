"""Running event scripts so that none of them can hurt the pod.

Async scripts run on trio, under a time limit that cancels them. Sync scripts run in threads, as
many as there are workers. A thread cannot be cancelled: when its time is over it is told
(`interruption`), nobody waits for it, and what it does comes to nothing. One that does not end
keeps its worker, so what such threads cost is bounded by the workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import trio
from attrs import frozen

from ...transport import NoThread, in_thread
from ..errors import ScriptError, ScriptFailed, ScriptsBusy, ScriptTimeout
from .attempt import Result, attempt_async
from .context import AsyncContext, Context, ScriptContext
from .outcome import ScriptOutcome
from .script_log import ScriptLog
from .scripts import Script, line_in
from .thread_job import ThreadJob

__all__ = ["ScriptRunner", "ScriptStatistics"]

WAITING_PER_THREAD: Final = 64
"""How many runs may wait for each thread; more are refused at once."""


@frozen
class ScriptStatistics:
    """The threads of one runner at one moment.

    `threads` are in use, `waiting` runs wait for one; `overdue` names the scripts in threads that
    nobody waits for any more, each with its line.
    """

    threads: int
    waiting: int
    overdue: tuple[str, ...]


class ScriptRunner:
    """Runs scripts of all collections, each run for `timeout` seconds at most.

    `workers` sync scripts run at once; others wait for up to `timeout` seconds, then `ScriptsBusy`
    is raised. That is so for each depth of calls within calls: a script that waits for another
    one's answer keeps its thread, and with one pool for all, many that wait could keep the very
    threads that they wait for. So there are at most `workers` times the allowed depth.
    """

    def __init__(self, timeout: float, workers: int) -> None:
        self.timeout = timeout
        self._workers = workers
        self._limiters: dict[int, trio.CapacityLimiter] = {}
        self._jobs: dict[ThreadJob, bool] = {}  # those with a thread, and whether overdue
        self._log = ScriptLog(trio.current_time)

    async def run(self, script: Script, context: ScriptContext) -> ScriptOutcome:
        """Run a script and return what it decided; a context is for one run.

        Raises `ScriptError`: `ScriptBroken`, `ScriptFailed`, `ScriptTimeout`, `ScriptsBusy`.
        """
        (result,) = await self.run_each(script, [context])
        if isinstance(result, ScriptError):
            raise result
        return result

    async def run_each(
        self, script: Script, contexts: Sequence[ScriptContext]
    ) -> list[ScriptOutcome | ScriptError]:
        """Run a script on each context in turn, all of them within one time limit.

        Return what it decided for each, or how it failed on that one alone. Raises, for all of
        them, `ScriptBroken`, `ScriptTimeout` or `ScriptsBusy`.
        """
        script.check()
        if not all(isinstance(one, script.context_class) for one in contexts):
            raise TypeError(f"{script.name} needs contexts of {script.context_class.__name__}")
        if not contexts:
            return []
        if script.is_async:
            results = await self._on_loop(script, cast("Sequence[AsyncContext]", contexts))
        else:
            results = await self._in_thread(script, cast("Sequence[Context]", contexts))
        failures = [one for one in results if isinstance(one, ScriptFailed)]
        if failures:
            self._log.failed(failures)
        return list(results)

    def statistics(self) -> ScriptStatistics:
        """Return what the threads do."""
        return ScriptStatistics(
            len(self._jobs),
            sum(limiter.statistics().tasks_waiting for limiter in self._limiters.values()),
            tuple(_position(job) for job, overdue in self._jobs.items() if overdue),
        )

    async def _on_loop(self, script: Script, contexts: Sequence[AsyncContext]) -> list[Result]:
        results: list[Result] = []
        line: int | None = None
        with trio.move_on_after(self.timeout) as scope:
            for context in contexts:
                try:
                    results.append(await attempt_async(script, context))
                    # A list may be long, and a script may have swallowed its cancellation.
                    await trio.lowlevel.checkpoint()
                except trio.Cancelled as cancelled:
                    line = line_in(script.path, cancelled.__context__ or cancelled)
                    raise
        if scope.cancelled_caught:
            raise self._late(script, line)
        return results

    async def _in_thread(self, script: Script, contexts: Sequence[Context]) -> list[Result]:
        job = ThreadJob(script, contexts)
        line: int | None = None
        try:
            with trio.CancelScope() as scope:
                limiter = _ScriptLimiter(self, job, contexts[0]._depth, scope)
                return await in_thread(
                    job.run,
                    name=script.name,
                    abandon=True,
                    limiter=limiter,  # type: ignore[arg-type] # trio takes what acts like one
                )
        except NoThread as error:
            raise self._busy(script) from error
        finally:
            if job in self._jobs:
                line, self._jobs[job] = job.line(), True
            job.stop()
        raise self._late(script, line)

    def _late(self, script: Script, line: int | None) -> ScriptTimeout:
        error = ScriptTimeout(script.name, line, self.timeout)
        self._log.timed_out(error)
        return error

    def _busy(self, script: Script) -> ScriptsBusy:
        self._log.busy(script.name, self.statistics().overdue)
        return ScriptsBusy(script.name, self._workers)

    def _limiter(self, depth: int) -> trio.CapacityLimiter:
        if depth not in self._limiters:
            self._limiters[depth] = trio.CapacityLimiter(self._workers)
        return self._limiters[depth]

    async def admit(self, job: ThreadJob, depth: int, borrower: object) -> None:
        """Wait for a free thread of that depth. Raises `ScriptsBusy`."""
        limiter = self._limiter(depth)
        if limiter.statistics().tasks_waiting >= self._workers * WAITING_PER_THREAD:
            raise self._busy(job.script)
        with trio.move_on_after(self.timeout) as scope:
            await limiter.acquire_on_behalf_of(borrower)
        if scope.cancelled_caught:
            raise self._busy(job.script)
        self._jobs[job] = False

    def release(self, job: ThreadJob, depth: int, borrower: object) -> None:
        """Give back the thread that `admit` has waited for."""
        del self._jobs[job]
        self._limiter(depth).release_on_behalf_of(borrower)


class _ScriptLimiter:
    """What trio asks for a thread: it waits for one, and starts the script's time with it.

    trio gives it back when the thread has ended, however late that is.
    """

    def __init__(
        self, runner: ScriptRunner, job: ThreadJob, depth: int, scope: trio.CancelScope
    ) -> None:
        self._runner = runner
        self._job = job
        self._depth = depth
        self._scope = scope

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        await self._runner.admit(self._job, self._depth, borrower)
        self._scope.deadline = trio.current_time() + self._runner.timeout

    def release_on_behalf_of(self, borrower: object) -> None:
        self._runner.release(self._job, self._depth, borrower)


def _position(job: ThreadJob) -> str:
    line = job.line()
    return job.script.name if line is None else f"{job.script.name}, line {line}"
