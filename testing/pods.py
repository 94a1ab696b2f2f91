"""Pods in the loop of a test, and clients of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import trio
from attrs import evolve

from ..actors import RoomFactory
from ..client import Client, connect
from ..config import Chaos, Config, Drain, Secrets, Server
from ..supervisors import Pod, open_pod
from ..transport.brokers.contract import Broker
from ..transport.brokers.memory import MemoryBroker, MemoryBus
from .holding import Holder

__all__ = ["Clients", "Cluster", "Opened", "config_for_tests", "pod_block"]

KEYS: Final = Secrets("master-key-of-deployd.testing", "secret-of-tokens-of-deployd.testing!!")
"""Keys of pods that live for a test, on this machine alone."""

MOST_PODS: Final = 20


class Opened(Protocol):
    """A pod that runs: one of these, or whatever else has a port and signs tokens."""

    @property
    def port(self) -> int:
        """Where it listens."""


def config_for_tests() -> Config:
    """Return the settings of pods for tests: a free port, no documents, chaos allowed, no waits."""
    return Config(
        server=Server(port=0, api_enabled=False),
        drain=Drain(window=0.0, deadline=5.0),
        chaos=Chaos(enabled=True),
    )


def pod_block(
    config: Config,
    rooms: Mapping[str, RoomFactory],
    broker: Callable[[], Broker] | None = None,
) -> AbstractAsyncContextManager[Pod]:
    """Return the block in which a pod runs."""
    return open_pod(config, keys=KEYS, rooms=rooms, broker=broker)


class Cluster:
    """Opens pods that hear each other: `pods = await cluster(3)`."""

    def __init__(self, holder: Holder, config: Config, rooms: Mapping[str, RoomFactory]) -> None:
        self._holder = holder
        self._config = config
        self._rooms = rooms
        self.pods: list[Pod] = []

    async def __call__(
        self,
        pods: int,
        *,
        broker: Callable[[], Broker] | None = None,
        rooms: Mapping[str, RoomFactory] | None = None,
        config: Config | None = None,
    ) -> list[Pod]:
        """Open so many pods and return them when each knows all the others.

        `broker` makes what joins them; without it they share a broker in this process, or that of
        the configuration where one is set. `rooms` and `config` are those of the fixtures
        `deployd_rooms` and `deployd_config`, unless given.
        """
        if not 1 <= pods <= MOST_PODS:
            raise ValueError(f"Ask for 1 to {MOST_PODS} pods.")
        config, bus = config or self._config, MemoryBus()
        shared = broker or (None if config.broker.enabled else lambda: MemoryBroker(bus))
        bound = self._rooms if rooms is None else rooms
        opened = [
            await self._holder.hold(pod_block(_named(config, n), bound, shared))
            for n in range(pods)
        ]
        self.pods += opened
        await _acquainted(opened)
        return opened


def _named(config: Config, number: int) -> Config:
    """Give a pod no name that another has."""
    name = config.server.name
    return evolve(config, server=evolve(config.server, name=f"{name}-{number}" if name else ""))


async def _acquainted(pods: list[Pod]) -> None:
    with trio.fail_after(ACQUAINTED):
        while not all(_knows(pod, len(pods) - 1) for pod in pods):  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)


ACQUAINTED: Final = 15.0
"""Seconds in which pods get to know each other, on a machine that is busy with other tests."""


def _knows(pod: Pod, others: int) -> bool:
    link = pod.link
    return link is not None and link.state.breaker.closed and len(link.state.peers) >= others


class Clients:
    """Connects clients: `ann = await client(pod)`."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    async def __call__(
        self, pod: Opened | str, *, token: str | None = None, user: str | None = None,
        root: bool = False,
    ) -> Client:  # fmt: skip
        """Connect to a pod of this test, or to a URL, and return the client when it is there.

        `token` is what it shows; with `user` or `root` one is signed with the pod's key.
        """
        if isinstance(pod, Pod) and token is None and (user is not None or root):
            name = user or "root"
            token = pod.tokens.sign(name, username=name, is_root=root, ttl=3600.0)
        url = pod if isinstance(pod, str) else f"http://127.0.0.1:{pod.port}"
        return await self._holder.hold(connect(url, token=token))
