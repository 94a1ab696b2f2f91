"""Runs a stress test: lets the clients in, has them speak on schedule, and counts what they hear.

The schedule is open: a message is due when it is due, however slow the pod is, and its latency
counts from then. A pod that stops for a second so shows in every message of that second, not in one
("coordinated omission", G. Tene).
"""

from __future__ import annotations

import random
import ssl
from collections import Counter

import trio

from .client import Client, Closed, TurnedAway
from .plan import Plan
from .tally import Tally

__all__ = ["put_under_load"]

AT_ONCE = 100
"""Handshakes that are under way at a time."""
ATTEMPTS = 8
HANDSHAKE = 30.0
"""Seconds for one of them, and for the way into the room."""
BEHIND = 10_000
"""Messages that may wait for a pod that takes nothing; more are not sent, and counted."""
LAST_WORDS = 3.0
"""Seconds that deliveries may take after the last message."""


async def put_under_load(plan: Plan, tally: Tally) -> None:
    """Run it whole, or until cancelled; `tally` is up to date at any time."""
    tally.wanted = plan.connections
    run = _Run(plan, tally)
    try:
        async with trio.open_nursery() as nursery:
            await run.connect(nursery)
            await run.speak()
            with trio.move_on_after(LAST_WORDS):
                while tally.received < tally.expected:  # noqa: ASYNC110 - nothing tells of it
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
    finally:
        tally.done = True


class _Run:
    """One run. `members` counts who is in each room."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self._plan = plan
        self._tally = tally
        self._clients: dict[int, Client] = {}
        self._members: Counter[str] = Counter()
        self._began = 0.0
        self._behind = 0
        # One for all: it reads the system's certificates, which costs more than a handshake does.
        self._context = ssl.create_default_context() if plan.endpoint[2] else None

    async def connect(self, nursery: trio.Nursery) -> None:
        """Let everybody in; those who do not get in are errors."""
        limit, began = trio.CapacityLimiter(AT_ONCE), trio.current_time()
        async with trio.open_nursery() as arriving:
            for number in range(self._plan.connections):
                arriving.start_soon(self._arrive, number, limit, nursery)
        self._tally.connecting_seconds = trio.current_time() - began

    async def speak(self) -> None:
        """Say every message when it is due."""
        payload = "x" * self._plan.size
        self._began = trio.current_time()
        async with trio.open_nursery() as sending:
            for due, number in self._plan.schedule():
                await trio.sleep_until(self._began + due)
                self._tally.elapsed = trio.current_time() - self._began
                client = self._clients.get(number)
                if client is None:
                    continue
                if self._behind >= BEHIND:
                    self._tally.failed("not sent: the pod takes nothing")
                    continue
                self._behind += 1
                room = self._plan.room(number)
                self._tally.said(int(due), self._members[room])
                data = {"due": due, "pad": payload}
                message: dict[str, object] = {"type": "emit", "room": room}
                message |= {"event": "stress", "data": data}
                sending.start_soon(self._send, client, message)
        self._tally.elapsed = trio.current_time() - self._began

    async def _send(self, client: Client, message: dict[str, object]) -> None:
        try:
            await client.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._tally.failed("not sent: the connection has ended")
        finally:
            self._behind -= 1

    async def _arrive(
        self, number: int, limit: trio.CapacityLimiter, nursery: trio.Nursery
    ) -> None:
        for attempt in range(ATTEMPTS):
            wait = random.uniform(0, 0.5 * 2**attempt)  # noqa: S311 - jitter
            async with limit:
                kind = "no handshake in time"
                with trio.move_on_after(HANDSHAKE):
                    try:
                        client = await Client.connect(self._plan, self._context)
                    except TurnedAway as error:
                        kind, wait = str(error), error.wait or wait
                        self._tally.told_to_wait += error.wait is not None
                    except (OSError, Closed, trio.BrokenResourceError) as error:
                        kind = f"no connection: {type(error).__name__}"
                    else:
                        await nursery.start(self._live, number, client)
                        return
            await trio.sleep(wait)
        self._tally.failed(kind)

    async def _live(self, number: int, client: Client, task_status: trio.TaskStatus[None]) -> None:
        """Be a client until the pod closes it or all is over."""
        room = self._plan.room(number)
        try:
            await client.enter(self._plan, room)
            async for message in client.messages():
                if message["type"] == "join" and not client.member:
                    client.member = True
                    self._clients[number] = client
                    self._members[room] += 1
                    self._tally.connected += 1
                    self._tally.open_now += 1
                    task_status.started()
                else:
                    self._take(message)
        except Closed as error:
            self._tally.closed[error.code] += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._tally.closed[1006] += 1
        finally:
            if client.member:
                self._clients.pop(number, None)
                self._members[room] -= 1
                self._tally.open_now -= 1
            await client.aclose()
            if not client.member:
                task_status.started()

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"type": "emit", "event": "stress", "data": {"due": float() | int() as due}}:
                latency = trio.current_time() - self._began - due
                self._tally.heard(int(due), max(0.0, latency))
            case {"type": "error", "data": {"code": str(code)}}:
                self._tally.failed(f"told {code}")
