"""Real brokers for the benchmarks, on free ports, gone afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployd.tools.chaos.servers import (
    BrokerServer,
    NatsServer,
    RabbitServer,
    RedisServer,
    work_folder,
)

sys.path.append(str(Path(__file__).parent.parent / "tests"))

__all__ = ["BROKERS", "BrokerServer", "broker_server"]


BROKERS: Mapping[str, Callable[[Path], BrokerServer]] = {
    "nats": NatsServer,
    "redis": RedisServer,
    "rabbitmq": RabbitServer,
}


@contextmanager
def broker_server(kind: str) -> Iterator[tuple[BrokerServer, dict[str, Any]]]:
    """Run one; the second is what a pod's `broker` section says of it. Killed at the end."""
    with work_folder() as folder:
        server = BROKERS[kind](folder)
        try:
            server.start()
            where = {"host": "127.0.0.1", "port": server.port}
            yield server, {"type": kind, "enabled": True, kind: where}
        finally:
            server.remove()
