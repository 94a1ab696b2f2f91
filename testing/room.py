"""A room under test: the same calls wherever it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeVar

import trio
import trio.testing
from trio.testing import MockClock

from ..actors import Hub, Member, Receipt, Request
from ..client import JSON, Client, Refused, Token, Unread
from ..client.client import TIMEOUT, Dial, serve
from ..client.core import Options
from .guest import PATIENCE, RoomGuest
from .room_pods import BACK, RoomPods
from .transcript import Transcript, shown
from .wiretap import Wiretap

__all__ = ["RoomUnderTest"]

LONG: Final = 10 * 366 * 86_400.0
"""Seconds for which guests have signed in, unless the test signs a token itself."""
OPTIONS: Final = Options(TIMEOUT, math.inf, 1_000, Unread.DROP_OLDEST, lambda: 0.1)
"""Guests come back soon (0.05 s, then twice that), and ask no pod whether it is there."""

R = TypeVar("R")


class RoomUnderTest:
    """A room, the pods that it runs in, and who is in it. Made by `open_room`.

    Pods are counted from 0. Each has a room of that name of its own, as in a cluster.
    """

    def __init__(
        self,
        name: str,
        pods: RoomPods,
        nursery: trio.Nursery,
        transcript: Transcript,
        quiet: float,
    ) -> None:
        self.name = name
        self.transcript = transcript
        """What was said so far."""
        self._pods = pods
        self._nursery = nursery
        self._quiet = quiet
        self._guests: list[RoomGuest] = []

    # What a test asks and does -----------------------------------------------------------------

    def wall(self) -> float:
        """Return the time that rooms and tokens go by, in unix seconds: it passes as trio's."""
        return self._pods.wall()

    @property
    def state(self) -> Any:
        """The state of the room on the first pod."""
        return self.states[0]

    @property
    def states(self) -> list[Any]:
        """The room's state on each pod; None where nobody has opened it."""
        found = [pod.parts.watched.rooms.roster(self.name) for pod in self._pods]
        return [None if roster is None else roster.state for roster in found]

    def hub(self, pod: int = 0) -> Hub:
        """Return what a pod's own code calls."""
        return self._pods[pod].parts.hub

    def token(self, user: str, *, root: bool = False, ttl: float = LONG) -> str:
        """Sign a token that is good for `ttl` seconds of the test's clock."""
        tokens = self._pods[0].parts.basis.tokens
        return tokens.sign(user, username=user, is_root=root, ttl=ttl)

    async def join(
        self,
        data: JSON = None,
        *,
        user: str | None = None,
        root: bool = False,
        token: str | None = None,
        pod: int = 0,
    ) -> RoomGuest:
        """Let somebody join who brings this, and return it when it is in. Raises `Refused`.

        With `user`, `root` or a `token` it has signed in; else it is nobody.
        """
        self._pods[pod]  # or there is none
        guest_id = f"{user or 'guest'}-{len(self._guests) + 1}"
        guest = RoomGuest(guest_id, self.name, self.transcript, self._settle, self._members, pod)
        self._guests.append(guest)
        tap = Wiretap(lambda: self._pods[guest.pod].dial, guest.told)
        shows: Token = token
        if token is None and (user is not None or root):
            shows = partial(self._fresh_token, user or "root", root)
        guest.come(await self._nursery.start(_be_client, guest, tap.dial, shows), tap)
        await guest.client.ready()
        try:
            await guest.join(data)
        except Refused:
            await guest.close()
            raise
        return guest

    async def emit(self, event: str, data: JSON = None, *, pod: int = 0) -> Receipt:
        """Say something as a pod's own code does (`hub.emit_to_room`)."""
        self.transcript.note(f"pod {pod} emits {event} {shown(data)}")
        receipt = self.hub(pod).emit_to_room(self.name, event, data)
        await self._settle()
        return receipt

    async def ask(self, request: Request[R], timeout: float = PATIENCE, *, pod: int = 0) -> R:
        """Ask the room what its typed handlers (`@handles`) answer."""
        return await self.hub(pod).room(self.name).ask(request, timeout)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and all that is due in it happen.

        Raises `RuntimeError` where the test does not have a clock of its own.
        """
        clock = trio.lowlevel.current_clock()
        if not isinstance(clock, MockClock):
            sentence = "Take the fixture `autojump_clock` of pytest-trio: time is real here."
            raise RuntimeError(sentence)  # noqa: TRY004 - of where it is called
        before, clock.autojump_threshold = clock.autojump_threshold, self._quiet
        await trio.sleep(seconds)
        await self._settle()
        clock.autojump_threshold = before

    # What goes wrong ---------------------------------------------------------------------------

    async def crash(self, *, pod: int = 0) -> None:
        """Let the room crash as if its code had raised, and return when it is back.

        Raises `RuntimeError` where nobody has opened it, or it does not come back.
        """
        self.transcript.note(f"the room on pod {pod} crashes")
        await self._pods.crash(pod, self.name)
        await self._settle()

    async def restart(self, *, pod: int = 0) -> None:
        """Stop a pod as a new version does, start it anew, and return when its guests are back.

        The room is told (`on_drain`, `on_stop`), and nothing of it is left.
        """
        self.transcript.note(f"pod {pod} restarts")
        await self._pods.restart(pod)
        for guest in self._guests:
            if guest.pod == pod:
                await guest.returned(BACK)
        await self._settle()

    async def split(self) -> None:
        """Cut all ways between the pods, and return when each has noticed."""
        self.transcript.note("the pods are split")
        await self._pods.split()
        await self._settle()

    async def heal(self) -> None:
        """Mend the ways, and return when all pods know each other again."""
        self.transcript.note("the pods are healed")
        await self._pods.heal()
        await self._settle()

    # Inside ------------------------------------------------------------------------------------

    def _members(self, pod: int) -> Mapping[str, Member]:
        return self._pods[pod].parts.basis.members

    async def _fresh_token(self, user: str, root: bool) -> str:
        return self.token(user, root=root)

    async def _settle(self) -> None:
        """Return when nothing happens any more until time passes."""
        await trio.testing.wait_all_tasks_blocked(self._quiet)


async def _be_client(
    guest: RoomGuest, dial: Dial, token: Token, task_status: trio.TaskStatus[Client]
) -> None:
    async with serve(dial, token, OPTIONS) as client:
        task_status.started(client)
        await guest.closed()
