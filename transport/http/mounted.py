"""Somebody else's ASGI application on the pod's port: its requests, and its lifespan.

Source: ASGI 3.0, HTTP connection scope; Lifespan Protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trio
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config import get_logger
from ..errors import ApplicationNotStarted

__all__ = ["Mounted", "MountedRoute"]

_OURS: Final = frozenset(
    {"app", "router", "endpoint", "path_params", "starlette.exception_handlers"}
)
"""What Starlette has put into a scope on its way: the application may be made with it, too."""

_VERSIONS: Final = {"version": "3.0", "spec_version": "2.0"}

_log = get_logger("realtime")


class Mounted:
    """An application beside the pod's pages; what its lifespan has left goes with its requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state: dict[str, Any] = {}

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it answer a request."""
        asked = {key: value for key, value in scope.items() if key not in _OURS}
        await self._app({**asked, "state": dict(self._state)}, receive, send)

    @asynccontextmanager
    async def alive(self, deadline: float) -> AsyncIterator[None]:
        """Run its lifespan around the block, and give it `deadline` seconds to end.

        An application that knows no lifespan has none. Raises `ApplicationNotStarted`.
        """
        life = _Lifespan(self._app, self._state)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.run)
            refused = await life.start()
            if refused is None:
                yield
                nursery.cancel_scope.deadline = trio.current_time() + deadline
                await life.stop()
            nursery.cancel_scope.cancel()
        if refused is not None:
            raise ApplicationNotStarted(f"The mounted application has not started: {refused}")


class MountedRoute(BaseRoute):
    """Every path of which `ours` does not say that it is the pod's own."""

    def __init__(self, app: Mounted, ours: Callable[[str], bool]) -> None:
        self._app = app
        self._ours = ours

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what is not the pod's, whatever the method."""
        other = scope["type"] == "http" and not self._ours(scope["path"])
        return (Match.FULL if other else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        await self._app.answer(scope, receive, send)


class _Lifespan:
    """One run of an application's lifespan."""

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._scope: Scope = {"type": "lifespan", "asgi": _VERSIONS, "state": state}
        self._ask, self._asked = trio.open_memory_channel[Message](1)
        self._answer, self._answers = trio.open_memory_channel[Message](1)

    async def run(self) -> None:
        """Run it to its end, which is early where the application knows no lifespan."""
        with self._answer:
            try:
                await self._app(self._scope, self._asked.receive, self._answer.send)
            except Exception as error:  # noqa: BLE001 - it may say so by an exception
                _log.info("the mounted application has no lifespan", reason=repr(error))

    async def start(self) -> str | None:
        """Return when the application has started, or why it has not."""
        told = await self._tell("startup")
        if told.get("type") != "lifespan.startup.failed":
            return None
        why = str(told.get("message", "")).strip().splitlines() or ["it does not say why"]
        return why[-1]

    async def stop(self) -> None:
        """Return when it has stopped."""
        told = await self._tell("shutdown")
        if told.get("type") == "lifespan.shutdown.failed":
            _log.error("the mounted application has not stopped well", reason=told.get("message"))

    async def _tell(self, what: str) -> Message:
        """Ask for something, and return the answer; none where nobody is there to give one."""
        with suppress(trio.EndOfChannel, trio.WouldBlock):
            self._ask.send_nowait({"type": f"lifespan.{what}"})
            return await self._answers.receive()
        return {}
