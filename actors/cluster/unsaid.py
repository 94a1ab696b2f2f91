"""What is to be said to other pods of who has heard what, until it is, in one message: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from ...transport.brokers import MOST_LINES, Acks, AskHeard, Got, Noted, Unattended

__all__ = ["Unsaid"]

MOST_PODS: Final = 1024
MOST_UNSAID: Final = 4096
"""Pods, and lines for each, that wait to be said; what is left out is asked for again."""


@define
class _Lines:
    """What one pod is to be told: each line once."""

    got: list[Got] = field(factory=list)
    nobody: list[Unattended] = field(factory=list)
    coming: list[str] = field(factory=list)
    noted: list[Noted] = field(factory=list)
    asked: list[AskHeard] = field(factory=list)

    def __len__(self) -> int:
        kinds = (self.got, self.nobody, self.coming, self.noted, self.asked)
        return sum([len(kind) for kind in kinds])

    def take(self, origin: str, number: int) -> Acks:
        """Take out what one message holds."""
        kinds = (self.got, self.nobody, self.coming, self.noted, self.asked)
        got, nobody, coming, noted, asked = ([*kind[:MOST_LINES]] for kind in kinds)
        for kind in kinds:
            del kind[:MOST_LINES]
        return Acks(origin, number, got, nobody, coming, noted, asked)


class Unsaid:
    """What one pod has to say to others. `number` is that of its last message."""

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._lines: dict[str, _Lines] = {}
        self.number = 0

    def __len__(self) -> int:
        """Return how many pods are to be told something."""
        return len(self._lines)

    def got(self, pod: str, line: Got) -> None:
        """Tell a pod that its events are told here; runs that follow each other are made one."""
        lines = self._of(pod)
        if lines is None:
            return
        before = lines.got[-1] if lines.got else None
        if before is not None and (before.room, before.last + 1, before.members) == (
            line.room,
            line.first,
            line.members,
        ):
            lines.got[-1] = Got(line.room, before.first, line.last, line.members)
        else:
            lines.got.append(line)

    def nobody(self, pod: str, line: Unattended) -> None:
        """Tell a pod that nobody is there who should have heard its events."""
        lines = self._of(pod)
        if lines is not None:
            lines.nobody.append(line)

    def coming(self, pod: str, room: str) -> None:
        """Tell a pod that somebody comes into a room."""
        lines = self._of(pod)
        if lines is not None and room not in lines.coming:
            lines.coming.append(room)

    def noted(self, pod: str, line: Noted) -> None:
        """Tell a pod that it is awaited in a room."""
        lines = self._of(pod)
        if lines is not None:
            lines.noted.append(line)

    def asked(self, pod: str, questions: Sequence[AskHeard]) -> None:
        """Ask a pod."""
        lines = self._of(pod)
        if lines is not None:
            lines.asked += questions

    def take(self) -> list[tuple[str, Acks]]:
        """Take out all that is to be said: each message with the pod that it is for."""
        taken = []
        for pod, lines in self._lines.items():
            while lines:
                self.number += 1
                taken.append((pod, lines.take(self._pod_id, self.number)))
        self._lines = {}
        return taken

    def clear(self) -> None:
        """Forget it: the connection is another one, and what matters is asked for again."""
        self._lines.clear()

    def _of(self, pod: str) -> _Lines | None:
        lines = self._lines.get(pod)
        if lines is None and len(self._lines) < MOST_PODS:
            lines = self._lines[pod] = _Lines()
        return None if lines is None or len(lines) >= MOST_UNSAID else lines
