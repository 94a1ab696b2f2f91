"""Room-name patterns: ordered rules where the first match counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

__all__ = ["PatternMap", "matches"]

MOST_REMEMBERED: Final = 16_384
"""Names whose match is remembered; with more all are forgotten."""

T = TypeVar("T")


def matches(pattern: str, name: str) -> bool:
    """Say whether a pattern matches a whole name, as in a `PatternMap`.

    For patterns that anybody may have sent: it takes no longer than to read the name once for each
    part, where a regular expression tries them all out.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return first == name
    *inner, last = rest
    if len(first) + len(last) > len(name) or not (name.startswith(first) and name.endswith(last)):
        return False
    place, end = len(first), len(name) - len(last)
    for part in inner:
        place = name.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


class PatternMap(Generic[T]):
    """Values by room-name pattern; `*` stands for any characters, everything else for itself.

    Patterns are tried in the order they were written and the first match counts, so the more
    particular ones go first. Only `*` is special: `?` and brackets cannot occur in a room name.
    """

    __slots__ = ("_found", "_rules")

    def __init__(self, rules: Mapping[str, T]) -> None:
        self._rules = [(pattern, _compile(pattern), value) for pattern, value in rules.items()]
        self._found: dict[str, tuple[str, T] | tuple[None, None]] = {}

    def match(self, name: str) -> T | None:
        """Return the value of the first pattern that matches the whole name, or None.

        Answers are remembered, for each emit asks: a regular expression costs as much as all the
        rest of an emit to another pod.
        """
        try:
            return self._found[name][1]
        except KeyError:
            return self._find(name)[1]

    def pattern_of(self, name: str) -> str | None:
        """Return the first pattern that matches the whole name, as it was written, or None."""
        return (self._found.get(name) or self._find(name))[0]

    def _find(self, name: str) -> tuple[str, T] | tuple[None, None]:
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        rules = ((text, value) for text, pattern, value in self._rules if pattern.fullmatch(name))
        found = self._found[name] = next(rules, (None, None))
        return found

    def preceded_by(self, pattern: str, value: T) -> PatternMap[T]:
        """Return a new map in which this rule is tried before all others."""
        wider: PatternMap[T] = PatternMap({})
        wider._rules = [(pattern, _compile(pattern), value), *self._rules]
        return wider


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
