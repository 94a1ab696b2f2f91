"""What a pod is called where its settings say nothing: its host and a few letters, and kept.

The name is drawn at the first start and lies in the data folder, so the next start is the same pod
to whoever looks at logs and metrics, also where its host is another by then (a container's). Two
pods that share a folder are two: the first has the name for as long as it lives, and the other one
of its own, which nobody keeps.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import socket
from pathlib import Path
from typing import Final

from ...config import get_logger

__all__ = ["OwnName"]

FILE: Final = "pod-name"
LONGEST: Final = 64
"""Characters, as many as `server.name` may have."""

_ID_BYTES: Final = 3
_log = get_logger("realtime")


class OwnName:
    """The `name` of a pod, and whether it is the same at the next start (`kept`).

    `wanted` is `server.name`. The folder is not made for it: where there is none, nothing is kept.
    """

    def __init__(self, wanted: str, folder: Path, host: str | None = None) -> None:
        self._lock: int | None = None
        drawn = _drawn(socket.gethostname() if host is None else host)
        kept = wanted or self._claim(folder / FILE, drawn)
        self.name = kept or drawn
        self.kept = bool(kept)

    def release(self) -> None:
        """Let the next pod of this folder have the name: this one has ended."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _claim(self, file: Path, drawn: str) -> str | None:
        """Return the name that lies in the folder, perhaps a new one; None where it is not ours."""
        if not file.parent.is_dir():
            return None
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _log.warning("the pod's name cannot be kept", file=str(file), why=str(error))
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name = _read(lock)
            if name is None:
                os.truncate(lock, 0)
                os.pwrite(lock, drawn.encode(), 0)
                name = drawn
        except OSError as error:  # another pod has it, or a file system without locks or place
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                _log.warning("the pod's name cannot be kept", file=str(file), why=str(error))
            return None
        self._lock = lock
        return name


def _read(file: int) -> str | None:
    text = os.pread(file, LONGEST + 1, 0).decode("ascii", "replace").strip()
    return text if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) else None


def _drawn(host: str) -> str:
    """Return a host's name, as far as a pod's may have its characters, and a short id."""
    end = f"-{secrets.token_hex(_ID_BYTES)}"
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", host.partition(".")[0]).strip("-") or "pod"
    return plain[: LONGEST - len(end)] + end
