"""Chaos tests: faults, what they are put together to, and what is said of them."""

__all__: list[str] = []
