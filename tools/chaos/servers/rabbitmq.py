"""RabbitMQ servers: Debian's, on free ports, with an epmd of their own.

A boot takes four to five seconds, most of it Erlang's, which loads RabbitMQ.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ....config.brokers import RabbitMQ
from .errors import NotInstalled, NotObeyed
from .processes import LOCALHOST, PATIENCE, ServerProcess, connects, free_port

__all__ = ["PROGRAMS", "Epmd", "RabbitServer", "rabbitmq_programs"]

PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
"""Those in the PATH change the user, and the folder."""

_GREETING: Final = b"AMQP\0\0\x09\x01"

_METHOD: Final = b"\x01"
"""How the server's first frame begins."""


class Epmd(ServerProcess):
    """Erlang's daemon that tells nodes and tools at which port a node is."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        words = ("-address", LOCALHOST, "-port", str(self.port))
        super().__init__([rabbitmq_programs(), *words], folder, lambda: connects(self.port))


class RabbitServer:
    """One server, and the epmd that it is found by: its own, if none is given.

    The server's process is the leader of a group, which signals reach; what it starts for names
    and ports ends with it. `peers` are the names of a cluster's nodes, which have one `cookie`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        epmd: Epmd | None = None,
        name: str = "",
        cookie: str = "",
        peers: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.name = name or node_name()
        self.cookie = cookie or secrets.token_hex(12).upper()
        self._folder = folder
        self._own_epmd = Epmd(folder / "epmd") if epmd is None else None
        self.epmd = epmd or self._own_epmd
        self.environment = self._write(peers)
        self._server = ServerProcess(
            [PROGRAMS / "rabbitmq-server"], folder, self.serves, self.environment
        )

    @property
    def log(self) -> str:
        """What the server has written."""
        return self._server.log

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._server.running

    @property
    def frozen(self) -> bool:
        """Whether it was frozen."""
        return self._server.frozen

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._server.pid

    def settings(self) -> RabbitMQ:
        """Return the settings of a pod that uses this server."""
        return RabbitMQ(host=LOCALHOST, port=self.port)

    def start(self) -> None:
        """Start, with the folder of before, and return when it answers."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Start, and return at once."""
        if self._own_epmd is not None and not self._own_epmd.running:
            self._own_epmd.start()
        self._server.spawn()

    def wait(self) -> None:
        """Return when it answers."""
        self._server.wait()

    def kill(self) -> None:
        """`kill -9`."""
        self._server.kill()

    def terminate(self) -> int | None:
        """SIGTERM; return its exit code when it has ended."""
        return self._server.terminate()

    def send(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        self._server.send(number)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._server.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._server.thaw()

    def remove(self) -> None:
        """End all of its processes."""
        self._server.kill()
        if self._own_epmd is not None:
            self._own_epmd.kill()

    def serves(self) -> bool:
        """Whether it takes clients: its node can be reached before, and for a while after."""
        try:
            with socket.create_connection((LOCALHOST, self.port), 1) as sock:
                sock.settimeout(1)
                sock.sendall(_GREETING)
                # A port that nobody listens on may connect to itself, and echo.
                return sock.recv(1) == _METHOD
        except OSError:
            return False

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl`, and return what it prints; it takes a second or two."""
        done = subprocess.run(
            [str(PROGRAMS / "rabbitmqctl"), "--quiet", *arguments],
            env=self.environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise NotObeyed(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def _write(self, peers: Sequence[str]) -> dict[str, str]:
        assert self.epmd is not None  # noqa: S101 - for the type checker
        folder = self._folder
        cookie = folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(self.cookie)
            cookie.chmod(0o400)
        nodes = ", ".join(f"'{peer}'" for peer in peers)
        formation = f" {{cluster_nodes, {{[{nodes}], disc}}}}," if peers else ""
        (folder / "advanced.config").write_text(
            f'[{{rabbit, [{{tcp_listeners, [{{"{LOCALHOST}", {self.port}}}]}},{formation}'
            " {cluster_partition_handling, autoheal},"
            " {loopback_users, []}, {log, [{file, [{level, warning}]}]}]}].\n"
        )
        (folder / "enabled_plugins").write_text("[].\n")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": self.name,
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
            "ERL_EPMD_ADDRESS": LOCALHOST,
            "ERL_EPMD_PORT": str(self.epmd.port),
        }


def node_name() -> str:
    """Return a name that no other node of this machine has."""
    return f"chaos{secrets.token_hex(6)}@localhost"


def rabbitmq_programs() -> Path:
    """Find Erlang's epmd, and make sure that the server is there. Raises `NotInstalled`."""
    found = shutil.which("epmd")
    if found is None or not (PROGRAMS / "rabbitmq-server").exists():
        raise NotInstalled("rabbitmq-server", "apt-get install rabbitmq-server")
    return Path(found)
