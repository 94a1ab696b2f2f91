"""The file in a pod's data folder that holds what it could not say before it ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...actors import Hint, read_hints, write_hints
from ...config import get_logger

__all__ = ["HintFile"]

_log = get_logger("realtime")


class HintFile:
    """Keeps the hints of a pod of this name in its folder; this is the link's `Handoff`.

    What is kept is bounded by `broker.bufferMessages` and `bufferBytes`, as what waited was; what
    a life before has left counts too, so at most twice as much lies there.
    """

    def __init__(self, folder: Path, pod_name: str) -> None:
        self._path = folder / f"queued-{pod_name}.jsonl"
        self._hints: Sequence[Hint] | None = None

    @property
    def hints(self) -> Sequence[Hint]:
        """What the life before has left, and this one has not said yet."""
        if self._hints is None:
            try:
                self._hints = read_hints(self._path.read_bytes())
            except FileNotFoundError:
                self._hints = ()
            except OSError as error:
                self._hints = ()
                self._complain("cannot be read", error)
        return self._hints

    def keep(self, hints: Sequence[Hint]) -> bool:
        """Write these and those not said yet, all or nothing; False where that failed."""
        unfinished = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(write_hints([*self.hints, *hints]))
            unfinished.replace(self._path)
        except OSError as error:
            self._complain("cannot be kept", error)
            return False
        return True

    def said(self) -> None:
        """Remove the file: the broker has what was in it."""
        self._hints = ()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain("cannot be removed, and would be said again", error)

    def _complain(self, what: str, error: OSError) -> None:
        file, why = str(self._path), str(error)
        _log.warning(f"events that waited for the broker {what}", file=file, why=why)
