"""SQLite's file: there, the one that was opened, and this pod's alone.

Two pods on one file would each tell its own listeners of half of the changes. So whoever opens it
locks a file beside it, which says who that is. The lock is of the process (flock(2)), so that it
ends with it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Final

from attrs import evolve

from ...config import get_logger
from ..errors import StoreUnavailable
from .failures import GONE, HELD, unavailable

__all__ = ["CLAIM", "DatabaseFile"]

CLAIM: Final = "-pod"
"""What the name of the file that says whose the database is ends with."""

_READ: Final = 300
"""Bytes that are read of what another pod says of itself."""

_log = get_logger("store")


class DatabaseFile:
    """One file and who has it: `owner` is what others are told of this pod.

    Raises `OSError` where the disk does not allow what is asked.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = f"{owner} (process {os.getpid()} on {socket.gethostname()})"
        self._claim: int | None = None
        self._log = path.with_name(path.name + "-wal")
        self._identity: tuple[int, int] | None = None
        self._log_identity: tuple[int, int] | None = None
        self._was_there = False

    def open(self) -> None:
        """Make the file, for its owner alone, and its folder, and claim it; again it is harmless.

        Raises `StoreUnavailable` where another pod has it, and where it was there for this one and
        has gone: an empty one in its place would hide that. SQLite gives the files that it puts
        beside this one the same mode.
        """
        if self._was_there and not self._path.exists():
            raise unavailable(GONE)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._claim is None:
            self._claim = self._claimed()
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._identity, self._log_identity = _identity(self._path), None
        self._was_there = True

    def check(self) -> None:
        """Raise `StoreUnavailable` when what was opened is not there any more, or its log.

        What would be written to it then is gone with the process.
        """
        if self._identity is None:
            return
        known = self._log_identity  # first: on another thread it may just have been found
        log = _identity(self._log)
        if _identity(self._path) != self._identity or known not in (None, log):
            raise unavailable(GONE)
        self._log_identity = log

    def writable(self) -> bool:
        """Say whether the disk and the file's rights let this process write."""
        status = os.statvfs(self._path.parent)
        return not status.f_flag & os.ST_RDONLY and os.access(self._path, os.W_OK)

    def close(self) -> None:
        """Let another have it."""
        self._identity = self._log_identity = None
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _claimed(self) -> int:
        # Beside the file itself, for a folder that is linked to has one name more.
        real = self._path.resolve()
        path = real.with_name(real.name + CLAIM)
        claim = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(claim, path)
        except BaseException:
            os.close(claim)
            raise
        return claim

    def _lock(self, claim: int, path: Path) -> None:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._held(os.pread(claim, _READ, 0)) from None
        except OSError as error:  # a file system without locks
            _log.warning(
                "nobody can say whether another pod uses the database",
                file=str(path),
                why=str(error),
            )
        os.ftruncate(claim, 0)
        os.pwrite(claim, self._owner.encode()[:_READ], 0)

    def _held(self, said: bytes) -> StoreUnavailable:
        other = "".join(filter(str.isprintable, said.decode(errors="replace"))) or "another process"
        sentence = (
            f"The database {self._path} is used by {other}, and one file is one pod's. End that "
            "one, start this one with a folder of its own (--data), or let both share a PostgreSQL "
            "(store.url)."
        )
        return unavailable(evolve(HELD, sentence=sentence))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from all others, None where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
