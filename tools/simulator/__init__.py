"""A simulator: whole pods on a virtual clock, and a broker that fails by seed."""

from .plan import BROKERS, RunPlan, plan
from .world import run

__all__ = ["BROKERS", "RunPlan", "plan", "run"]
