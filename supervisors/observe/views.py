"""The views of a pod, and what keeps them going: a sample a second, and who watches is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from ...actors import Room
from ...transport import JSON
from .census import connections
from .overview import counts_of, detailed, histograms_of, realtime
from .samples import Sample, Samples
from .watched import Watched

__all__ = ["DashboardRoom", "Views"]

INTERVAL = 1.0
"""Seconds between two samples, and between two snapshots."""


class Views:
    """What `/_dashboard/api/…` shows of a pod. `wall` returns unix seconds.

    Run `sample` as a service: it costs the reading of a few counts a second. All else is put
    together when somebody asks.
    """

    def __init__(self, pod: Watched, wall: Callable[[], float]) -> None:
        self._pod = pod
        self._wall = wall
        self.samples = Samples()

    async def sample(self, started: Callable[[], None]) -> None:
        """Take a sample each second, until cancelled."""
        started()
        due = trio.current_time()
        while True:
            self.samples.add(self._take(trio.current_time()))
            due = max(due + INTERVAL, trio.current_time())
            await trio.sleep_until(due)

    def realtime(self) -> dict[str, JSON]:
        """Return the pod at a glance."""
        return realtime(self._pod, self.samples, self._wall())

    def detailed(self) -> dict[str, JSON]:
        """Return the same, all histograms, and the rooms one by one."""
        return detailed(self._pod, self.samples, self._wall())

    def connections(
        self, limit: int, offset: int, room: str | None, user: str | None
    ) -> dict[str, JSON]:
        """Return a page of the clients, oldest first, perhaps of one room or one user."""
        return connections(self._pod, limit, offset, room, user)

    def _take(self, now: float) -> Sample:
        histograms = histograms_of(self._pod.meters)
        return Sample(
            now,
            {**counts_of(self._pod), "cpu_seconds": time.process_time()},
            {name: tuple(one.counts) for name, one in histograms.items()},
        )


class DashboardRoom(Room[None]):
    """Tells its members, who are root, how this pod is, each second; nothing while there are none.

    A view that fails crashes this room and nothing else.
    """

    def __init__(self, snapshot: Callable[[], JSON]) -> None:
        self._snapshot = snapshot

    async def on_start(self) -> None:
        """Begin to tell."""
        self.every(INTERVAL, self._tell)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        """Tell what else there is to tell of this pod."""
        self.broadcast(event, data, local=True)

    async def _tell(self) -> None:
        if self.members:
            self.broadcast("snapshot", self._snapshot(), local=True)
