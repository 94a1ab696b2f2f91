"""Ways from server to server, each through a proxy, so that it can be cut."""

from __future__ import annotations

import trio

from ..proxy import Blackhole, FaultProxy, Place, Toxic
from .processes import LOCALHOST

__all__ = ["Road"]

_CUT = "cut"


class Road:
    """A way to a server's port, that other servers take for the port."""

    def __init__(self, name: str, port: int, protocol: str = "") -> None:
        here = Place(LOCALHOST, 0)
        there = Place(LOCALHOST, port)
        self._proxy = FaultProxy(name, here, there, protocol=protocol, complain=_say_nothing)

    def open(self, nursery: trio.Nursery, toxic: Toxic | None = None) -> int:
        """Let servers through from now on, and return the port that they take."""
        if toxic is not None:
            self._proxy.toxics.add(toxic)
        self._proxy.start(nursery)
        return self._proxy.port

    @property
    def port(self) -> int:
        """The port that servers take."""
        return self._proxy.port

    def cut(self) -> None:
        """Swallow everything."""
        self._proxy.toxics.put(Blackhole(), name=_CUT)

    def mend(self) -> None:
        """Let everything pass again; what was swallowed is gone, and the servers begin anew."""
        if any(placed.name == _CUT for placed in self._proxy.toxics):
            self._proxy.toxics.remove(_CUT)
            self._proxy.reset_connections()


def _say_nothing(sentence: str) -> None:
    """Servers that are away are what this is for."""
    del sentence
