"""What is told of an outage: when it begins, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from attrs import frozen

from ...transport import JSON

__all__ = ["DEGRADED", "HEALED", "Degraded", "Healed", "OutageCode"]

DEGRADED = "system:degraded"
HEALED = "system:healed"


class OutageCode(StrEnum):
    """What clients may know of why the pods are cut off from each other."""

    STARTING = "starting"
    """The pod has not reached the others yet."""
    CUT_OFF = "cut_off"
    """It has lost them, or cannot reach them; whose fault that is, root may read."""


_PUBLIC: Final[Mapping[OutageCode, str]] = {
    OutageCode.STARTING: "This pod has not reached the other pods yet; what is said there may be "
    "missing until 'system:healed' comes.",
    OutageCode.CUT_OFF: "The other pods are out of reach; what is said there may be missing until "
    "'system:healed' comes.",
}


@frozen
class Degraded:
    """The pods are cut off from each other. `since` is when they were last known not to be.

    `since` is in unix seconds: what others said after it may have been missed here. `detail` is
    for who runs the pod: it may name hosts, users and settings, and only root is told it.
    """

    code: OutageCode
    since: float
    detail: str = ""

    @property
    def reason(self) -> str:
        """The public sentence."""
        return _PUBLIC[self.code]

    def to_json(self, *, root: bool = False) -> JSON:
        """Return what clients are told; root is told the rest too."""
        told: dict[str, JSON] = {
            "code": self.code.value,
            "reason": self.reason,
            "since": round(self.since, 3),
        }
        return {**told, "detail": self.detail} if root else told


@frozen
class Healed:
    """The pods hear each other again.

    `lost` events of this pod did not reach the others, `replayed` did so late, `missed` of the
    others' are known by now not to have come. `seconds` is from `since` to the healing, `code` that
    of the outage.
    """

    since: float
    seconds: float
    lost: int
    replayed: int
    missed: int
    code: OutageCode = OutageCode.CUT_OFF

    def to_json(self) -> JSON:
        """Return what clients are told."""
        return {
            "since": round(self.since, 3),
            "seconds": round(self.seconds, 3),
            "lost": self.lost,
            "replayed": self.replayed,
            "missed": self.missed,
        }
