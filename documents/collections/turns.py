"""Whose turn waits for whose: a circle of them would never end by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Turns"]


class Turns:
    """The calls of scripts that hold the turns of some collections and wait for that of another."""

    def __init__(self) -> None:
        self._waits: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def waiting(self, held: frozenset[str], wanted: str) -> Iterator[None]:
        """Say that the turns of `held` do not end before that of `wanted` has come."""
        pairs = [(name, wanted) for name in held]
        self._waits.update(pairs)
        try:
            yield
        finally:
            for pair in pairs:
                self._waits[pair] -= 1
                if not self._waits[pair]:
                    del self._waits[pair]

    def would_close_a_circle(self, held: frozenset[str], wanted: str) -> bool:
        """Say whether whoever has the turn of `wanted` waits for one of `held`, by others too."""
        seen: set[str] = set()
        ahead = {wanted}
        while ahead and not ahead & held:
            seen |= ahead
            ahead = {there for here, there in self._waits if here in ahead} - seen
        return bool(ahead)
