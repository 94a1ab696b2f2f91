"""PgBouncer before the tests' PostgreSQL: what hosts of databases hand out in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deployd.tools.chaos.servers import PATIENCE, free_port

__all__ = ["pgbouncer_url"]

SETTINGS = """
[databases]
{name} = host=127.0.0.1 port={server_port} dbname={name} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
auth_file = {folder}/users.txt
pool_mode = {mode}
unix_socket_dir =
"""


@pytest.fixture(params=["session", "transaction"])
def pgbouncer_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The URL of an empty database behind a PgBouncer in each of its modes."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing = "PgBouncer is not installed: apt-get install pgbouncer"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with _running(Path(program), postgres_url, request.param) as url:
        yield url


@contextmanager
def _running(program: Path, server: str, mode: str) -> Iterator[str]:
    address, _, name = server.rpartition("/")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="deployd-pgbouncer-") as made:
        folder = Path(made)
        settings = folder / "pgbouncer.ini"
        server_port = address.rpartition(":")[2]
        text = SETTINGS.format(
            name=name, server_port=server_port, port=port, folder=folder, mode=mode
        )
        settings.write_text(text)
        (folder / "users.txt").write_text('"postgres" ""\n')
        as_user = {}
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")
            as_user = {"user": "postgres", "group": "postgres"}
        url = f"postgresql://postgres@127.0.0.1:{port}/{name}"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_user,  # type: ignore[call-overload] # both, or none
            )
        try:
            _wait(url, process, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PgBouncer does not start:\n{log.read_text()}")
            time.sleep(0.02)  # only its answer tells, and it has to be asked for
        else:
            return
