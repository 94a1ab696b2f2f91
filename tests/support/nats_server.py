"""NATS servers of the tests' own, gone afterwards.

`nats_server` is one for all tests of a run that leave it as it was; `make_nats_server` starts
others, and `nats_cluster` is three of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest

from deployd.config.brokers import Nats
from deployd.tools.chaos import servers
from deployd.tools.chaos.servers import free_port, until_joined

from .servers import where_installed

__all__ = ["MakeNatsServer", "NatsServer", "make_nats_server", "nats_cluster", "nats_server"]

_SIZE: Final = 3


class NatsServer(servers.NatsServer):
    """One server, and the settings of pods that use it."""

    def __init__(self, folder: Path, configuration: str = "", **where: str) -> None:
        with where_installed():
            super().__init__(folder, configuration, **where)

    def settings(self, **changes: Any) -> Nats:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(super().settings(), **changes)


MakeNatsServer: TypeAlias = Callable[..., NatsServer]


@pytest.fixture(scope="session")
def nats_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NatsServer]:
    """A server that tests share."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_nats_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeNatsServer]:
    """Start a server with lines of configuration; all are killed afterwards."""
    made: list[NatsServer] = []

    def make(configuration: str = "", **where: str) -> NatsServer:
        server = NatsServer(tmp_path_factory.mktemp("nats"), configuration, **where)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        with suppress(ProcessLookupError):
            server.kill()


@pytest.fixture(scope="session")
def nats_cluster(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[NatsServer]]:
    """Three servers with routes between them, which tests share."""
    routes = [free_port() for _ in range(_SIZE)]
    urls = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
    three = [
        NatsServer(
            tmp_path_factory.mktemp("nats"),
            f"server_name: s{port}\n"
            f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{urls}] }}',
        )
        for port in routes
    ]
    for server in three:
        server.spawn()
    for server in three:
        server.wait()
    until_joined(three)
    yield three
    for server in three:
        server.kill()
