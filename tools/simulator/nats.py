"""NATS: servers with routes, over which interest spreads in its own time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from ...transport import BrokerUnavailable
from ...transport.brokers.contract import Message
from .connection import Connection, Handing
from .network import BrokerNode, SimulatedNetwork

__all__ = ["SimulatedNats"]

STEP: Final = 1.0
"""Seconds that a server may take to let a pod in where there are others to try."""


class SimulatedNats(Connection[SimulatedNetwork]):
    """A connection to one of the servers; a pod that `roams` knows all, and tries any of them."""

    subscribes_twice = False

    def __init__(
        self, network: SimulatedNetwork, pod: int, place: int, *, roams: bool = False
    ) -> None:
        super().__init__(network, pod, place)
        self._roams = roams
        self.routed = len(network.servers) > 1

    async def _find(self) -> Sequence[BrokerNode]:
        candidates = [self._network.servers[self.place]]
        if self._roams:
            candidates = self._network.shuffled()
        for server in candidates:
            if not server.up or server.lame:
                await trio.sleep(self._network.way())
                continue
            with trio.move_on_after(STEP if self._roams else float("inf")):
                await self._let_in(server)
                self.node = f"node{server.number}"
                return [server]
        raise BrokerUnavailable(f"{self.endpoint}: connection refused.")

    async def _let_in(self, server: BrokerNode) -> None:
        while server.thawed is not None:
            await server.thawed.wait()

    def _handle(
        self,
        handing: Handing,
        server: BrokerNode,
        part: Sequence[int],
        batch: Sequence[Message],
    ) -> None:
        """Take what is allowed; what is too large ends the connection, as the protocol has it."""
        network = self._network
        denied = network.denied.get(self.pod, ())
        for place in part:
            channel, payload = batch[place]
            if len(payload) > network.limit:
                self.lose("maximum payload violation: it has lowered its max_payload")
                return
            if channel in denied:
                handing.refused.append(place)
            else:
                network.carry(self.pod, server, channel, payload)
