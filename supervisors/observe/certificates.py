"""When the certificates end that a pod shows: to its clients, and to its broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...config import read_regular
from ...transport import TlsTerminator, expires_at

__all__ = ["Certificates"]

KEPT: Final = 60.0
"""Seconds for which an answer is good: files are read for it."""
MOST_OF_A_FILE: Final = 2**20


class Certificates:
    """Looks at most once a minute; `clock` is steady seconds.

    Of the `port` it is the certificate in use, which need not be what lies in its file. `files` are
    the others by their settings.
    """

    def __init__(
        self, port: TlsTerminator | None, files: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._port = port
        self._files = files
        self._clock = clock
        self._answer: tuple[float, Mapping[str, float]] | None = None

    def __call__(self) -> Mapping[str, float]:
        """Return the ends (unix seconds) by the setting; without those that cannot be read."""
        now = self._clock()
        if self._answer is None or now - self._answer[0] >= KEPT:
            self._answer = now, self._look()
        return self._answer[1]

    def _look(self) -> Mapping[str, float]:
        ends: dict[str, float | None] = {}
        if self._port is not None:
            ends["tls.certFile"] = self._port.expires_at()
        for setting, file in self._files.items():
            with suppress(OSError):
                ends[setting] = expires_at(read_regular(Path(file), MOST_OF_A_FILE))
        return {setting: end for setting, end in ends.items() if end is not None}
