"""How it is told that scripts fail, take too long, or take all threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...config import LogLimiter, get_logger
from ..errors import ScriptFailed, ScriptTimeout

__all__ = ["ScriptLog"]

_log = get_logger("script")


class ScriptLog:
    """Says each thing once; a storm of them at most `burst` times in `period` seconds."""

    def __init__(
        self, clock: Callable[[], float], *, burst: int = 20, period: float = 60.0
    ) -> None:
        self._clock = clock
        self._limiter = LogLimiter(burst, period)

    def failed(self, failures: Sequence[ScriptFailed]) -> None:
        """Tell the first failure of a run with its traceback, and how many there are."""
        suppressed = self._limiter.admit(self._clock())
        if suppressed is not None:
            first = failures[0]
            _log.error(
                "script failed",
                script=first.script,
                line=first.line,
                documents=len(failures),
                suppressed=suppressed,
                exc_info=first.__cause__,
            )

    def timed_out(self, error: ScriptTimeout) -> None:
        """Tell where a script was when its time was over."""
        suppressed = self._limiter.admit(self._clock())
        if suppressed is not None:
            _log.error(
                "script took too long",
                script=error.script,
                line=error.line,
                seconds=error.seconds,
                suppressed=suppressed,
            )

    def busy(self, script: str, overdue: Sequence[str]) -> None:
        """Tell that a script found no thread, and which ones are over their time and stay."""
        suppressed = self._limiter.admit(self._clock())
        if suppressed is not None:
            _log.error(
                "no thread for a script",
                script=script,
                overdue=list(overdue),
                suppressed=suppressed,
                remedy="correct the scripts that do not end (give what they wait for a time-out), "
                "then restart the pod; or raise the number of threads",
            )
