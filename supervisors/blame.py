"""Whose line an error comes from: of a traceback, the frame that its reader has written."""

from __future__ import annotations

import sys
import traceback
from types import FrameType
from typing import Final

__all__ = ["own_frame"]

_OURS: Final = frozenset(("deployd", "trio", "outcome", "attr", "attrs", "cattrs", "starlette"))


def own_frame(error: BaseException | None) -> str | None:
    """Return the innermost line of the application's own code, as `file:line in function`.

    The application is whatever is neither this project, nor the standard library, nor what drives
    it. Where it calls libraries, the line that called is told, and not theirs. None where no line
    is its own: then the bug is ours, or an event script's, whose place the error itself says.
    """
    own: str | None = None
    found: str | None = None
    frames = traceback.walk_tb(None if error is None else error.__traceback__)
    for frame, line in frames:
        package = _package(frame)
        if own is None and package not in _OURS and package not in sys.stdlib_module_names:
            own = package
        if own is not None and package == own:
            code = frame.f_code
            found = f"{code.co_filename}:{line} in {code.co_qualname}"
    return found


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
