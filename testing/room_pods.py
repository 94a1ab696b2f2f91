"""The pods of a room under test: how they run, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

import trio
from attrs import evolve

from ..actors import Link, RoomFactory
from ..config import Chaos, Config
from ..supervisors import Status
from ..transport.brokers.contract import Broker
from .pods import config_for_tests
from .room_pod import OpenRoomPod, RoomPod

__all__ = ["BACK", "RoomPods", "settings_for_rooms"]

START: Final = 1_700_000_000.0
"""Unix seconds when a test begins."""
BACK: Final = 60.0
"""Seconds of the test's clock in which pods notice a split, and rooms, guests and links return."""
LOOK: Final = 0.005
LONGEST: Final = 600.0
"""Seconds that a split lasts that no test ends."""


def settings_for_rooms(config: Config | None) -> Config:
    """Return the settings of the pods of a room under test: what a test says, and what must be.

    Where it says nothing clients have no rates.
    """
    return _usual() if config is None else _fit(config)


@cache
def _usual() -> Config:
    config = Config()
    unlimited = evolve(
        config.limits, message_rate_limit=0.0, join_rate_limit=0.0, byte_rate_limit=0.0
    )
    return _fit(evolve(config, limits=unlimited))


def _fit(config: Config) -> Config:
    return evolve(
        config,
        server=evolve(config.server, host="127.0.0.1", port=0, api_enabled=False),
        drain=evolve(config_for_tests().drain, retry_after_min=0.0, retry_after_max=0.0),
        chaos=Chaos(enabled=True),
    )


class RoomPods(Sequence[RoomPod]):
    """One or several pods with a room, each of `brokers` joining one to the others.

    `run` keeps them; what is raised there is why one has given up.
    """

    def __init__(
        self,
        rooms: Mapping[str, RoomFactory],
        config: Config,
        brokers: Sequence[Callable[[], Broker] | None],
        open_pod: OpenRoomPod,
    ) -> None:
        self._rooms = rooms
        self._config = config
        self._brokers = brokers
        self._open_pod = open_pod
        self._pods: list[RoomPod] = []
        self._leave = [trio.Event() for _ in brokers]
        self._closing = False
        self._over = trio.Event()
        self._begun = trio.current_time()

    def __len__(self) -> int:
        return len(self._pods)

    def __getitem__(self, number: int) -> RoomPod:  # type: ignore[override] # no slices
        if not 0 <= number < len(self._pods):
            raise IndexError(f"There is no pod {number}: open_room(…, pods={number + 1}).")
        return self._pods[number]

    def wall(self) -> float:
        """Return the time that the pods go by, in unix seconds."""
        return START + trio.current_time() - self._begun

    # Life --------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Keep the pods until they are `stopped`; call `started` when they know each other."""
        async with trio.open_nursery() as nursery:
            for number in range(len(self._brokers)):
                await nursery.start(self._keep, number)
            await self._acquaint()
            started()
        self._over.set()

    async def stopped(self) -> None:
        """Stop all pods, and return when they have."""
        self._closing = True
        for leave in self._leave:
            leave.set()
        await self._over.wait()

    async def _keep(self, number: int, task_status: trio.TaskStatus[None]) -> None:
        broker = self._brokers[number]
        while not self._closing:
            async with self._open_pod(self._config, self._rooms, broker, self.wall) as pod:
                if number < len(self._pods):
                    self._pods[number] = pod
                else:
                    self._pods.append(pod)
                    task_status.started()
                await self._leave[number].wait()
                self._leave[number] = trio.Event()

    # What goes wrong ---------------------------------------------------------------------------

    async def crash(self, number: int, room: str) -> None:
        """Let a room crash, and return when it is back. Raises `RuntimeError` where it is not."""
        pod = self[number]
        supervisor = pod.parts.tree.rooms.supervisor
        if room not in supervisor.children:
            raise RuntimeError("Nobody has opened the room: let somebody join before it crashes.")
        before = supervisor.restarted
        fault = pod.chaos.inject("actor.crash", path=f"pod/rooms/{room}")
        await _until(
            lambda: supervisor.restarted > before and _is_up(pod, room),
            f"The room on pod {number} does not come back",
        )
        pod.chaos.stop(fault.number)

    async def restart(self, number: int) -> None:
        """Stop a pod, start it anew, and return when the others know it."""
        gone = self[number]
        self._leave[number].set()
        await _until(lambda: self[number] is not gone, f"Pod {number} does not come back")
        await self._acquaint()

    async def split(self) -> None:
        """Let no pod hear another, and return when each has noticed."""
        for pod in self:
            pod.chaos.inject("link.drop", share=1, seconds=LONGEST)
        await _until(
            lambda: not any(link.state.breaker.closed for link in self._links()),
            "The pods do not notice that they are split",
        )

    async def heal(self) -> None:
        """Let them hear each other, and return when they do."""
        for pod in self:
            pod.chaos.stop_all()
        await self._acquaint()

    async def _acquaint(self) -> None:
        others = len(self) - 1
        await _until(
            lambda: all(
                link.state.breaker.closed and len(link.state.peers) >= others
                for link in self._links()
            ),
            "The pods do not get to know each other",
        )

    def _links(self) -> list[Link]:
        found = [pod.parts.watched.link for pod in self]
        return [link for link in found if link is not None]


def _is_up(pod: RoomPod, room: str) -> bool:
    supervisor = pod.parts.tree.rooms.supervisor
    child = supervisor.children.get(room)
    return child is not None and any(
        node.status is Status.RUNNING
        for node in supervisor.describe().children
        if node.path == child.path
    )


async def _until(condition: Callable[[], bool], trouble: str) -> None:
    with trio.move_on_after(BACK):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await trio.sleep(LOOK)
        return
    raise RuntimeError(f"{trouble} within {BACK:g} s.")
