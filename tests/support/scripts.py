"""What the tests of event scripts share: scripts of a few lines, and a pod that only listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any

import trio

from deployd.actors import JSON, Receipt, Scope
from deployd.documents.scripts import AsyncContext, Context, Script, ScriptEvent, load_scripts

PATIENCE = 20.0
"""Real seconds after which a test gives up; reached only when something is broken."""


def write(folder: Path, event: str, source: str) -> Path:
    path = folder / f"{event}.py"
    path.write_text(dedent(source))
    return path


def load(folder: Path, source: str, event: ScriptEvent = "post", **names: object) -> Script:
    """Load a script from a real file; `names` are what it finds among its globals."""
    write(folder, event, source)
    script = load_scripts("todos", folder).find(event)
    assert script is not None
    script.check()
    assert isinstance(script.run, FunctionType)
    script.run.__globals__.update(names)
    return script


class FakePod:
    """Takes down what scripts emit and ask; both in trio's thread, or it notices."""

    def __init__(self) -> None:
        self.emits: list[tuple[str, JSON, str | None]] = []
        self.asked: list[tuple[str, str, str | None, JSON]] = []
        self.heard: dict[str, trio.Event] = {}
        self.answer: Callable[[], Any] = lambda: None

    def emit(self, event: str, data: JSON, room: str | None) -> Receipt:
        trio.lowlevel.current_task()
        self.emits.append((event, data, room))
        self.event(event).set()
        return Receipt(f"e{len(self.emits)}", Scope.LOCAL)

    def event(self, name: str) -> trio.Event:
        return self.heard.setdefault(name, trio.Event())

    async def call(self, collection: str, method: str, id: str | None, data: JSON) -> JSON:  # noqa: A002
        self.asked.append((collection, method, id, data))
        answer = self.answer()
        if hasattr(answer, "__await__"):
            answer = await answer
        return answer  # type: ignore[no-any-return]

    def context(self, script: Script, data: Any = None, **fields: Any) -> Context | AsyncContext:
        return script.context_class(
            script.name, {} if data is None else data, emit=self.emit, calls=self, **fields
        )

    def sync(self, data: Any = None, **changes: Any) -> Context:
        fields: dict[str, Any] = {"emit": self.emit, "calls": self} | changes
        return Context("todos/post.py", {} if data is None else data, **fields)

    def asynchronous(self, data: Any = None, **changes: Any) -> AsyncContext:
        fields: dict[str, Any] = {"emit": self.emit, "calls": self} | changes
        return AsyncContext("todos/post.py", {} if data is None else data, **fields)


@contextmanager
def real_patience() -> Iterator[None]:
    """Give up after real seconds, also where trio's clock stands still."""
    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:
        timer = threading.Timer(PATIENCE, token.run_sync_soon, (scope.cancel,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
    assert not scope.cancelled_caught, "it took too long"
