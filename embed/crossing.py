"""The way between trio and asyncio, where one runs as a guest of the other in one thread.

What is asked for on one side is done on the other, and waited for: answers, errors and
cancellations come across.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["TrioSide", "in_asyncio", "on_asyncio"]

R = TypeVar("R")


class TrioSide:
    """Does in trio what asyncio asks for, as tasks of a nursery. Made in trio.

    Raises `trio.RunFinishedError` for what the end of the nursery, or of trio, has cut off.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self._loop = asyncio.get_running_loop()

    async def call(self, function: Callable[[], R]) -> R:
        """Call something that is not async, and return its answer."""
        answer: asyncio.Future[R] = self._loop.create_future()

        def called() -> None:
            try:
                _answer(answer, function())
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                _fail(answer, error)

        self._soon(called)
        return await answer

    async def run(self, function: Callable[[], Awaitable[R]]) -> R:
        """Run an async function of trio's, and return its answer."""
        answer: asyncio.Future[R] = self._loop.create_future()
        scope = trio.CancelScope()

        async def task() -> None:
            try:
                with scope:
                    _answer(answer, await function())
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                _fail(answer, error)
            finally:
                if scope.cancel_called:
                    answer.cancel()
                _fail(answer, trio.RunFinishedError("The pod has ended, and this call with it."))

        def begin() -> None:
            try:
                self._nursery.start_soon(task)
            except RuntimeError:  # its nursery is closed; raised here it would end trio, too
                _fail(answer, trio.RunFinishedError("The pod has ended."))

        self._soon(begin)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._soon(scope.cancel)
            await asyncio.wait([answer])
            raise

    def _soon(self, function: Callable[[], object]) -> None:
        self._token.run_sync_soon(function)


async def in_asyncio(function: Callable[..., Coroutine[Any, Any, R]], *args: object) -> R:
    """Run an async function of asyncio's from a room of such a pod, and return its answer.

    What it raises is raised here; a room's turn that is cancelled cancels it. Raises
    `RuntimeError` where there is no loop of asyncio's in this thread, and for a task that was
    cancelled on the other side.
    """
    loop = asyncio.get_running_loop()
    token, over = trio.lowlevel.current_trio_token(), trio.Event()
    task = loop.create_task(function(*args))
    task.add_done_callback(lambda _: token.run_sync_soon(over.set))
    try:
        await over.wait()
    except trio.Cancelled:
        task.cancel()
        with trio.CancelScope(shield=True):
            await over.wait()
        raise
    if task.cancelled():
        raise RuntimeError("The task of asyncio's was cancelled before it had an answer.")
    return task.result()


def on_asyncio(app: ASGIApp) -> ASGIApp:
    """Return an application for trio that has this one answer in asyncio."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            there = TrioSide(nursery)

            async def received() -> Message:
                return await there.run(receive)

            async def sent(message: Message) -> None:
                await there.run(partial(send, message))

            async def answered() -> None:
                await app(scope, received, sent)

            await in_asyncio(answered)
            nursery.cancel_scope.cancel()

    return answer


def _answer(future: asyncio.Future[R], result: R) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
