"""A PostgreSQL of the tests' own: Debian's, in a temporary folder, gone afterwards.

`postgres_url` is the URL of an empty database for one test; the server is started by the first
test that wants one. Where PostgreSQL is not installed such tests are skipped, and fail in CI.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployd.tools.chaos.servers import PATIENCE, free_port

__all__ = ["Postgres", "postgres", "postgres_url"]


class Postgres:
    """One server on a free port of 127.0.0.1; `kill` and `start` it as a test likes.

    Texts are ordered as in English, as most servers do, so that a query which forgets to say that
    it wants code points is found out.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self.port = free_port()

    def initialise(self) -> None:
        """Make the folder of a server in which nobody needs a password."""
        self._folder.chmod(0o700)
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        subprocess.run(
            [
                self._programs / "initdb",
                f"--pgdata={self._folder / 'data'}",
                *("--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"),
                *("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"),
            ],
            check=True,
            capture_output=True,
            **self._as_nobody_special(),
        )

    def start(self) -> None:
        """Start, and return when it answers."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self._folder / "data", "-k", self._folder, "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1,::1", "-c", "fsync=off"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **self._as_nobody_special(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"PostgreSQL does not start:\n{log.read_text()}")
            time.sleep(0.02)  # only the server's answer tells, and it has to be asked for

    def kill(self) -> None:
        """End it and its children at once, cutting its clients off; what was committed stays."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(PATIENCE)
            finally:
                self._process.kill()
            self._process = None

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _as_nobody_special() -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": []}


@pytest.fixture(scope="session")
def postgres(servers_wanted: None) -> Iterator[Postgres]:
    """The server that all tests of a session share."""
    programs = _programs()
    if programs is None:
        missing = "PostgreSQL is not installed: apt-get install postgresql"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with tempfile.TemporaryDirectory(prefix="deployd-postgres-") as folder:
        server = Postgres(programs, Path(folder))
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database that is dropped after the test."""
    url = postgres.new_database()
    yield url
    postgres.drop(url)


def _programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max(
        (path.parent for path in found), key=lambda path: int(path.parent.name), default=None
    )
