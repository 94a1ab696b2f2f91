"""Scenarios played in the simulator."""

from .playing import obstacle, simulate_scenario
from .staging import NotSimulated

__all__ = ["NotSimulated", "obstacle", "simulate_scenario"]
