"""What a link has done since the pod started."""

from __future__ import annotations

from attrs import field, mutable

from ...transport import EnvelopeFault

__all__ = ["Counters"]


@mutable
class Counters:
    """Events, but where something else is said. `round_trip` is the last canary's, in seconds.

    Six say what did not reach the other pods and never will: `cut_off` (said while the broker was
    away, or never proven to have got there), `overflowed` (no room in the outbox or buffer),
    `expired` (older than `messageTTL`), `too_large`, `unspeakable` (a name that no room or
    event may have, or data that is nested too deep), and `denied` (the broker does not let this
    pod speak there). `undelivered` came from others and found no
    room in a room's mailbox, or was larger than what clients take. `refused` counts messages of
    the broker, by what was wrong.
    """

    published: int = 0
    received: int = 0
    buffered: int = 0
    replayed: int = 0
    cut_off: int = 0
    overflowed: int = 0
    expired: int = 0
    too_large: int = 0
    unspeakable: int = 0
    denied: int = 0
    undelivered: int = 0
    refused: dict[EnvelopeFault, int] = field(factory=lambda: dict.fromkeys(EnvelopeFault, 0))
    connects: int = 0
    trips: int = 0
    round_trip: float | None = None
    _lost_before: int = 0
    _replayed_before: int = 0
    _missed_before: int = 0

    @property
    def invalid(self) -> int:
        """Messages of the broker that were refused, for whatever reason."""
        return sum(self.refused.values())

    @property
    def lost(self) -> int:
        """What will never reach the other pods, for whatever reason."""
        return sum(self.lost_by_reason().values())

    def lost_by_reason(self) -> dict[str, int]:
        """Return the same by reason, as metrics name them."""
        return {
            "outage": self.cut_off,
            "overflow": self.overflowed,
            "expired": self.expired,
            "too_large": self.too_large,
            "unspeakable": self.unspeakable,
            "denied": self.denied,
        }

    def begin_outage(self, missed: int) -> None:
        """Remember where an outage begins."""
        self._lost_before, self._replayed_before = self.lost, self.replayed
        self._missed_before = missed

    def outage(self, missed: int) -> tuple[int, int, int]:
        """Return what was lost, replayed and missed since the outage began."""
        return (
            self.lost - self._lost_before,
            self.replayed - self._replayed_before,
            missed - self._missed_before,
        )
