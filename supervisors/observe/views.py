"""The views of a pod, and what keeps them going: a sample a second, and who watches is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from ...actors import Room
from ...transport import JSON
from .ailments import ailments, counts_of_trouble
from .census import connections, holdings
from .hot import HotRooms
from .overview import counts_of, detailed, histograms_of, realtime
from .past import EVERY, Neighbour, Past
from .samples import Sample, Samples, quantile
from .watched import Watched

__all__ = ["DashboardRoom", "Views"]

INTERVAL = 1.0
"""Seconds between two samples, and between two snapshots."""
FIGURES = ("connections", "received", "sent", "local_p99", "lag_p99", "lost")
"""Of a point: messages a second, seconds, and events that were lost in it."""


class Views:
    """What `/_dashboard/api/…` shows of a pod. `wall` returns unix seconds.

    Run `sample` as a service: it costs the reading of a few counts a second. All else is put
    together when somebody asks, but what is wrong: that has to be known since when.
    """

    def __init__(self, pod: Watched, wall: Callable[[], float]) -> None:
        self._pod = pod
        self._wall = wall
        self.samples = Samples()
        self._past = Past(FIGURES)
        self._hot = HotRooms()
        self._past.moment("started", f"This pod started (deployd {pod.version}).", pod.started_at)

    async def sample(self, started: Callable[[], None]) -> None:
        """Take a sample each second, until cancelled."""
        started()
        due = trio.current_time()
        while True:
            self._look(trio.current_time(), self._wall())
            due = max(due + INTERVAL, trio.current_time())
            await trio.sleep_until(due)

    def realtime(self) -> dict[str, JSON]:
        """Return the pod at a glance."""
        return self._seen(realtime(self._pod, self.samples, self._wall()))

    def detailed(self) -> dict[str, JSON]:
        """Return the same, all histograms, and the rooms one by one."""
        self._pod.weights.look(holdings(self._pod))
        return self._seen(detailed(self._pod, self.samples, self._wall()))

    def past(self) -> dict[str, JSON]:
        """Return the last hour: how the pod was each ten seconds, and what was wrong when."""
        return self._past.to_json(self._wall())

    def connections(
        self, limit: int, offset: int, room: str | None, user: str | None
    ) -> dict[str, JSON]:
        """Return a page of the clients, oldest first, perhaps of one room or one user."""
        return connections(self._pod, limit, offset, room, user)

    def _seen(self, overview: dict[str, JSON]) -> dict[str, JSON]:
        wrong: JSON = [one.to_json() for one in self._past.wrong]
        hot: JSON = [one.to_json() for one in self._hot.hottest()]
        return {**overview, "wrong": wrong, "hot": hot}

    def _look(self, now: float, wall: float) -> None:
        pod = self._pod
        self.samples.add(self._take(now))
        self._past.look(ailments(pod, self.samples, wall, now), wall)
        if pod.link is not None:
            known = pod.link.state.peers.known
            heard = {
                id_: Neighbour(one.beat.name or id_, one.beat.version)
                for id_, one in known.items()
                if not one.missing
            }
            self._past.pods(heard, wall)
        if self._past.due(wall):
            self._past.add(self._figures(), wall)
            self._look_at_rooms(now)

    def _look_at_rooms(self, now: float) -> None:
        pod = self._pod
        self._hot.look(pod.rooms.rosters.items(), *pod.watchdog.take_samples(), now)
        pod.weights.look(holdings(pod))

    def _figures(self) -> dict[str, float | None]:
        """Return how the pod was in the last ten seconds."""
        samples, meters = self.samples, self._pod.meters

        def slowest(name: str) -> float | None:
            counts = samples.observed(name, EVERY)
            return quantile(histograms_of(meters)[name].bounds, counts, 0.99) if counts else None

        return {
            "connections": len(self._pod.members),
            "received": samples.rate("messages_received", EVERY),
            "sent": samples.rate("messages_sent", EVERY),
            "local_p99": slowest("local_latency"),
            "lag_p99": slowest("loop_lag"),
            "lost": sum(samples.grown(name, EVERY) for name in ("lost", "missed", "undelivered")),
        }

    def _take(self, now: float) -> Sample:
        histograms = histograms_of(self._pod.meters)
        counts = {**counts_of(self._pod), **counts_of_trouble(self._pod)}
        return Sample(
            now,
            {**counts, "cpu_seconds": time.process_time()},
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
