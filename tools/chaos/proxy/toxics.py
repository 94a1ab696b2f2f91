"""The toxics that are on a proxy, by their names; they may be changed at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, evolve, field

from .errors import BadToxic, ToxicExists, UnknownToxic, nearest
from .frame_toxics import FrameToxic
from .toxic import STREAMS, UPSTREAM, Stream, Toxic, Uses

__all__ = ["MAX_TOXICS", "PlacedToxic", "Toxics"]

MAX_TOXICS: Final = 256
"""Toxics on one proxy."""


@define
class PlacedToxic:
    """A toxic with its name. It is the same for as long as it is there, whatever its settings."""

    name: str
    toxic: Toxic
    uses: Uses = field(factory=Uses)


class Toxics:
    """What is on a proxy. `changed` is told of each that is put on, changed or taken off (None).

    `protocol` is what the proxy reads.
    """

    def __init__(self, protocol: str, changed: Callable[[str, PlacedToxic | None], object]) -> None:
        self._protocol = protocol
        self._changed = changed
        self._placed: dict[str, PlacedToxic] = {}

    def __iter__(self) -> Iterator[PlacedToxic]:
        """Go through them as Toxiproxy lists them: first upstream, then downstream."""
        yield from sorted(self._placed.values(), key=lambda one: one.toxic.stream != UPSTREAM)

    def __len__(self) -> int:
        return len(self._placed)

    def add(self, toxic: Toxic, *, name: str = "", stream: Stream | None = None) -> str:
        """Put a toxic on, and return its name: that of its kind and its stream, unless given.

        Raises `ToxicExists` or `BadToxic`.
        """
        placed = self._prepared(toxic, name, stream)
        if placed.name in self._placed:
            raise ToxicExists(f"toxic already exists: {placed.name}; change it, or name this one.")
        if len(self._placed) >= MAX_TOXICS:
            raise BadToxic(f"There are {MAX_TOXICS} toxics on this proxy, which is the most.")
        self._placed[placed.name] = placed
        self._changed(placed.name, placed)
        return placed.name

    def put(self, toxic: Toxic, *, name: str = "", stream: Stream | None = None) -> str:
        """Put a toxic on, or change the one that has its name."""
        placed = self._prepared(toxic, name, stream)
        if placed.name not in self._placed:
            return self.add(placed.toxic, name=placed.name)
        self.change(placed.name, placed.toxic)
        return placed.name

    def put_both(self, toxic: Toxic) -> tuple[str, ...]:
        """Put a toxic on both ways, or change those that are there."""
        return tuple(self.put(toxic, stream=stream) for stream in STREAMS)

    def change(self, name: str, toxic: Toxic) -> None:
        """Give a toxic other settings. Raises `UnknownToxic` or `BadToxic`."""
        placed = self.get(name)
        if type(toxic) is not type(placed.toxic) or toxic.streams != placed.toxic.streams:
            raise BadToxic(f"{name} stays of its kind and on its stream; take it off and add anew.")
        self._check(toxic)
        placed.toxic = toxic
        self._changed(name, placed)

    def remove(self, name: str) -> None:
        """Take a toxic off. Raises `UnknownToxic`."""
        self.get(name)
        del self._placed[name]
        self._changed(name, None)

    def clear(self) -> None:
        """Take all of them off."""
        for name in list(self._placed):
            self.remove(name)

    def get(self, name: str) -> PlacedToxic:
        """Return a toxic. Raises `UnknownToxic`."""
        if name not in self._placed:
            raise UnknownToxic(f"toxic not found: {name}; {nearest(name, self._placed)}")
        return self._placed[name]

    def _prepared(self, toxic: Toxic, name: str, stream: Stream | None) -> PlacedToxic:
        toxic = toxic if stream is None else evolve(toxic, stream=stream)
        self._check(toxic)
        return PlacedToxic(name or f"{toxic.kind}_{toxic.stream}", toxic)

    def _check(self, toxic: Toxic) -> None:
        if isinstance(toxic, FrameToxic) and toxic.needs_protocol and not self._protocol:
            raise BadToxic(
                f"{toxic.kind} is to choose frames, but this proxy reads none; make it with a "
                "protocol: redis, nats or rabbitmq."
            )
