"""A toxic that does no harm: where a server of Redis names others, it names their proxies.

Sentinels and the nodes of a cluster tell pods where to go; without it pods would go round every
proxy but the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from ..proxy.frames import Piece
from ..proxy.toxic import FRAMES, Item, Stage, Toxic

__all__ = ["Readdress"]

_PORT: Final = re.compile(rb"(?<=[:\n])(\d{5})(?=\r\n)")
"""A number of RESP, the end of `host:port`, a text that is nothing else: as answers name ports."""


class ReaddressStage(Stage):
    """Changes ports."""

    toxic: Readdress

    def take(self, item: Item, at: float) -> None:
        """Change the ports that are known to others of the same length."""
        if isinstance(item, Piece):
            item = evolve(item, data=_PORT.sub(self._changed, item.data))
        self.put(item, at)

    def _changed(self, found: re.Match[bytes]) -> bytes:
        port = self.toxic.ports.get(int(found[1]))
        return found[1] if port is None else b"%d" % port


@frozen(kw_only=True)
class Readdress(Toxic):
    """Name other `ports`: for each its own; all have five digits.

    On a proxy that reads frames an answer is seen as a whole. On others one that comes in pieces
    may keep a port.
    """

    kind = "readdress"
    stage = ReaddressStage
    rank = FRAMES - 1
    ports: Mapping[int, int]
