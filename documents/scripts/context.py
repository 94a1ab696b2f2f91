"""What an event script gets: the document, who asks for what, and what it may do about it.

`Context` is for sync scripts, which run in threads of their own; `AsyncContext` for async ones,
which run on trio. They differ only in how they reach out of the script.
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NoReturn, TypeAlias

import trio

from ...actors import Receipt
from ...config import get_logger
from ...transport import JSON
from ..errors import ScriptOver
from ..store import Document
from .interruption import Interruption
from .outcome import Response, ScriptOutcome, plain, plain_document, plain_text, plain_whole
from .proxies import AsyncCollectionsProxy, CollectionsProxy, InternalCalls, InternalMethod
from .response_headers import checked_headers

__all__ = ["AsyncContext", "Cancel", "Context", "EmitCall", "ScriptContext"]

MAX_ERRORS: Final = 100
"""Errors of one run; what a script reports beyond is dropped."""
MAX_TEXT: Final = 1000
"""Characters of a message that a script gives, and of each value that it logs."""
MAX_LOG_LINES: Final = 100
"""Lines that one run may log."""
MAX_LOG_VALUES: Final = 32
"""Values that one line may carry."""

EmitCall: TypeAlias = Callable[[str, JSON, str | None], Receipt]
"""Says an event to a room, or to everyone when the room is None; called in trio's thread."""

_log = get_logger("script")


class Cancel(BaseException):
    """Raised by `ctx.cancel` to end the script at once. It has nothing to do with trio's Cancelled.

    Not an `Exception`, so that a script's `except Exception` does not go on as if nothing were.
    What swallows it all the same changes nothing: the decision is recorded before it is raised.
    """


