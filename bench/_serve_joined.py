"""A pod that is joined to another by a broker, and emits to one room or a thousand when told.

Its one argument is a JSON object of settings by dotted path. It emits no faster than the link
takes: what would not fit into the outbox would be lost, and is waited for.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, ClassVar

import trio
import trio.lowlevel
from _dialects import EVENT
from _orders import answer, read_line
from _serve_deployd import KEYS, SETTINGS

from deployd.actors import JSON, Room, Scope
from deployd.config import LoggingSettings, configure_logging, load
from deployd.supervisors import Pod, open_pod

PATIENT = {
    "limits.roomMailboxSize": 300_000,
    "limits.roomMailboxBytes": 256 * 1024 * 1024,
    "limits.messageBufferSize": 300_000,
    "limits.maxBufferBytes": 128 * 1024 * 1024,
}
"""The member reads more slowly than the pods may speak, and is here to count."""
AHEAD = 4000
"""Events that may wait for the link."""
LOOK = 64
"""Events between two looks at what waits."""
STAMPED = "stamped"


async def flood(pod: Pod, rooms: int, first: int, seconds: float, limit: int, size: int) -> None:
    """Emit numbered events to so many rooms in turn."""
    assert pod.uplink is not None
    began, count, emit = time.monotonic(), 0, pod.hub.emit_to_room
    outbox = pod.uplink.outbox
    names = [f"r{n}" for n in range(rooms)]
    while count < limit and time.monotonic() - began < seconds:
        text = f"#{first + count}".ljust(size, ".")
        while emit(names[count % rooms], EVENT, text).scope is Scope.REJECTED:
            await trio.lowlevel.checkpoint()
        count += 1
        if count % LOOK == 0:
            await trio.lowlevel.checkpoint()
            while outbox.statistics().waiting > AHEAD:  # noqa: ASYNC110 - it tells nobody
                await trio.sleep(0.001)
    answer(count=count, started=began)


class Stamped(Room):
    """Notes how long what other pods said has taken until the frames for its members are written.

    The data is the moment at which it was said, in seconds of the machine's steady clock, which all
    its processes share.
    """

    taken: ClassVar[list[float]] = []
    _said: ClassVar[list[float]] = []

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Tell the members here."""
        self.broadcast(event, data, local=True)
        assert isinstance(data, float)
        self._said.append(data)

    async def on_idle(self) -> None:
        """Write, then look at the clock."""
        await super().on_idle()
        now = time.monotonic()
        self.taken.extend(now - said for said in self._said)
        self._said.clear()


async def say_the_time(pod: Pod, count: int, pause: float) -> None:
    """Emit the time so often, with a pause (seconds) after each, while nothing else goes on."""
    for _ in range(count):
        pod.hub.emit_to_room(STAMPED, EVENT, time.monotonic())
        await trio.sleep(pause)
    answer(count=count)


async def serve(settings: dict[str, Any]) -> None:
    """Run a pod until stdin ends."""
    config = load(None, environ={}, overrides=settings).config
    async with open_pod(config, keys=KEYS, rooms={STAMPED: Stamped}) as pod:
        answer(port=pod.port)
        while line := await trio.to_thread.run_sync(read_line, abandon_on_cancel=True):
            match json.loads(line):
                case {"do": "flood", "first": first, "seconds": seconds} as order:
                    rooms, limit, size = (int(order[key]) for key in ("rooms", "limit", "size"))
                    await flood(pod, rooms, int(first), seconds, limit, size)
                case {"do": "say the time", "count": count, "pause": pause}:
                    await say_the_time(pod, int(count), pause)
                case {"do": "taken"}:
                    answer(**{str(n): taken for n, taken in enumerate(Stamped.taken)})
                case _:
                    answer(**health_of(pod))


def health_of(pod: Pod) -> dict[str, float]:
    """Return what the link has done."""
    assert pod.uplink is not None
    health = pod.uplink.health()
    names = ("published", "received", "lost", "missed", "outages")
    dropped = health["dropped"]
    assert isinstance(dropped, dict)
    return {
        "closed": float(pod.uplink.breaker.closed),
        "pods": float(str(health["pods"])),
        **{name: float(str(health[name])) for name in names},
        "undelivered": float(str(dropped["undelivered"])),
    }


if __name__ == "__main__":
    configure_logging(LoggingSettings(format="json"), tty=False, stream=sys.stderr)
    trio.run(serve, SETTINGS | PATIENT | json.loads(sys.argv[1]))
