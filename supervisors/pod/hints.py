"""The file in a pod's data folder that holds what it could not say before it ended."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from ...actors import Hint, read_hints, write_hints
from ...config import get_logger

__all__ = ["HintFile"]

_log = get_logger("realtime")


class HintFile:
    """Keeps the hints of a pod of this name in its folder; this is the link's `Handoff`.

    It belongs to one pod at a time: who claims it first has it until it is released, or that
    process ends. Until then there is nothing in it to others, and they can keep nothing. Who has
    claimed it in vain has it as soon as it is needed and free: an old pod may say its last words,
    and leave some, while the new one begins.

    What is kept is bounded by `broker.bufferMessages` and `bufferBytes`, as what waited was; what
    a life before has left counts too, so at most twice as much lies there.
    """

    def __init__(self, folder: Path, pod_name: str) -> None:
        self._path = folder / f"queued-{pod_name}.jsonl"
        self._lock_path = folder / f"queued-{pod_name}.lock"
        self._wanted = False
        self._lock: int | None = None
        self._hints: Sequence[Hint] | None = None

    def claim(self) -> bool:
        """Have the file for this pod; False, and written down, where another pod has it."""
        self._wanted = True
        try:
            if self._have():
                return True
        except OSError as error:
            self._complain("cannot be kept", error)
            return False
        _log.warning(
            "another pod has the file for events that wait for the broker",
            file=str(self._path),
            remedy="give each pod a server.name or a server.data of its own; what waits when this "
            "one stops is lost while the other runs",
        )
        return False

    def release(self) -> None:
        """Let another pod have it: this one has ended."""
        self._wanted = False
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _have(self) -> bool:
        """Whether the file is this pod's, now that it may be free. Raises `OSError`.

        The lock is on a file beside it, which stays: what is written takes the place of what was
        there, and a lock on that would go with it (flock(2)).
        """
        if self._lock is None and self._wanted:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            except OSError:  # a file system without locks
                os.close(lock)
                raise
            self._lock = lock
        return self._lock is not None

    @property
    def hints(self) -> Sequence[Hint]:
        """What the life before has left, and this one has not said yet."""
        if self._hints is not None:
            return self._hints
        found: Sequence[Hint] = ()
        try:
            if self._have():
                found = read_hints(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain("cannot be read", error)
        if self._lock is not None:
            self._hints = found
        return found

    def keep(self, hints: Sequence[Hint]) -> bool:
        """Write these and those not said yet, all or nothing; False where that failed."""
        unfinished = self._path.with_suffix(".tmp")
        try:
            if not self._have():
                return False
            unfinished.write_bytes(write_hints([*self.hints, *hints]))
            unfinished.replace(self._path)
        except OSError as error:
            self._complain("cannot be kept", error)
            return False
        return True

    def said(self) -> None:
        """Remove the file: the broker has what was in it."""
        if self._lock is None:
            return
        self._hints = ()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain("cannot be removed, and would be said again", error)

    def _complain(self, what: str, error: OSError) -> None:
        file, why = str(self._path), str(error)
        _log.warning(f"events that waited for the broker {what}", file=file, why=why)
