"""Two pods under steady traffic, with clients that write down what they hear."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import trio
from attrs import define, evolve, field
from websockets.exceptions import ConnectionClosed

from deployd.config import Broker, FailurePolicy
from deployd.supervisors import Pod, open_pod

from .clients import KEYS, PATIENCE, Client, connected, pod_config
from .crossing import Heard, Said, Verdict, gaps, judge

__all__ = ["Scene", "Witness", "scene"]

ROOMS: Final = ("tea", "kept-1")
PAUSE: Final = 0.01
"""Seconds between two events."""


@define(eq=False)
class Witness:
    """A client that remembers. `changed` is set at each message."""

    client: Client
    heard: list[Heard] = field(factory=list)
    notices: list[tuple[str, Mapping[str, Any], float]] = field(factory=list)
    receipts: dict[int, tuple[str, float]] = field(factory=dict)
    closed: bool = False
    changed: trio.Event = field(factory=trio.Event)

    async def listen(self) -> None:
        """Write down until the connection ends."""
        try:
            while True:
                self._take(json.loads(await self.client.socket.recv()))
        except ConnectionClosed:
            self.closed = True

    def _take(self, message: Mapping[str, Any]) -> None:
        kind, now = message["type"], time.time()
        if kind == "emit" and str(message["event"]).startswith("system:"):
            self.notices.append((message["event"], message["data"], now))
        elif kind == "emit":
            again = bool(message["meta"].get("replayed"))
            self.heard.append(Heard(message["room"], message["data"], again))
        elif kind == "receipt":
            self.receipts[message["id"]] = (message["data"]["scope"], now)
        elif kind == "error" and "id" in message:
            self.receipts[message["id"]] = ("rejected", now)
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Return when a message makes it so; raises `trio.TooSlowError`."""
        with trio.fail_after(seconds):
            while not condition():
                await self.changed.wait()

    def told(self, event: str) -> int:
        """How often it was told that."""
        return sum(name == event for name, _, _ in self.notices)


@define(eq=False)
class Scene:
    """Pods A and B; `speaker` and `near` are clients of A, `far` one of B."""

    a: Pod
    b: Pod
    speaker: Witness
    near: Witness
    far: Witness
    said: list[tuple[str, float]] = field(factory=list)
    going: bool = True

    async def speak(self) -> None:
        """Say numbered events in all rooms in turn until `settle`."""
        while self.going:
            number = len(self.said)
            room = ROOMS[number % len(ROOMS)]
            self.said.append((room, time.time()))
            await self.speaker.client.send("emit", room=room, event="e", data=number, id=number)
            await trio.sleep(PAUSE)

    async def told(self, event: str, times: int = 1, seconds: float = PATIENCE) -> float:
        """Return the seconds until clients of both pods have been told so often."""
        began = trio.current_time()
        for witness in (self.near, self.far):
            await witness.until(partial(self._at_least, witness, event, times), seconds)
        return trio.current_time() - began

    @staticmethod
    def _at_least(witness: Witness, event: str, times: int) -> bool:
        return witness.told(event) >= times

    async def heard_more(self, count: int = 20) -> None:
        """Return when the other pod has heard so many more."""
        due = len(self.far.heard) + count
        await self.far.until(lambda: len(self.far.heard) >= due)

    async def settle(self) -> Verdict:
        """Stop, wait for what is due, check what must be true of any fault, and judge."""
        self.going = False
        await self.speaker.until(lambda: len(self.speaker.receipts) == len(self.said))
        await self.near.until(lambda: len(self.near.heard) == len(self.said))
        history = self._history()
        due = {e.number for e in history if e.scope in ("cluster", "queued")}
        with trio.move_on_after(1):
            await self.far.until(lambda: due <= {event.number for event in self.far.heard})
        assert not any(w.closed for w in (self.speaker, self.near, self.far))
        rooms = [[e.number for e in self.near.heard if e.room == room] for room in ROOMS]
        assert all(numbers == sorted(set(numbers)) for numbers in rooms)
        return judge(history, self.far.heard, gaps(self.far.notices))

    def _history(self) -> list[Said]:
        receipts = self.speaker.receipts
        return [
            Said(room, number, began, receipts[number][1], receipts[number][0], room == "kept-1")
            for number, (room, began) in enumerate(self.said)
        ]


@asynccontextmanager
async def scene(broker: Broker) -> AsyncIterator[Scene]:
    """Open two pods with that broker, whose clients hear each other, and let one speak."""
    settings = evolve(
        broker, enabled=True, notice_window=0.0, policies={"kept-*": FailurePolicy.BUFFER}
    )
    config = evolve(pod_config(message_rate_limit=0.0), broker=settings)
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(open_pod(config, keys=KEYS)) for _ in range(2)]
        speaker, near = await stack.enter_async_context(connected(a, 2))
        [far] = await stack.enter_async_context(connected(b))
        await _joined_up(a, b)
        for client in (speaker, near, far):
            for room in ROOMS if client is not speaker else ():
                await client.send("join", room=room)
                while (await client.receive())["type"] != "join":
                    pass  # it may be told first that the pod was alone
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        playing = Scene(a, b, Witness(speaker), Witness(near), Witness(far))
        for witness in (playing.speaker, playing.near, playing.far):
            nursery.start_soon(witness.listen)
        nursery.start_soon(playing.speak)
        await playing.heard_more()
        yield playing


async def _joined_up(*pods: Pod) -> None:
    with trio.fail_after(PATIENCE):
        while not all(_whole(pod) for pod in pods):  # noqa: ASYNC110 - they tell nobody
            await trio.sleep(0.01)


def _whole(pod: Pod) -> bool:
    assert pod.uplink is not None
    uplink = pod.uplink
    return uplink.breaker.closed and uplink.degraded is None and len(uplink.peers) == 1
