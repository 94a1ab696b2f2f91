"""Scenarios played in the simulator."""

from .playing import obstacle, prepare, simulate_scenario
from .staging import NotSimulated

__all__ = ["NotSimulated", "obstacle", "prepare", "simulate_scenario"]
