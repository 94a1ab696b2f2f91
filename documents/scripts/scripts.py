"""Event scripts as files: `resources/<collection>/<event>.py` with a function `run`.

Everything here blocks, on the disk and on whatever a file does when it is executed: call it in a
thread (`trio.to_thread.run_sync`), never in trio's.
"""

from __future__ import annotations

import builtins
import inspect
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Final, Literal, TypeAlias, cast, get_args

from attrs import frozen

from ...actors import runtime
from ...config import get_logger, read_regular
from ..errors import ScriptBroken
from .context import AsyncContext, Context
from .interruption import Interrupted

__all__ = [
    "EVENTS",
    "Script",
    "ScriptEvent",
    "Scripts",
    "Stamp",
    "changed",
    "error_text",
    "line_in",
    "load_scripts",
]

ScriptEvent: TypeAlias = Literal[
    "beforerequest", "validate", "get", "post", "put", "delete", "aftercommit"
]
EVENTS: Final[tuple[ScriptEvent, ...]] = get_args(ScriptEvent)

Stamp: TypeAlias = tuple[int, int]
"""When a file was last changed (nanoseconds since 1970) and its bytes; (0, -1) if unreadable."""

Run: TypeAlias = Callable[[Context], object]
AsyncRun: TypeAlias = Callable[[AsyncContext], Awaitable[object]]

MAX_SOURCE: Final = 2**20
"""Bytes of one script."""

MAX_REASON: Final = 1000
"""Characters of what is told about an exception."""

_log = get_logger("script")


@frozen
class Script:
    """One file's `run`. A broken script has none, and its `reason` says why; `line` says where."""

    collection: str
    event: ScriptEvent
    path: Path
    line: int
    run: Run | AsyncRun | None
    is_async: bool = False
    reason: str = ""

    @property
    def name(self) -> str:
        """What the script is called in logs and errors: `todos/post.py`."""
        return f"{self.collection}/{self.event}.py"

    @property
    def context_class(self) -> type[Context] | type[AsyncContext]:
        """The class of what `run` has to be given."""
        return AsyncContext if self.is_async else Context

    def check(self) -> None:
        """Raise `ScriptBroken` if the script cannot be run."""
        if self.run is None:
            raise ScriptBroken(self.name, self.line, self.reason)


@frozen
class Scripts:
    """The scripts of one collection, broken ones included, and the stamps of their files."""

    by_event: Mapping[ScriptEvent, Script]
    stamps: Mapping[ScriptEvent, Stamp]

    def find(self, event: ScriptEvent) -> Script | None:
        """Return the script of an event, or None when there is no file for it."""
        return self.by_event.get(event)


def load_scripts(collection: str, folder: Path) -> Scripts:
    """Compile and execute the event files of a collection's folder. Blocks; call it in a thread.

    A file that cannot be loaded does not stop the others: its script is broken, which is logged
    here once, and `Script.check` raises.
    """
    stamps = _stamps(folder)  # before the files are read: what changes meanwhile is seen as changed
    scripts = {event: _load(collection, event, folder / f"{event}.py") for event in stamps}
    for script in scripts.values():
        if script.run is None:
            _log.error("script broken", script=script.name, line=script.line, reason=script.reason)
    return Scripts(scripts, stamps)


def changed(scripts: Scripts, folder: Path) -> bool:
    """Say whether an event file came, went or was written since the scripts were loaded. Blocks."""
    return _stamps(folder) != scripts.stamps


def line_in(path: Path, error: BaseException) -> int | None:
    """Return the innermost line of a file that an exception came through, or None."""
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == str(path)
    ]
    if isinstance(error, BaseExceptionGroup):  # of a nursery: where its first child failed
        lines += [line for line in (line_in(path, error.exceptions[0]),) if line is not None]
    return lines[-1] if lines else None


class _Unfit(Exception):
    """A file's `run` is not what it should be; the message names the remedy."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def _stamps(folder: Path) -> dict[ScriptEvent, Stamp]:
    stamps = ((event, _stamp(folder / f"{event}.py")) for event in EVENTS)
    return {event: stamp for event, stamp in stamps if stamp is not None}


def _stamp(path: Path) -> Stamp | None:
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        # A link to nothing is a script that cannot be read, not one that is not wanted.
        return (0, -1) if path.is_symlink() else None
    except OSError:
        return (0, -1)  # it is there; reading it will say what is wrong
    return (about.st_mtime_ns, about.st_size)


def _load(collection: str, event: ScriptEvent, path: Path) -> Script:
    try:
        run = _checked(_execute(collection, event, path))
    except Interrupted:  # for whoever runs this thread: it took too long
        raise
    except BaseException as error:  # noqa: BLE001 - a file may raise anything, SystemExit too
        reason = error_text(error)
        return Script(collection, event, path, _line(path, error), None, reason=reason)
    line = run.__code__.co_firstlineno
    is_async = inspect.iscoroutinefunction(run)
    return Script(collection, event, path, line, cast("Run | AsyncRun", run), is_async)


def _execute(collection: str, event: str, path: Path) -> object:
    """Return what a file calls `run`. It is no module of `sys.modules`: nobody can import it."""
    # Our own `from __future__` lines are not the script's.
    source = read_regular(path, MAX_SOURCE)
    code = compile(source, str(path), "exec", dont_inherit=True)
    namespace: dict[str, object] = {
        "__name__": f"resources.{collection}.{event}",
        "__file__": str(path),
        "__builtins__": builtins,
    }
    exec(code, namespace)  # noqa: S102 - running this file is what it is for
    if "run" not in namespace:
        raise _Unfit("it has no function `run`; add `def run(ctx)`")
    return namespace["run"]


def _checked(run: object) -> FunctionType:
    if not isinstance(run, FunctionType):
        raise _Unfit(f"`run` must be a function, not of type {type(run).__name__}")
    line = run.__code__.co_firstlineno
    if inspect.isgeneratorfunction(run) or inspect.isasyncgenfunction(run):
        raise _Unfit("`run` must not yield: nobody would take what it gives", line)
    parameters = inspect.signature(run).parameters.values()
    positional = [
        one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    others = [
        one for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty
    ]
    if len(positional) != 1 or others:
        raise _Unfit("`run` must take exactly one positional argument: `def run(ctx)`", line)
    return run


def error_text(error: BaseException) -> str:
    """Return an exception's type and text, shortened; whatever its own `__str__` does."""
    if isinstance(error, _Unfit):
        return str(error)
    try:
        text = "".join(traceback.format_exception_only(error)).strip()
    except BaseException:  # noqa: BLE001 - the exception is anybody's, and so are its parts
        text = runtime.error_text(error)
    return runtime.writable(text[:MAX_REASON])


def _line(path: Path, error: BaseException) -> int:
    if isinstance(error, _Unfit):
        return error.line
    line = line_in(path, error)
    if line is None and isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    return line or 1
