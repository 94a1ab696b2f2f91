"""Whose line an error comes from: of a traceback, the frame that its reader has written."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

__all__ = ["own_frame"]

_OURS: Final = frozenset(("deployd", "trio", "outcome", "attr", "attrs", "cattrs", "starlette"))
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))


def own_frame(error: BaseException | None) -> str | None:
    """Return the innermost line of the application's own code, as `file:line in function`.

    The application is whatever is neither this project, nor the standard library, nor what drives
    it, and lies where its author works; where all of it is installed, it is the package that was
    called first. Where it calls libraries, the line that called is told, and not theirs. Of a group
    it is the first error that has such a line. None where no line is its own: then the bug is ours,
    or an event script's, whose place the error itself says.
    """
    if isinstance(error, BaseExceptionGroup):
        inner = (own_frame(one) for one in error.exceptions)
        found = next((one for one in inner if one is not None), None)
        if found is not None:
            return found
    frames = [*_foreign(None if error is None else error.__traceback__)]
    own = [one for one in frames if not _is_installed(one[0])]
    if not own:
        own = [one for one in frames if _package(one[0]) == _package(frames[0][0])]
    if not own:
        return None
    frame, line = own[-1]
    return f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_qualname}"


def _foreign(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    for frame, line in traceback.walk_tb(trace):
        package = _package(frame)
        if package not in _OURS and package not in sys.stdlib_module_names:
            yield frame, line


def _is_installed(frame: FrameType) -> bool:
    return not _INSTALLED.isdisjoint(Path(frame.f_code.co_filename).parts)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
