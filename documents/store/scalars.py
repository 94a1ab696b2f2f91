"""Dates and numbers in the one form in which every store keeps and compares them.

Dates are RFC 3339 texts in UTC with milliseconds, so that text order is time.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["format_date", "normalise_date", "normalise_number"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RFC_3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_LEAST: Final = -(2**63)
_BEYOND: Final = 2**63


def normalise_date(value: str | int | float) -> str | None:
    """Return a date as it is stored, such as `2026-11-25T08:12:33.123Z`, or None when it is none.

    A text is RFC 3339 section 5.6, or a day (`2026-11-25`, its midnight in UTC); a number is unix
    milliseconds. Years are 1 to 9999. What is finer than a millisecond is cut off.
    """
    try:
        if isinstance(value, str):
            return _shown(_moment(value))
        return None if isinstance(value, bool) else _shown(_EPOCH + timedelta(milliseconds=value))
    except (ValueError, OverflowError):  # no such day, or beyond the years there are
        return None


def format_date(unix_seconds: float) -> str:
    """Return a moment as it is stored; raises OverflowError beyond the years 1 to 9999."""
    return _shown(_EPOCH + timedelta(seconds=unix_seconds))


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


def _moment(text: str) -> datetime:
    if _DATE.fullmatch(text) is not None:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    found = _RFC_3339.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, clock, fraction, zone = found.groups()
    milliseconds = (fraction or ".0")[1:4].ljust(3, "0")
    moment = datetime.fromisoformat(f"{day}T{clock}.{milliseconds}{zone.upper()}")
    return moment.astimezone(UTC)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
