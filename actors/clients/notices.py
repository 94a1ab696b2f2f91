"""How clients are told of an outage: not all at once, for all may come back with a question."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import trio

from ...transport import JSON, ClientProtocol, Event, encode_data
from ..rooms import Member, frame_of

__all__ = ["Notices"]

SLICES: Final = 20
"""Pieces that a notice's window is cut into."""
MOST_WAITING: Final = 8
"""Notices that may wait while the link flaps; the oldest are dropped, the last one counts."""


class Notices:
    """Sends each notice to all clients in random order, spread over `window` seconds.

    One notice is out before the next begins, so every client hears them in order.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        event_ids: Callable[[], str],
        wall: Callable[[], float],
        window: float,
    ) -> None:
        self._members = members
        self._event_ids = event_ids
        self._wall = wall
        self._window = window
        self._waiting: deque[tuple[str, JSON, JSON]] = deque(maxlen=MOST_WAITING)
        self._wake = trio.Event()

    def tell(self, event: str, data: JSON, for_root: JSON = None) -> None:
        """Let all clients know, root more of it if there is more; never waits."""
        self._waiting.append((event, data, data if for_root is None else for_root))
        self._wake.set()

    async def run(self, started: Callable[[], None]) -> None:
        """Send what is told until cancelled."""
        started()
        while True:
            await self._wake.wait()
            while self._waiting:
                await self._send(*self._waiting.popleft())
            self._wake = trio.Event()

    async def _send(self, event: str, data: JSON, for_root: JSON) -> None:
        now, event_id = self._wall(), self._event_ids()
        told, root = (
            Event(None, event, encode_data(one), event_id, 0, now) for one in (data, for_root)
        )
        frames: dict[tuple[ClientProtocol, bool], bytes] = {}
        members = list(self._members.values())
        random.shuffle(members)
        size = max(1, math.ceil(len(members) / SLICES))
        for begin in range(0, len(members), size):
            for member in members[begin : begin + size]:
                frame = frames.get((member.protocol, member.is_root))
                if frame is None:
                    frame = frame_of(member.protocol, root if member.is_root else told)
                    frames[member.protocol, member.is_root] = frame
                member.sink.write(frame)
            await trio.sleep(self._window / SLICES)
