"""Other systems on the same bench: each says how its pods are started and its clients connect."""

from .contract import PodPost, PodStanding, Seat, Target, TargetError
from .deployd import OurTarget
from .finding import TARGETS, find_target
from .guest import Guest

__all__ = [
    "TARGETS",
    "Guest",
    "OurTarget",
    "PodPost",
    "PodStanding",
    "Seat",
    "Target",
    "TargetError",
    "find_target",
]
