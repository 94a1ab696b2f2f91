"""A simulator: whole pods on a virtual clock, and a broker that fails by seed."""

from .faults import Fault, Kind
from .plan import BROKERS, Act, Deed, RunPlan, plan
from .process import prepare, quiet
from .world import World, run

__all__ = [
    "BROKERS",
    "Act",
    "Deed",
    "Fault",
    "Kind",
    "RunPlan",
    "World",
    "plan",
    "prepare",
    "quiet",
    "run",
]
