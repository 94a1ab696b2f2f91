"""How crashes are told: each once, a storm of them at a limited rate."""

from collections.abc import Callable

from ..actors import EnvironmentFailure
from ..config import LogLimiter, get_logger
from .child import ChildRecord
from .restart import is_environment_failure

__all__ = ["CrashLog"]

_log = get_logger("realtime")


class CrashLog:
    """Says each crash once; a storm of them at most `burst` times in `period` seconds."""

    def __init__(self, clock: Callable[[], float], *, burst: int = 5, period: float = 60.0) -> None:
        self._clock = clock
        self._limiter = LogLimiter(burst, period)

    def report(self, record: ChildRecord) -> None:
        """Log how the last incarnation ended if that was not as it should be."""
        ended = record.exit
        if ended is None or not ended.abnormal:
            return
        if isinstance(ended.error, EnvironmentFailure) and ended.error.told:
            return
        suppressed = self._limiter.admit(self._clock())
        if suppressed is None:
            return
        # What the world did needs no traceback; what the code did is useless without.
        bug = None if is_environment_failure(ended.error) else ended.error
        _log.warning(
            f"child {ended.kind.value}",
            path=record.child.path,
            incarnation=record.incarnation,
            reason=ended.reason[:500],
            suppressed=suppressed,
            exc_info=bug,
        )
