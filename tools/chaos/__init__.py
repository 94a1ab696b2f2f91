"""Faults on purpose: what they are done with, and what is seen then."""

__all__: list[str] = []
