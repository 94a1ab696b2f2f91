"""What a link's state has decided is done: told, and written down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...config import get_logger
from .breaker import BreakerState
from .inbound import Listeners
from .outage import Degraded, Healed, OutageCode
from .state import Effect, Settled

__all__ = ["perform"]

_log = get_logger("realtime")

_AWAY: Final = "switched to the memory broker: the other pods are out of reach"
_BEGINNINGS: Final = {
    OutageCode.STARTING: _AWAY,
    OutageCode.CUT_OFF: _AWAY,
    OutageCode.PARTITIONED: "pods are not heard any more, though the broker is well",
}
_ENDS: Final = {
    OutageCode.STARTING: "joined the other pods",
    OutageCode.CUT_OFF: "back on the broker",
    OutageCode.PARTITIONED: "no pod is missing any more",
}


def perform(effects: Iterable[Effect], state: BreakerState, listeners: Listeners) -> None:
    """Do what was decided, in its order; `state` is the breaker's by now. Nothing here waits."""
    for effect in effects:
        if isinstance(effect, Settled):
            for publication in effect.publications:
                if publication.settle is not None:
                    publication.settle(effect.scope)
        elif isinstance(effect, Degraded):
            _log.warning(_BEGINNINGS[effect.code], reason=effect.detail, state=state.value)
            listeners.degraded(effect)
        elif isinstance(effect, Healed):
            _write_down(effect)
            listeners.healed(effect)
        else:
            _log.info("broker still away", reason=effect.reason, state=state.value)


def _write_down(healed: Healed) -> None:
    told = healed.code is not OutageCode.STARTING
    (_log.warning if told else _log.info)(
        _ENDS[healed.code],
        seconds=round(healed.seconds, 3),
        lost=healed.lost,
        replayed=healed.replayed,
        missed=healed.missed,
    )
