"""Numbers as every store can keep and compare them exactly."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["normalise_number"]

_LEAST: Final = -(2**63)
_BEYOND: Final = 2**63


def normalise_number(value: int | float) -> int | float | None:
    """Return the same number as an int where it is a whole one of signed 64 bits, else as a float.

    None when it is not finite. JSON knows one kind of number, Python and SQLite two, PostgreSQL
    decimals: 9223372036854775000.0 is another number there than the float nearest to it.
    """
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    whole = isinstance(value, int) or value.is_integer()
    return int(value) if whole and _LEAST <= value < _BEYOND else number
