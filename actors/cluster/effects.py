"""What a link's state has decided is done: told, and written down."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from ...config import get_logger
from ...transport import InDoubt
from ...transport.protocols import Degraded, Healed, OutageCode
from .inbound import Listeners
from .names import Renamed
from .state import Effect, LinkState, Settled

__all__ = ["perform", "write_down_name"]

_log = get_logger("realtime")

_AWAY: Final = "switched to the memory broker: the other pods are out of reach"
_BEGINNINGS: Final = {
    OutageCode.STARTING: _AWAY,
    OutageCode.CUT_OFF: _AWAY,
    OutageCode.PARTITIONED: "pods are not heard any more, though the broker is well",
}
_ENDS: Final = {
    OutageCode.STARTING: "reached the broker",
    OutageCode.CUT_OFF: "back on the broker",
    OutageCode.PARTITIONED: "no pod is missing any more",
}


def perform(effects: Iterable[Effect], link: LinkState, listeners: Listeners) -> None:
    """Do what was decided of a link, in its order. Nothing here waits."""
    state, history = link.breaker.state, link.history
    for effect in effects:
        if isinstance(effect, Settled):
            for publication in effect.publications:
                if publication.settle is not None:
                    publication.settle(InDoubt() if effect.in_doubt else effect.scope)
        elif isinstance(effect, Degraded):
            _log.warning(_BEGINNINGS[effect.code], reason=effect.detail, state=state.value)
            history.began(effect, state)
            listeners.degraded(effect)
        elif isinstance(effect, Healed):
            _write_down(effect)
            history.ended(effect)
            listeners.healed(effect)
        else:
            history.still(effect.reason)
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


def write_down_name(renamed: Renamed) -> None:
    """Write down that a pod has another name, or its own again: the first time, then ever less."""
    if renamed.times.bit_count() != 1:
        return
    holder = renamed.holder
    if holder is None:
        _log.info("this pod has its name back", name=renamed.name)
        return
    began = datetime.fromtimestamp(holder.epoch / 1000, UTC)  # an elder's: no later than this pod's
    _log.warning(
        "another pod has the name of this one",
        wanted=renamed.wanted,
        name=renamed.name,
        other=holder.origin,
        since=began.isoformat(timespec="seconds"),
        remedy="give each pod a server.name of its own, or none; it is this one's again when the "
        "other has gone",
    )