class _Shared:
    """What both kinds of context have in common. One context is for one run."""

    __slots__ = (
        "_asking",
        "_calls",
        "_cancelled",
        "_depth",
        "_emit",
        "_errors",
        "_hidden",
        "_interruption",
        "_lines",
        "_over",
        "_protected",
        "_response",
        "_script",
        "data",
        "is_root",
        "me",
        "method",
        "parts",
        "previous",
        "query",
    )

    def __init__(
        self,
        script: str,
        data: Document,
        *,
        emit: EmitCall,
        calls: InternalCalls,
        previous: Document | None = None,
        query: Mapping[str, JSON] | None = None,
        me: Mapping[str, JSON] | None = None,
        is_root: bool = False,
        method: str = "GET",
        parts: Sequence[str] = (),
        depth: int = 0,
    ) -> None:
        """Take over `data`; `depth` is how many scripts stand above this one."""
        self.data: Document = data
        """The document. Change it in place."""
        self.previous: Document | None = None
        """A copy of the document as it was before a PUT or DELETE, or None."""
        if previous is not None:
            self.previous = plain_document(previous, "previous")
        self.query: dict[str, JSON] = dict(query or {})
        """The query of the request."""
        self.me: dict[str, JSON] | None = None if me is None else dict(me)
        """The user who asks, with at least `id` and `username`, or None."""
        self.is_root = is_root
        """Whether the one who asks may do everything."""
        self.method = method
        """What is asked: GET, POST, PUT or DELETE."""
        self.parts: list[str] = list(parts)
        """The parts of the path after the collection's name."""
        self._script = script
        self._emit = emit
        self._calls = calls
        self._depth = depth
        # Shared empty ones: there may be a thousand contexts for one list.
        self._errors: tuple[tuple[str, str], ...] = ()
        self._hidden: frozenset[str] = frozenset()
        self._protected: frozenset[str] = frozenset()
        self._cancelled: tuple[str, int] | None = None
        self._response: Response | None = None
        self._lines = 0
        self._over = False
        self._asking: trio.CancelScope | None = None
        self._interruption: Interruption | None = None

    @property
    def internal(self) -> bool:
        """Whether another script asks, and not a client."""
        return self._depth > 0

    def error(self, field: str, message: str) -> None:
        """Say what is wrong with a field; the request is then refused with 400."""
        if len(self._errors) < MAX_ERRORS:
            self._errors += ((_told(field), _told(message)),)

    def hide(self, field: str) -> None:
        """Leave a field out wherever the document is shown. It stays in `data`, and is stored."""
        self._hidden |= {plain_text(field, "the field to hide")}

    def protect(self, field: str) -> None:
        """Undo what the request changed in a field: take it from `previous`, or remove it.

        At once and in `data`; what the script sets afterwards counts.
        """
        field = plain_text(field, "the field to protect")
        self._protected |= {field}
        if self.previous is not None and field in self.previous:
            self.data[field] = plain(self.previous[field], field)
        else:
            self.data.pop(field, None)

    def cancel(self, message: str, status: int = 400) -> NoReturn:
        """End the script and refuse the request with a message and an HTTP status (400 to 599)."""
        status = plain_whole(status, "a status")
        if not 400 <= status <= 599:
            raise ValueError(f"refuse with a status from 400 to 599, not {status}")
        if self._cancelled is None:
            self._cancelled = (_told(message), status)
        raise Cancel

    def set_response(
        self, body: JSON, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer this instead of the document. The body is sent as JSON; the last call counts.

        `status` is 200 to 599. Raises `ValueError` for headers that are not a script's to set, and
        `TypeError` for a body that is not JSON.
        """
        status = plain_whole(status, "a status")
        if not 200 <= status <= 599:
            raise ValueError(f"answer with a status from 200 to 599, not {status}")
        self._response = Response(plain(body, "body"), status, checked_headers(headers or {}))

    def log(self, message: str, /, **values: object) -> None:
        """Write a line to the pod's log. Long texts are shortened, and lines beyond 100 dropped.

        So are those that come after the script's end.
        """
        self._lines += 1
        if self._over or self._lines > MAX_LOG_LINES:
            return
        shown = {name: _shown(value) for name, value in list(values.items())[:MAX_LOG_VALUES]}
        last = {"more": "not logged"} if self._lines == MAX_LOG_LINES else {}
        with self._shield():
            _log.info(str(message)[:MAX_TEXT], script=self._script, values=shown, **last)

    # For whoever runs the script. --------------------------------------------------------------

    def _begin(self, interruption: Interruption) -> None:
        """Say, in the script's own thread, how it can be ended."""
        self._interruption = interruption

    def _give_up(self) -> None:
        """Let nothing through any more, and cancel the call that is under way; in trio's thread."""
        self._close()
        if self._asking is not None:
            self._asking.cancel()

    def _shield(self) -> AbstractContextManager[None]:
        return nullcontext() if self._interruption is None else self._interruption.shield()

    def _close(self) -> None:
        """Let nothing through any more; from any thread."""
        self._over = True

    def _outcome(self) -> ScriptOutcome:
        """Return what was decided, and leave `query` as plain as that is.

        Raises `NotPlain` when `data` or `query` is not a JSON object.
        """
        cancelled = self._cancelled is not None
        self.query = {} if cancelled else plain_document(self.query, "ctx.query")
        return ScriptOutcome(
            {} if cancelled else plain_document(self.data, "ctx.data"),
            self._errors,
            self._hidden,
            self._protected,
            self._cancelled,
            self._response,
        )

    def _check_open(self) -> None:
        if self._over:
            raise ScriptOver(self._script)

    def _tell(self, event: str, data: JSON, room: str | None) -> Receipt:
        self._check_open()
        into = None if room is None else plain_text(room, "a room")
        return self._emit(plain_text(event, "an event"), data, into)


class Context(_Shared):
    """What a sync script gets: `def run(ctx: Context) -> None`. Its calls block until answered."""

    __slots__ = ()

    def emit(self, event: str, data: JSON = None, room: str | None = None) -> Receipt:
        """Say an event to the members of a room, or to everyone; at once, whatever comes later."""
        with self._shield():
            return trio.from_thread.run_sync(self._tell, event, data, room)

    @property
    def collections(self) -> CollectionsProxy:
        """The pod's collections, to read and write: `ctx.collections.todos.get(id)`."""
        return CollectionsProxy(self._call)

    def _call(self, collection: str, method: InternalMethod, id: str | None, data: JSON) -> JSON:
        handed = plain(data, "data")
        with self._shield():
            return trio.from_thread.run(self._ask, collection, method, id, handed)

    async def _ask(
        self, collection: str, method: InternalMethod, id: str | None, data: JSON
    ) -> JSON:
        # An abandoned thread's calls run in trio's system task, which no request's end cancels.
        self._check_open()
        with trio.CancelScope() as self._asking:
            return await self._calls.call(collection, method, id, data)
        raise ScriptOver(self._script)


class AsyncContext(_Shared):
    """What an async script gets: `async def run(ctx: AsyncContext) -> None`. Await its calls."""

    __slots__ = ()

    def emit(self, event: str, data: JSON = None, room: str | None = None) -> Receipt:
        """Say an event to the members of a room, or to everyone; at once, whatever comes later."""
        return self._tell(event, data, room)

    @property
    def collections(self) -> AsyncCollectionsProxy:
        """The pod's collections, to read and write: `await ctx.collections.todos.get(id)`."""
        return AsyncCollectionsProxy(self._call)

    async def _call(
        self, collection: str, method: InternalMethod, id: str | None, data: JSON
    ) -> JSON:
        self._check_open()
        return await self._calls.call(collection, method, id, plain(data, "data"))


ScriptContext: TypeAlias = Context | AsyncContext


def _told(value: object) -> str:
    return plain_text(str(value), "a message")[:MAX_TEXT]


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return (value if isinstance(value, str) else repr(value))[:MAX_TEXT]
