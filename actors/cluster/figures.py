"""How a link is, for whoever looks: `/health`, root, the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...transport import JSON
from ..runtime import Mailbox
from .deduplicator import Deduplicator
from .names import PodName
from .sequences import Sequences
from .state import LinkState
from .subscriptions import Subscriptions

__all__ = ["LinkFigures"]


class LinkFigures:
    """Reads what the parts of a link know. `kind` is the broker's type, as it is configured.

    The link sets `endpoint` (to show, without secrets) when it knows it.
    """

    def __init__(
        self,
        kind: str,
        name: PodName,
        state: LinkState,
        subscriptions: Subscriptions,
        deduplicator: Deduplicator,
        sequences: Sequences,
        outbox: Mailbox[Any],
        clock: Callable[[], float],
        *,
        signed: bool,
    ) -> None:
        self.kind = kind
        self.endpoint = ""
        self._name = name
        self._state = state
        self._subscriptions = subscriptions
        self._deduplicator = deduplicator
        self._sequences = sequences
        self._outbox = outbox
        self._clock = clock
        self._signed = signed

    @property
    def seconds_deaf(self) -> float:
        """Seconds since the link was last proven; 0 while the breaker is closed."""
        return self._state.seconds_deaf(self._clock())

    def health(self) -> Mapping[str, JSON]:
        """Show how the link is. Times are seconds; everything else is counted since the start."""
        state, deduplicator, outbox = self._state, self._deduplicator, self._outbox.statistics()
        breaker, counters = state.breaker, state.counters
        holder = self._name.holder
        return {
            "type": self.kind,
            "name": self._name.name,
            "name_taken_by": "" if holder is None else holder.origin,
            "active": self.kind if breaker.closed else "memory",
            "endpoint": self.endpoint,
            "state": breaker.state.value,
            "reason": breaker.reason,
            "last_canary_seconds": counters.round_trip,
            "seconds_deaf": round(self.seconds_deaf, 3),
            "reconnects": max(0, counters.connects - 1),
            "outages": counters.trips,
            "pods": 1 + len(state.peers),
            "missing_pods": 0 if state.peers.partition is None else state.peers.partition.missing,
            "subscriptions": len(self._subscriptions),
            "outbox": outbox.waiting,
            "outbox_bytes": outbox.bytes,
            "buffer": len(state.buffer),
            "buffer_bytes": state.buffer.nbytes,
            "published": counters.published,
            "received": counters.received,
            "replayed": counters.replayed,
            "lost": counters.lost,
            "missed": self._sequences.missed,
            "dropped": {
                "overflowed": counters.overflowed,
                "expired": counters.expired,
                "too_large": counters.too_large,
                "unspeakable": counters.unspeakable,
                "denied": counters.denied,
                "undelivered": counters.undelivered,
                "duplicates": deduplicator.duplicates,
                "own": deduplicator.own,
                "invalid": counters.invalid,
            },
            "refused": {fault.value: count for fault, count in counters.refused.items()},
            "signed": self._signed,
            "history": state.history.to_json(),
        }
