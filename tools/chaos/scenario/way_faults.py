"""What may be done to the ways of pods to their broker."""

# ruff: noqa: RUF009 - `setting` declares a field, as `attrs.field` does

from typing import Final

from attrs import frozen

from ....config.fields import setting
from .faults import Direction, Trouble

__all__ = ["WAY_FAULTS"]


@frozen
class OfWays(Trouble):
    """What is done to the ways of pods to the broker."""

    pods: tuple[int, ...] = setting((), help="Whose ways; an empty list is all pods'.")


@frozen
class WayLatency(OfWays):
    """What goes to the broker and comes from it takes longer, and keeps its order."""

    name = "way.latency"

    delay: float = setting(0.5, unit="seconds", ge=0, le=30, help="How much longer each way takes.")
    jitter: float = setting(
        0.0, unit="seconds", ge=0, le=30, help="By how much that differs, up and down."
    )


@frozen
class WayBlackhole(OfWays):
    """The way swallows everything; nothing is reset."""

    name = "way.blackhole"

    direction: Direction = setting("both", help="`in` is what comes from the broker.")


@frozen
class WayCut(OfWays):
    """Connections are reset."""

    name = "way.cut"
    momentary = True


@frozen
class WayBandwidth(OfWays):
    """The way is narrow."""

    name = "way.bandwidth"

    rate: int = setting(16_384, unit="bytes a second", ge=1, help="What goes through, each way.")


@frozen
class WayCutAfter(OfWays):
    """Connections are reset after so many bytes: in the middle of a message."""

    name = "way.cut_after"

    size: int = setting(100, unit="bytes", ge=1, help="What still goes through.")


@frozen
class WaySlices(OfWays):
    """Bytes come in small pieces."""

    name = "way.slices"

    size: int = setting(1, unit="bytes", ge=1, help="How small.")


@frozen
class WaySlowClose(OfWays):
    """That a connection has ended is not told."""

    name = "way.slow_close"


@frozen
class WayHang(OfWays):
    """Connections are reset, new ones accepted, and nothing is said on them."""

    name = "way.hang"


@frozen
class WayRefuse(OfWays):
    """Connections are reset, and no new ones accepted."""

    name = "way.refuse"


@frozen
class WayDrop(OfWays):
    """Messages to a pod vanish."""

    name = "way.drop"

    room: str = setting("", help="Of which room; empty is all.")
    beats: bool = setting(False, help="Only what all pods hear: their beats.")
    share: float = setting(1.0, gt=0, le=1, help="How many of them.")


@frozen
class WayDuplicate(OfWays):
    """Messages come to a pod twice."""

    name = "way.duplicate"

    share: float = setting(0.5, gt=0, le=1, help="How many of them.")


@frozen
class WayReorder(OfWays):
    """Messages come to a pod after those that were said later."""

    name = "way.reorder"

    share: float = setting(0.5, gt=0, le=1, help="How many of them.")


@frozen
class WayFlip(OfWays):
    """Bits are flipped."""

    name = "way.flip"

    share: float = setting(0.01, gt=0, le=1, help="In how many of the pieces that come.")


@frozen
class WayNoName(OfWays):
    """The broker's name cannot be resolved, and its connections are reset."""

    name = "way.no_name"


@frozen
class WayDeadAddress(OfWays):
    """The broker's name leads to an address at which nobody answers, and to its own."""

    name = "way.dead_address"


WAY_FAULTS: Final[tuple[type[Trouble], ...]] = (
    *(WayLatency, WayBlackhole, WayCut, WayBandwidth, WayCutAfter, WaySlices, WaySlowClose),
    *(WayHang, WayRefuse, WayDrop, WayDuplicate, WayReorder, WayFlip, WayNoName, WayDeadAddress),
)
