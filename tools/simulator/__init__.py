"""A simulator: whole pods on a virtual clock, a broker that fails by seed, and who judges it."""

from .history import digest
from .oracle import RULES, Violation, judge
from .plan import BROKERS, RunPlan, plan
from .world import run

__all__ = ["BROKERS", "RULES", "RunPlan", "Violation", "digest", "judge", "plan", "run"]
