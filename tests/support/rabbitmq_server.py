"""RabbitMQ servers of the tests' own: Debian's, on free ports, gone afterwards with their epmd.

`rabbitmq_server` is one for all tests of a run that leave it as it was; `make_rabbitmq_server`
starts others. A boot takes four to five seconds, most of it Erlang's, which loads RabbitMQ.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest

from deployd.config.brokers import RabbitMQSettings

from .servers import PATIENCE, ServerProcess, free_port, not_installed

__all__ = ["MakeRabbitServer", "RabbitServer", "make_rabbitmq_server", "rabbitmq_server"]

_PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
"""Those in the PATH change the user, and the folder."""

_GREETING: Final = b"AMQP\0\0\x09\x01"

_METHOD: Final = b"\x01"
"""How the server's first frame begins."""


class RabbitServer:
    """One server, and the epmd that its tools find it by.

    The server's process is the leader of a group, which signals reach; what it starts for names
    and ports ends with it.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._epmd_port, self._started = free_port(), False
        self._environment = self._write(folder)
        self._epmd = ServerProcess(
            [_epmd(), "-address", "127.0.0.1", "-port", str(self._epmd_port)],
            _made(folder / "epmd"),
            lambda: _connects(self._epmd_port),
        )
        self._server = ServerProcess(
            [_PROGRAMS / "rabbitmq-server"], folder, self._answers, self._environment
        )

    @property
    def log(self) -> str:
        """What the server has written."""
        return self._server.log

    def settings(self, **changes: Any) -> RabbitMQSettings:
        """Return the settings of a pod that uses this server."""
        return attrs.evolve(RabbitMQSettings(host="127.0.0.1", port=self.port), **changes)

    def start(self) -> None:
        """Start, with the folder of before, and return when it answers."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Start, and return at once."""
        if not self._started:
            self._epmd.start()
            self._started = True
        self._server.spawn()

    def wait(self) -> None:
        """Return when it answers."""
        self._server.wait()

    def kill(self) -> None:
        """`kill -9`."""
        self._server.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._server.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._server.thaw()

    def remove(self) -> None:
        """End all of its processes."""
        self._server.kill()
        self._epmd.kill()

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl`, and return what it prints; it takes a second or two."""
        command = [str(_PROGRAMS / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(1)
                sock.sendall(_GREETING)
                # A port that nobody listens on may connect to itself, and echo.
                return sock.recv(1) == _METHOD
        except OSError:
            return False

    def _write(self, folder: Path) -> dict[str, str]:
        (folder / "advanced.config").write_text(
            f'[{{rabbit, [{{tcp_listeners, [{{"127.0.0.1", {self.port}}}]}},'
            " {loopback_users, []}, {log, [{file, [{level, warning}]}]}]}].\n"
        )
        (folder / "enabled_plugins").write_text("[].\n")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"test{secrets.token_hex(6)}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none",
            # The script becomes the server, instead of its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }


MakeRabbitServer: TypeAlias = Callable[[], RabbitServer]


def _epmd() -> Path:
    found = shutil.which("epmd")
    if found is None or not (_PROGRAMS / "rabbitmq-server").exists():
        not_installed("rabbitmq-server", "apt-get install rabbitmq-server")
        raise AssertionError
    return Path(found)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


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
    servers: list[RabbitServer] = []

    def make() -> RabbitServer:
        servers.append(RabbitServer(tmp_path_factory.mktemp("rabbitmq")))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.remove()
