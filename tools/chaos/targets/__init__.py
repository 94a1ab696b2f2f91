"""Other systems on the same bench: each says how its pods are started and its clients connect."""

from .contract import BenchTarget, GuestSeat, PodPost, PodStanding, TargetError
from .deployd import OurTarget
from .finding import TARGETS, find_target, spelled
from .guest import Guest

__all__ = [
    "TARGETS",
    "BenchTarget",
    "Guest",
    "GuestSeat",
    "OurTarget",
    "PodPost",
    "PodStanding",
    "TargetError",
    "find_target",
    "spelled",
]
