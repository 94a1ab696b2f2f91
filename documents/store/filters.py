"""What documents a query wants: small frozen classes, with no idea of SQL, HTTP or JSON text.

A path leads through objects: `("address", "city")`. Where it meets an array it goes on in each of
the objects there, of one array at most: `("items", "sku")` is every item's `sku`, and where an
array holds no objects there is nothing. A test of a path holds when it holds for a value there.
`Equal`, `Compare` and `Matches` hold for an array, too, when they hold for one of its elements.
Whoever evaluates filters (`matching` in Python, `sql` in a database) follows these sentences.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen

__all__ = [
    "All",
    "Any",
    "Compare",
    "ElementMatches",
    "Equal",
    "Exists",
    "Filter",
    "Matches",
    "Not",
    "Order",
    "Path",
    "Query",
    "Scalar",
    "Size",
    "SortKey",
    "Test",
]

Path: TypeAlias = tuple[str, ...]
"""The names of an object's property and of those inside it.

It is empty only inside of `ElementMatches`, for the element itself.
"""

Scalar: TypeAlias = "str | int | float | bool | None"


@frozen
class Equal:
    """The value is one of these. Numbers equal by their exact value (1 is 1.0), true is not 1.

    None among them holds for null and where there is nothing at the path. A whole number beyond
    signed 64 bits is the float nearest to it, here and in every comparison.
    """

    path: Path
    values: tuple[Scalar, ...]


class Order(StrEnum):
    """How a value compares to an operand."""

    BELOW = "$lt"
    AT_MOST = "$lte"
    ABOVE = "$gt"
    AT_LEAST = "$gte"


@frozen
class Compare:
    """The value is of the operand's type, number or text, and in this order to it.

    Texts are ordered by code points.
    """

    path: Path
    order: Order
    operand: str | int | float


@frozen
class Exists:
    """There is something at the path, null included."""

    path: Path


@frozen
class Matches:
    """The value is a text in which the pattern is found somewhere.

    `patterns` says what part of RE2's syntax it may be. Where case is ignored, a letter stands for
    its small and its capital form.
    """

    path: Path
    pattern: str
    ignore_case: bool = False


@frozen
class Size:
    """The value is an array of so many elements."""

    path: Path
    length: int


@frozen
class ElementMatches:
    """The value is an array, and one of its elements is as `filter` says; paths begin at it."""

    path: Path
    filter: Filter


@frozen
class All:
    """Every one holds; with none, every document is meant."""

    filters: tuple[Filter, ...] = ()


@frozen
class Any:
    """At least one holds; with none, no document is meant."""

    filters: tuple[Filter, ...]


@frozen
class Not:
    """It does not hold. Two-valued: what is missing or of another type does not hold either."""

    filter: Filter


Test: TypeAlias = Equal | Compare | Exists | Matches | Size | ElementMatches
"""What asks something of the value at one path."""

Filter: TypeAlias = Test | All | Any | Not


@frozen
class SortKey:
    """Order by the value at a path, then by creation.

    Nothing and null come first, then numbers, texts, objects, arrays, false, true; objects are
    all equal, and so are arrays.
    """

    path: Path
    descending: bool = False


@frozen
class Query:
    """Which documents, in what order, how many, and what of each.

    `limit` is None where the client gave none. `fields` are top-level names: only these are
    shown (with `id`, always), or all but these when `without`. Without `sort` documents come in
    the order of their creation.
    """

    filter: Filter = All()
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None
    skip: int = 0
    fields: frozenset[str] = field(factory=frozenset)
    without: bool = False
