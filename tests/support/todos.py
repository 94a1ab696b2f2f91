"""Definitions of todos."""

from __future__ import annotations

import attrs

from deployd.config import Definition, Property, PropertyType

from .documents import (
    shown,
)

__all__ = ["STRING", "UNIQUE", "ids", "todos"]


STRING = Property(PropertyType.STRING)
UNIQUE = attrs.evolve(STRING, unique=True)


def todos(**properties: Property) -> Definition:
    return Definition("todos", properties)


def ids(page: object) -> str:
    return "".join(str(each["id"]) for each in shown(page))  # type: ignore[arg-type]
