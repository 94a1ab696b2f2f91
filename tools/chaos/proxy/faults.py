"""Toxics that Toxiproxy has not: what networks lose, keep for themselves, refuse, and damage."""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from .frames import Piece
from .toxic import STREAMS, Item, Reception, Signal, Stage, Stream, Toxic, at_least

__all__ = ["AcceptAndHang", "Blackhole", "FlipBits", "HalfOpen", "RefuseConnections"]

NEVER: Final = float("inf")


class BlackholeStage(Stage):
    """Swallows, ends of streams too."""

    toxic: Blackhole

    def begin(self, at: float) -> None:
        """Nothing was lost yet."""
        self._lost = False

    def take(self, item: Item, at: float) -> None:
        """Lose it, or keep it until the blackhole is gone, as hosts do with their ends."""
        if self.toxic.keep or item in (Signal.END, Signal.RESET, Signal.CLOSE):
            self.put(item, NEVER)
        elif not self._lost:
            self._lost = True
            self.put(Signal.MUTE, at)


@frozen(kw_only=True)
class Blackhole(Toxic):
    """Let nothing through: not one word, and no end until this is over.

    It is so in `both` directions, or in that of `stream`. In both, new connections are accepted
    and hear nothing. What has lost something stays dumb when this is over, for what was lost is
    not made up for: only a new connection is whole. With `keep` nothing is lost: what was sent
    comes when this is over, as from a network whose hosts go on trying.
    """

    kind = "blackhole"
    stage = BlackholeStage
    both: bool = True
    keep: bool = False

    @property
    def streams(self) -> tuple[Stream, ...]:
        """One direction, or both."""
        return STREAMS if self.both else (self.stream,)

    @property
    def takes(self) -> Reception | None:
        """Who comes now reaches nobody."""
        return Reception.HUNG if self.both and not self.keep else None


class HalfOpenStage(Stage):
    """Keeps ends for itself."""

    toxic: HalfOpen

    def take(self, item: Item, at: float) -> None:
        """Let bytes through."""
        self.put(item, at if isinstance(item, Piece) else NEVER)


@frozen(kw_only=True)
class HalfOpen(Toxic):
    """Tell nobody that the other end is gone, neither by FIN nor by RST, until this is over.

    It is so in `both` directions, or in that of `stream` only.
    """

    kind = "half_open"
    stage = HalfOpenStage
    both: bool = True

    @property
    def streams(self) -> tuple[Stream, ...]:
        """One direction, or both."""
        return STREAMS if self.both else (self.stream,)


@frozen(kw_only=True)
class RefuseConnections(Toxic):
    """Refuse new connections; those that are open stay.

    With a toxicity of 1 nobody listens on the port, which stays taken. Below that a connection is
    reset when it has been accepted: who listens cannot choose.
    """

    kind = "refuse"
    reception = Reception.REFUSED


@frozen(kw_only=True)
class AcceptAndHang(Toxic):
    """Accept new connections and never say a word; those that are open stay as they are."""

    kind = "accept_and_hang"
    reception = Reception.HUNG


class FlipBitsStage(Stage):
    """Damages bytes."""

    toxic: FlipBits

    def begin(self, at: float) -> None:
        """Draw how far away the next flip is."""
        self._until = self._draw()

    def take(self, item: Item, at: float) -> None:
        """Flip where it was drawn, whatever the slices that the bytes come in."""
        if isinstance(item, Piece):
            data = bytearray(item.data)
            while self._until < len(data):
                data[self._until] ^= 1 << self.random.randrange(8)
                self._until += 1 + self._draw()
            self._until -= len(data)
            item = evolve(item, data=bytes(data))
        self.put(item, at)

    def _draw(self) -> int:
        return int(self.random.expovariate(1 / self.toxic.every_bytes))


@frozen(kw_only=True)
class FlipBits(Toxic):
    """Flip one bit in `every_bytes` bytes, on average."""

    kind = "flip_bits"
    stage = FlipBitsStage
    every_bytes: int = field(default=5000, validator=at_least(1))
