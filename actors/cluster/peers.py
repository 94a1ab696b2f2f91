"""The other pods, as far as this one knows them: who must be back before what waited is replayed.

After an outage pods come back one by one, each when its backoff is over. Who replays at once
replays to pods that are still deaf. So a pod says `hello` to everyone when its link closes, each
pod that hears it answers `here`, and the replay waits until all that were known are heard again.
"""

from __future__ import annotations

from typing import Final

from ...transport.brokers import Greeting

__all__ = ["Peers"]

MOST_KNOWN: Final = 1024
"""Pods that are remembered; with more the oldest is forgotten, and not waited for."""


class Peers:
    """Known pods, those that are awaited, and those that are owed an answer: pure."""

    def __init__(self, pod_id: str) -> None:
        self._pod_id = pod_id
        self._known: dict[str, None] = {}
        self._awaited: set[str] = set()
        self._owed: dict[str, None] = {}

    def __len__(self) -> int:
        """Return how many other pods are known."""
        return len(self._known)

    @property
    def complete(self) -> bool:
        """Whether all that were known are heard again."""
        return not self._awaited

    @property
    def owed(self) -> bool:
        """Whether somebody said hello and has no answer yet."""
        return bool(self._owed)

    def begin(self) -> None:
        """Await all that are known: our link has just closed."""
        self._awaited = set(self._known)

    def give_up(self) -> int:
        """Forget those that did not come back, and return how many that were."""
        gone, self._awaited = self._awaited, set()
        for pod in gone:
            self._known.pop(pod, None)
        return len(gone)

    def greeted(self, greeting: Greeting) -> None:
        """Note what another pod says of itself."""
        pod = greeting.origin
        if pod == self._pod_id:
            return
        self._awaited.discard(pod)
        if greeting.word == "bye":
            self._known.pop(pod, None)
        else:
            self._known[pod] = None
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        if greeting.word == "hello" and len(self._owed) < MOST_KNOWN:
            self._owed[pod] = None

    def take_owed(self) -> list[str]:
        """Return who said hello and has no answer yet."""
        owed, self._owed = list(self._owed), {}
        return owed
