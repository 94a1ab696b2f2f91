"""What drivers do with tasks on their loop: run one beside, run some at once, take the fastest.

Drivers take asyncio from here, so that no other module of ours names it.
"""

from __future__ import annotations

from asyncio import (
    CancelledError,
    Future,
    Task,
    WriteTransport,
    as_completed,
    create_task,
    gather,
    sleep,
)
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from ..errors import BrokerError, BrokerRefused

__all__ = [
    "CancelledError",
    "Future",
    "Task",
    "WriteTransport",
    "beside",
    "ended",
    "first",
    "gather",
    "sleep",
]

T = TypeVar("T")


def beside(
    coroutine: Coroutine[Any, Any, None], failed: Callable[[BaseException | None], None]
) -> Task[None]:
    """Run it as a task. `failed` learns of every end but cancellation: its error, or None."""

    def tell(task: Task[None]) -> None:
        if not task.cancelled():
            failed(task.exception())

    task = create_task(coroutine)
    task.add_done_callback(tell)
    return task


async def ended(tasks: Iterable[Task[Any]]) -> None:
    """Cancel them and wait until they have ended; what they raise was told elsewhere."""
    waited = list(tasks)
    for task in waited:
        task.cancel()
    await gather(*waited, return_exceptions=True)


async def first(attempts: Iterable[Coroutine[Any, Any, T]]) -> T:
    """Return the result of what succeeds first; the others are cancelled.

    When all fail, raises the error that most needs somebody: a refusal, or else the first.
    """
    tasks = [create_task(attempt) for attempt in attempts]
    errors: list[BrokerError] = []
    try:
        for attempt in as_completed(tasks):
            try:
                return await attempt
            except BrokerError as error:
                errors.append(error)
    finally:
        await ended(tasks)
    raise next((error for error in errors if isinstance(error, BrokerRefused)), errors[0])
