"""Chaos: what goes wrong on purpose, what becomes of it, and who says so."""

__all__: list[str] = []
