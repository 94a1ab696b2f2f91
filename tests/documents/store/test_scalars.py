from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.documents.store import format_date, normalise_date, normalise_number


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-11-25T08:12:33.123Z", "2026-11-25T08:12:33.123Z"),
        ("2026-11-25t08:12:33z", "2026-11-25T08:12:33.000Z"),
        ("2026-11-25 08:12:33.1Z", "2026-11-25T08:12:33.100Z"),
        ("2026-11-25T08:12:33.1239999Z", "2026-11-25T08:12:33.123Z"),
        ("2026-11-25T00:12:33+01:30", "2026-11-24T22:42:33.000Z"),
        ("2026-11-25T23:12:33-01:30", "2026-11-26T00:42:33.000Z"),
        ("2026-11-25", "2026-11-25T00:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        (1_764_058_353_123, "2025-11-25T08:12:33.123Z"),
        (1_764_058_353_123.9, "2025-11-25T08:12:33.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_date_has_one_form_once_stored(written: str | float, stored: str) -> None:
    assert normalise_date(written) == stored


@pytest.mark.parametrize(
    "other",
    [
        *(
            "",
            "now",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-30",
            "26-11-25",
            "2026-11-25T08:12Z",
        ),
        *("2026-11-25T08:12:33", "2026-11-25T24:00:00Z", "2026-11-25T08:12:60Z"),
        *("2026-11-25T08:12:33.Z", "2026-11-25T08:12:33+0100", "2026-11-25T08:12:33+24:00"),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "٢٠٢٦-11-25", "2026-11-25\n"),
        *("2026-11-25\0", "20261125", "2026-W48-3"),
        *(True, False, 10**15, 10**400, float("inf"), float("nan")),
    ],
    ids=repr,
)
def test_what_is_no_date_is_none(other: str | float) -> None:
    assert normalise_date(other) is None


@given(st.text() | st.integers() | st.floats())
def test_no_value_does_more_than_be_no_date(value: str | float) -> None:
    stored = normalise_date(value)
    assert stored is None or normalise_date(stored) == stored


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stored_dates_are_ordered_as_texts(one: datetime, other: datetime) -> None:
    first, second = sorted([one, other])
    a, b = (str(normalise_date(moment.isoformat())) for moment in (first, second))
    assert a <= b


def test_a_clock_is_shown_as_dates_are_stored() -> None:
    assert format_date(1_764_058_353.123) == "2025-11-25T08:12:33.123Z"
    assert format_date(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        (1, 1),
        (1.0, 1),
        (-0.0, 0),
        (0.5, 0.5),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, 2.0**63),
        (2.0**63, 2.0**63),
        (2.0**63 - 1024, 2**63 - 1024),
        (-(2.0**63), -(2**63)),
        (-(2**63) - 1, -(2.0**63)),
        (1e300, 1e300),
    ],
    ids=repr,
)
def test_a_whole_number_of_64_bits_is_an_int_and_any_other_a_float(
    number: float, stored: float
) -> None:
    found = normalise_number(number)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_what_is_not_finite_is_no_number(number: float) -> None:
    assert normalise_number(number) is None
