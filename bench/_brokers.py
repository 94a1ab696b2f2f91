"""Real brokers for the benchmarks: servers of the tests' own, on free ports, gone afterwards."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

sys.path.append(str(Path(__file__).parent.parent / "tests"))

__all__ = ["BROKERS", "BrokerServer", "broker_server"]


class BrokerServer(Protocol):
    """What is done to a server."""

    port: int

    def start(self) -> None:
        """Start, and return when it answers."""

    def spawn(self) -> None:
        """Start, and return at once."""

    def wait(self) -> None:
        """Return when it answers."""

    def kill(self) -> None:
        """`kill -9`."""

    def freeze(self) -> None:
        """SIGSTOP."""

    def thaw(self) -> None:
        """SIGCONT."""


def _nats(folder: Path, stack: ExitStack) -> BrokerServer:
    from support.nats_server import NatsServer

    server = NatsServer(folder)
    stack.callback(server.kill)
    return server


def _redis(folder: Path, stack: ExitStack) -> BrokerServer:
    from support.redis_server import RedisServer

    server = RedisServer(folder)
    stack.callback(server.kill)
    return server


def _rabbitmq(folder: Path, stack: ExitStack) -> BrokerServer:
    from support.rabbitmq_server import RabbitServer

    server = RabbitServer(folder)
    stack.callback(server.remove)
    return server


BROKERS: Mapping[str, Callable[[Path, ExitStack], BrokerServer]] = {
    "nats": _nats,
    "redis": _redis,
    "rabbitmq": _rabbitmq,
}


@contextmanager
def broker_server(kind: str) -> Iterator[tuple[BrokerServer, dict[str, Any]]]:
    """Run one; the second is what a pod's `broker` section says of it. Killed at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        server = BROKERS[kind](Path(folder), stack)
        server.start()
        where = {"host": "127.0.0.1", "port": server.port}
        yield server, {"type": kind, "enabled": True, kind: where}
