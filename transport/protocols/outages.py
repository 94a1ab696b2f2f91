"""What is told of an outage, as it begins and when it is over: pods write it, clients read it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import frozen

from ...config import JSON

__all__ = [
    "DEGRADED",
    "HEALED",
    "Degraded",
    "Gap",
    "Healed",
    "Outage",
    "OutageCode",
    "read_outage",
]

DEGRADED = "system:degraded"
HEALED = "system:healed"


class OutageCode(StrEnum):
    """What clients may know of why the pods are cut off from each other."""

    STARTING = "starting"
    """The pod has not reached the others yet."""
    CUT_OFF = "cut_off"
    """It has lost them, or cannot reach them; whose fault that is, root may read."""
    PARTITIONED = "partitioned"
    """The broker is well, and pods that were heard are not any more: dead, or cut off."""
    MISSED = "missed"
    """Events of one room have not come, or found no place here; the pods hear each other."""


_PUBLIC: Final[Mapping[OutageCode, str]] = {
    OutageCode.STARTING: "This pod has not reached the other pods yet; what is said there may be "
    "missing until 'system:healed' comes.",
    OutageCode.CUT_OFF: "The other pods are out of reach; what is said there may be missing until "
    "'system:healed' comes.",
    OutageCode.PARTITIONED: "Some pods are not heard any more: they have ended, or are cut off "
    "from this one; what is said there may be missing until 'system:healed' comes.",
    OutageCode.MISSED: "Events of this room have not come and will not; read again what you keep "
    "of it.",
}


@frozen
class Degraded:
    """The pods are cut off from each other. `since` is when they were last known not to be.

    `since` is in unix seconds: what others said after it may have been missed here. `detail` is
    for who runs the pod: it may name hosts, users and settings, and only root is told it.
    `missing` is how many pods are not heard, where the code is `partitioned`.
    """

    code: OutageCode
    since: float
    detail: str = ""
    missing: int = 0

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
        if self.code is OutageCode.PARTITIONED:
            told["missing"] = self.missing
        return {**told, "detail": self.detail} if root else told


@frozen
class Gap:
    """A hole in what a room was to hear: `missed` events since `since` (unix seconds).

    They were said by other pods and have not come, or found no place here. `whole_at` is when the
    room was found to hear everything again, or None as long as that is not proven.
    """

    room: str | None
    missed: int
    since: float
    whole_at: float | None = None

    def to_json(self) -> JSON:
        """Return what the room's members are told."""
        told: dict[str, JSON] = {
            "code": OutageCode.MISSED.value,
            "since": round(self.since, 3),
            "missed": self.missed,
        }
        if self.room is not None:
            told["room"] = self.room
        if self.whole_at is None:
            return {**told, "reason": _PUBLIC[OutageCode.MISSED]}
        return {**told, "seconds": round(max(0.0, self.whole_at - self.since), 3)}


@frozen
class Healed:
    """The pods hear each other again.

    `lost` events of this pod did not reach the others, `replayed` did so late, `missed` of the
    others' are known by now not to have come. `seconds` is from `since` to the healing, `code` that
    of the outage. `given_up` pods were missing for so long that they are taken to be gone;
    `unheard` pods were not back when what waited was replayed, and may have missed it.
    """

    since: float
    seconds: float
    lost: int
    replayed: int
    missed: int
    code: OutageCode = OutageCode.CUT_OFF
    given_up: int = 0
    unheard: int = 0

    def to_json(self) -> JSON:
        """Return what clients are told."""
        told: dict[str, JSON] = {
            "code": self.code.value,
            "since": round(self.since, 3),
            "seconds": round(self.seconds, 3),
            "lost": self.lost,
            "replayed": self.replayed,
            "missed": self.missed,
        }
        more: dict[str, JSON] = {"given_up": self.given_up, "unheard": self.unheard}
        return {**told, **{name: count for name, count in more.items() if count}}


Outage: TypeAlias = Degraded | Gap | Healed
"""What clients are told of the way between pods."""


def read_outage(event: str, data: JSON) -> Outage | None:
    """Read what `to_json` wrote; None where this is no word of an outage.

    What a newer pod says in a way that is not known here is none either: it stays an event.
    """
    if event not in (DEGRADED, HEALED) or not isinstance(data, dict):
        return None
    try:
        code, since = OutageCode(str(data.get("code"))), _number(data["since"])
        if code is OutageCode.MISSED:
            return _read_gap(data, since, healed=event == HEALED)
        if event == DEGRADED:
            detail = data.get("detail")
            told = detail if isinstance(detail, str) else ""
            return Degraded(code, since, told, _count(data, "missing"))
        return Healed(
            since,
            _number(data["seconds"]),
            code=code,
            **{name: _count(data, name) for name in _COUNTS},
        )
    except (KeyError, ValueError, TypeError):
        return None


_COUNTS: Final = ("lost", "replayed", "missed", "given_up", "unheard")


def _read_gap(data: dict[str, JSON], since: float, *, healed: bool) -> Gap:
    room = data.get("room")
    whole_at = since + _number(data["seconds"]) if healed else None
    return Gap(room if isinstance(room, str) else None, _count(data, "missed"), since, whole_at)


def _number(value: JSON) -> float:
    if type(value) not in (int, float):
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _count(data: Mapping[str, JSON], name: str) -> int:
    value = data.get(name, 0)
    if type(value) is not int:
        raise TypeError
    return value
