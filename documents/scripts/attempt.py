"""One run of a script on one context: what it decided, or how it failed."""

from __future__ import annotations

import inspect
from typing import TypeAlias, cast

import trio

from ..errors import RequestRefused, ScriptFailed, ScriptRefused
from .context import AsyncContext, Cancel, Context, ScriptContext
from .outcome import ScriptOutcome
from .scripts import AsyncRun, Run, Script, error_text, line_in

__all__ = ["Result", "attempt", "attempt_async"]

Result: TypeAlias = ScriptOutcome | ScriptFailed | ScriptRefused


def attempt(script: Script, context: Context) -> Result:
    """Run a sync script in this thread. Nothing that it raises escapes.

    Cancelled, which a call inside the pod may raise here, is a failure like others, and so is
    what interrupts the thread: when it is too late for the script, nobody waits for its result.
    """
    try:
        _refuse_coroutine(cast("Run", script.run)(context))
        return context._outcome()
    except BaseException as error:  # noqa: BLE001 - a script may raise anything, SystemExit too
        return _judge(script, context, error)
    finally:
        context._close()


async def attempt_async(script: Script, context: AsyncContext) -> Result:
    """Run an async script in this task. Nothing escapes but trio's Cancelled."""
    try:
        await cast("AsyncRun", script.run)(context)
        return context._outcome()
    except BaseException as error:  # noqa: BLE001 - a script may raise anything, SystemExit too
        # Raises Cancelled when we are: so it passes, alone or in a group, and a script that
        # raises one that it has kept from earlier has merely failed.
        await trio.lowlevel.checkpoint_if_cancelled()
        return _judge(script, context, error)
    finally:
        context._close()


def _judge(script: Script, context: ScriptContext, error: BaseException) -> Result:
    if context._cancelled is not None and _is_cancel(error):
        return context._outcome()
    refusal = _refusal_in(error)
    if refusal is not None:
        return ScriptRefused(script.name, refusal)
    line = line_in(script.path, error)
    failure = ScriptFailed(script.name, script.line if line is None else line, error_text(error))
    failure.__cause__ = error
    return failure


def _refuse_coroutine(returned: object) -> None:
    """Refuse what a `run` gives that only looks like a sync one, such as a decorated one."""
    if inspect.iscoroutine(returned):
        returned.close()
        raise TypeError("`run` gave something to await; write `async def run(ctx)`")


def _refusal_in(error: BaseException) -> RequestRefused | None:
    """Return what a collection refused, alone or from within nurseries."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, RequestRefused) else None


def _is_cancel(error: BaseException) -> bool:
    """Whether it is `Cancel`, alone or from within nurseries."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_cancel(one) for one in error.exceptions)
    return isinstance(error, Cancel)
