"""What a scenario's steps wait for: read off the history, whoever writes it down. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...oracle import TAKEN, Answered, Entered, Gone, Linked, Record, Told
from .schema import Condition

__all__ = ["Witness"]

ALONE: Final = frozenset({"cut_off", "starting"})
"""What clients are told when their own pod hears no other."""


class Witness:
    """Knows what has come about in a history that is still being written, since some time ago.

    `since` is where in it: what came before counts as what was so already.
    """

    def __init__(self, history: Sequence[Record], since: int) -> None:
        self._history = history
        self._since = since
        self._read = 0
        self._links: dict[int, str] = {}
        self._pods: dict[str, int] = {}
        self._outages: dict[tuple[str, str | None], str] = {}
        self._happened: set[Condition] = set()
        self._was_unwell = False

    def came(self, condition: Condition) -> bool:
        """Whether it has come about by now."""
        while self._read < len(self._history):
            self._take(self._history[self._read])
            self._read += 1
            if self._read > self._since:
                self._look()
        return condition in self._happened

    def _take(self, record: Record) -> None:
        match record:
            case Linked(_, pod, link):
                self._links[pod] = link
            case Entered(_, client, pod):
                self._pods[client] = pod
            case Told():
                self._tell(record)
            case Gone(_, client, room):
                for key in [key for key in self._outages if key[0] == client]:
                    if room in (None, key[1]):
                        del self._outages[key]
            case Answered(scope=scope) if self._read >= self._since:
                if scope not in ("cluster", TAKEN):
                    self._happened.add("emit not for all")

    def _tell(self, told: Told) -> None:
        if told.until is None:
            self._outages[told.client, told.room] = told.code
        else:
            self._outages.pop((told.client, told.room), None)
        if self._read >= self._since and told.code == "missed":
            self._happened.add("hole told")
        if self._read >= self._since and told.code == "partitioned":
            self._happened.add("pod missed")

    def _look(self) -> None:
        open_ = {pod for pod, link in self._links.items() if link not in ("closed", "ended")}
        open_ |= {
            self._pods[client]
            for (client, room), code in self._outages.items()
            if room is None and code in ALONE and client in self._pods
        }
        if open_:
            self._happened.add("breaker opens")
        if open_ >= {pod for pod, link in self._links.items() if link != "ended"} and open_:
            self._happened.add("all breakers open")
        if open_ or self._outages:
            self._was_unwell = True
        elif self._was_unwell:
            self._happened.add("all healed")
