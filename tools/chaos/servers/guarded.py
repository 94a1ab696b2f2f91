"""Processes and folders that are gone when who made them is, also after `kill -9`.

A guardian (`guardian.py`) is told of each. Linux could kill a child with its parent by itself
(PR_SET_PDEATHSIG), but for it the parent is the thread that started the child.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

__all__ = ["GUARD", "Guard", "sweep", "work_folder"]

PREFIX: Final = "deployd-chaos-"
OWNER: Final = "owner"
"""A file in each folder that its owner has locked for as long as it lives."""

_ON_ORDER: Final = 'read -r go && exec "$@" </dev/null'
"""Nothing runs before the guardian knows of it: who starts it may be killed in between."""


class Guard:
    """One guardian, started when it is first needed, and again when somebody has killed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guardian: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._known: dict[str, None] = {}

    @property
    def pid(self) -> int:
        """The guardian's process id; 0 where there is none yet."""
        return 0 if self._guardian is None else self._guardian.pid

    def start(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None,
        output: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        """Start a program as the leader of a group of processes."""
        process = subprocess.Popen(
            ["/bin/sh", "-c", _ON_ORDER, "sh", *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - for the type checker
        self._note(f"+{process.pid}")
        with suppress(BrokenPipeError), process.stdin:  # then it has ended: who waits will see it
            process.stdin.write(b"go\n")
        return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a group that has ended: another process may get its number."""
        with self._lock:
            self._known.pop(f"+{process.pid}", None)
            self._tell(f"-{process.pid}")

    def keep(self, folder: Path) -> None:
        """Have a folder removed when this process is gone."""
        self._note(f"folder {folder}")

    def forget(self, folder: Path) -> None:
        """Leave a folder alone that has been removed."""
        with self._lock:
            self._known.pop(f"folder {folder}", None)

    def leave(self) -> None:
        """Let the guardian do its work now: end and remove all that it knows of."""
        with self._lock:
            self._known.clear()
            self._let_go()

    def _let_go(self) -> None:
        guardian, self._guardian = self._guardian, None
        if guardian is not None and guardian.stdin is not None:
            with suppress(BrokenPipeError):  # what was not written, to one that was killed
                guardian.stdin.close()
            guardian.wait()

    def _note(self, order: str) -> None:
        with self._lock:
            self._known[order] = None
            if not self._tell(order):
                self._engage()

    def _tell(self, order: str) -> bool:
        """Tell the guardian, if there is one that is ours."""
        guardian = self._guardian
        if guardian is None or self._owner != os.getpid() or guardian.poll() is not None:
            return False
        assert guardian.stdin is not None  # noqa: S101 - for the type checker
        try:
            guardian.stdin.write(f"{order}\n".encode())
            guardian.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _engage(self) -> None:
        if self._owner != os.getpid():  # a fork: what its parent has started is not its own
            self._known = dict(list(self._known.items())[-1:])
        self._owner = os.getpid()
        self._let_go()
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for order in self._known:
            self._tell(order)


GUARD: Final = Guard()
"""That of this process."""


@contextmanager
def work_folder(within: Path | None = None) -> Iterator[Path]:
    """Make a folder for the length of the block; those whose owners have died are removed first."""
    base = Path(tempfile.gettempdir()) if within is None else within
    sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    with (folder / OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        GUARD.keep(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            GUARD.forget(folder)


def sweep(base: Path) -> list[Path]:
    """Remove the folders whose owners have died, and return them."""
    gone = [folder for folder in sorted(base.glob(f"{PREFIX}*")) if _is_orphan(folder)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return gone


def _is_orphan(folder: Path) -> bool:
    try:
        with (folder / OWNER).open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody has it locked, or it is another user's, or just being made
        return False
    return True
