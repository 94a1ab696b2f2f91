"""A server in a process of its own: started, told what to do, and ended by its id."""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["Reply", "Server", "ServerFailed", "Settings", "raise_file_limit", "running"]

Settings = Mapping[str, float | str]
"""Settings of a pod by dotted path, such as `limits.messageBufferSize`, or those of a rival."""

Reply = Mapping[str, float]
"""What a server answers: numbers by name."""

START_TIMEOUT = 20.0
"""Seconds until a server must listen."""

STOP_TIMEOUT = 20.0
"""Seconds a server may take to end before it is killed."""

_HERE = Path(__file__).parent


class ServerFailed(Exception):
    """The server did not answer; the message holds the end of what it wrote to stderr."""


class Server:
    """A server process. Orders go in as lines of JSON, replies come out the same way."""

    def __init__(self, name: str, settings: Settings, log: IO[bytes]) -> None:
        module = f"_serve_{name.removeprefix('python-')}.py"
        self.name = name
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / module), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._rest = b""
        self.port = 0

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def rss(self) -> int:
        """Resident memory of the process in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    @property
    def cpu(self) -> float:
        """Seconds of processor time that the process has used."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def fileno(self) -> int:
        """What to wait on until a reply can be read."""
        return self._stdout.fileno()

    def order(self, do: str, **details: float) -> None:
        """Tell the server to do something; the reply has to be read before the next order."""
        self._stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
        self._stdin.flush()

    def reply(self, timeout: float = START_TIMEOUT) -> Reply:
        """Wait so many seconds for the reply; raises `ServerFailed`."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._stdout], [], [], left)
            data = os.read(self.fileno(), 4096) if ready else b""
            if not data:
                raise ServerFailed(f"{self.name} does not answer\n{self.log()[-2000:]}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply

    def log(self) -> str:
        """What the server has written to stderr so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def end(self) -> None:
        """End the process: at the end of its orders, or else the hard way."""
        self._stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()


@contextmanager
def running(name: str, settings: Settings | None = None) -> Iterator[Server]:
    """Run a server of that system, with settings if it takes any, for the length of the block."""
    with tempfile.TemporaryFile() as log:
        server = Server(name, settings or {}, log)
        try:
            server.port = int(server.reply()["port"])
            yield server
        finally:
            server.end()


def raise_file_limit(sockets: int) -> None:
    """Let this process, and the servers it starts, have so many sockets; exits if it may not."""
    needed = sockets + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"this needs {needed} open files and the limit is {hard}; raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
