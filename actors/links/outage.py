"""What is told of an outage: when it begins, and when it is over."""

from __future__ import annotations

from attrs import frozen

from ...transport import JSON

__all__ = ["DEGRADED", "HEALED", "Degraded", "Healed"]

DEGRADED = "system:degraded"
HEALED = "system:healed"


@frozen
class Degraded:
    """The pods are cut off from each other. `since` is when they were last known not to be.

    `since` is in unix seconds: what others said after it may have been missed here.
    """

    reason: str
    since: float

    def to_json(self) -> JSON:
        """Return what clients are told."""
        return {"reason": self.reason, "since": round(self.since, 3)}


@frozen
class Healed:
    """The pods hear each other again.

    `lost` events of this pod did not reach the others, `replayed` did so late, `missed` of the
    others' are known by now not to have come. `seconds` is from `since` to the healing.
    """

    since: float
    seconds: float
    lost: int
    replayed: int
    missed: int

    def to_json(self) -> JSON:
        """Return what clients are told."""
        return {
            "since": round(self.since, 3),
            "seconds": round(self.seconds, 3),
            "lost": self.lost,
            "replayed": self.replayed,
            "missed": self.missed,
        }
