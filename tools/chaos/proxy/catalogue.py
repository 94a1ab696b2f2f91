"""All toxics by their names, and how they are written: as JSON that Toxiproxy's clients know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from .errors import BadToxic, nearest
from .faults import AcceptAndHang, Blackhole, FlipBits, HalfOpen, RefuseConnections
from .frame_toxics import CutFrame, DelayFrames, DropFrames, DuplicateFrames, ReorderFrames
from .stock import Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout
from .toxic import DOWNSTREAM, Toxic

__all__ = ["KINDS", "attributes_of", "changed", "make_toxic"]

KINDS: Final[Mapping[str, type[Toxic]]] = {
    toxic.kind: toxic
    for toxic in (
        Latency,
        Bandwidth,
        SlowClose,
        Timeout,
        ResetPeer,
        Slicer,
        LimitData,
        Blackhole,
        HalfOpen,
        RefuseConnections,
        AcceptAndHang,
        FlipBits,
        DropFrames,
        DelayFrames,
        DuplicateFrames,
        ReorderFrames,
        CutFrame,
    )
}

_COMMON: Final = tuple(field.name for field in attrs.fields(Toxic))
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
}
_WORDS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
}


def make_toxic(
    kind: str,
    attributes: Mapping[str, object],
    *,
    stream: object = DOWNSTREAM,
    toxicity: object = 1.0,
) -> Toxic:
    """Make a toxic of a kind. Raises `BadToxic`."""
    toxic = KINDS.get(kind)
    if toxic is None:
        raise BadToxic(f"invalid toxic type {kind!r}: {nearest(kind, KINDS)}")
    settings = _checked(toxic, attributes)
    return toxic(**settings, **_common(stream, toxicity))  # type: ignore[arg-type]


def changed(toxic: Toxic, attributes: Mapping[str, object], toxicity: object) -> Toxic:
    """Return a toxic with some of its attributes changed. Raises `BadToxic`."""
    settings = _checked(type(toxic), attributes)
    return attrs.evolve(toxic, **settings, **_common(toxic.stream, toxicity))  # type: ignore[arg-type]


def attributes_of(toxic: Toxic) -> dict[str, object]:
    """Return the attributes that a toxic of its kind has."""
    return attrs.asdict(toxic, filter=lambda field, _: field.name not in _COMMON)


def _common(stream: object, toxicity: object) -> dict[str, object]:
    if isinstance(toxicity, bool) or not isinstance(toxicity, int | float):
        raise BadToxic(f"toxicity is {toxicity!r}; it must be a number from 0 to 1.")
    return {"stream": stream, "toxicity": float(toxicity)}


def _checked(toxic: type[Toxic], attributes: Mapping[str, object]) -> dict[str, object]:
    """Look at names and types; the values are for the toxic to judge."""
    types = {
        field.name: str(field.type) for field in attrs.fields(toxic) if field.name not in _COMMON
    }
    settings: dict[str, object] = {}
    for name, value in attributes.items():
        if name not in types:
            raise BadToxic(f"{toxic.kind} has no attribute {name!r}: {nearest(name, types)}")
        kind = types[name]
        if isinstance(value, bool) is not (kind == "bool") or not isinstance(value, _TYPES[kind]):
            raise BadToxic(f"{toxic.kind}: {name} is {value!r}; it must be {_WORDS[kind]}.")
        settings[name] = value
    return settings
