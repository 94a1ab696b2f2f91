"""Scenarios played in the simulator."""

__all__: list[str] = []
