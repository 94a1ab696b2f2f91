"""RabbitMQ servers of the tests' own, gone afterwards with their epmd.

`rabbitmq_server` is one for all tests of a run that leave it as it was; `make_rabbitmq_server`
starts others. A boot takes four to five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from deployd.config.brokers import RabbitMQ
from deployd.tools.chaos import servers

from .servers import where_installed

__all__ = ["MakeRabbitServer", "RabbitServer", "make_rabbitmq_server", "rabbitmq_server"]


class RabbitServer(servers.RabbitServer):
    """One server, and the settings of pods that use it."""

    def __init__(self, folder: Path) -> None:
        with where_installed():
            super().__init__(folder)

    def settings(self, **changes: Any) -> RabbitMQ:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(super().settings(), **changes)


MakeRabbitServer: TypeAlias = Callable[[], RabbitServer]


@pytest.fixture(scope="session")
def rabbitmq_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitServer]:
    """A server that tests share."""
    server = RabbitServer(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def make_rabbitmq_server(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRabbitServer]:
    """Start a server; all are killed afterwards."""
    made: list[RabbitServer] = []

    def make() -> RabbitServer:
        made.append(RabbitServer(tmp_path_factory.mktemp("rabbitmq")))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.remove()
