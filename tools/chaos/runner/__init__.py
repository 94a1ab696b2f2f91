"""Scenarios played with real servers, real pods as processes, and real clients."""

from .playing import Bench, hindrance, play_scenario

__all__ = ["Bench", "hindrance", "play_scenario"]
