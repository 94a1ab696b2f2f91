"""Runs a stress test: lets the clients in, has them speak on schedule, and counts what they hear.

The schedule is open: a message is due when it is due, however slow the pod is, and its latency
counts from then. A pod that stops for a second so shows in every message of that second, not in one
("coordinated omission", G. Tene).
"""

from __future__ import annotations

import random
import ssl
from collections import Counter
from contextlib import aclosing

import trio

from .client import ConnectionClosed, StressClient, TurnedAway, Untrusted
from .plan import LAST_WORDS, OVERTIME, Plan
from .tally import Tally

__all__ = ["put_under_load"]

AT_ONCE = 100
"""Handshakes that are under way at a time."""
ATTEMPTS = 8
LONGEST_PAUSE = 5.0
"""Seconds between two of them at most, where the pod has not said when to come again."""
HANDSHAKE = 10.0
"""Seconds for one of them; a pod that answers none is asked again in what is left of the time."""
BEHIND = 10_000
"""Messages that may wait for a pod that takes nothing; more are not sent, and counted."""
NO_HANDSHAKE = "no handshake in time"
OUTSIDE = "not in its room"


async def put_under_load(plan: Plan, tally: Tally) -> None:
    """Run it whole, or until cancelled; `tally` is up to date at any time.

    It takes no longer than `plan.longest`: every wait for the pod is under a deadline.
    """
    tally.wanted = plan.connections
    run = _Run(plan, tally)
    try:
        async with trio.open_nursery() as nursery:
            await run.connect(nursery)
            if tally.joined:  # or nobody would say anything for as long as the test takes
                await run.speak()
            with trio.move_on_after(LAST_WORDS):
                while tally.received < tally.expected:  # noqa: ASYNC110 - nothing tells of it
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
    finally:
        tally.done = True


class _Run:
    """One run. `members` counts who is in each room, `outside` says why a client is in none."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self._plan = plan
        self._tally = tally
        self._clients: dict[int, StressClient] = {}
        self._members: Counter[str] = Counter()
        self._outside = dict.fromkeys(range(plan.connections), NO_HANDSHAKE)
        self._began = 0.0
        self._behind = 0
        self._left = plan.messages
        # One for all: it reads the system's certificates, which costs more than a handshake does.
        self._context = ssl.create_default_context() if plan.endpoint[2] else None

    async def connect(self, nursery: trio.Nursery) -> None:
        """Let everybody in who gets in within the time; the others are errors."""
        limit = trio.CapacityLimiter(AT_ONCE)
        self._began = trio.current_time()
        with trio.move_on_after(self._plan.arrival):
            async with trio.open_nursery() as arriving:
                for number in range(self._plan.connections):
                    arriving.start_soon(self._arrive, number, limit, nursery)
        for why in self._outside.values():
            self._tally.failed(why)

    async def speak(self) -> None:
        """Say every message when it is due; what could not be said by the end is an error."""
        self._began = trio.current_time()
        with trio.move_on_after(self._plan.duration + OVERTIME):
            async with trio.open_nursery() as sending:
                await self._keep_to_the_schedule(sending)
        self._tally.elapsed = trio.current_time() - self._began
        if self._left:
            self._tally.failed("not sent: no time was left", self._left)

    async def _keep_to_the_schedule(self, sending: trio.Nursery) -> None:
        payload = "x" * self._plan.size
        for due, number in self._plan.schedule():
            await trio.sleep_until(self._began + due)
            self._tally.elapsed = trio.current_time() - self._began
            self._tally.reached(int(due))
            client = self._clients.get(number)
            if client is None or self._behind >= BEHIND:
                self._left -= 1
                if client is not None:
                    self._tally.failed("not sent: the pod takes nothing")
                continue
            self._behind += 1
            room = self._plan.room(number)
            data = {"due": due, "pad": payload}
            message: dict[str, object] = {"type": "emit", "room": room}
            message |= {"event": "stress", "data": data}
            sending.start_soon(self._send, client, message, self._members[room])

    async def _send(self, client: StressClient, message: dict[str, object], members: int) -> None:
        try:
            await client.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._tally.failed("not sent: the connection has ended")
        else:
            self._tally.said(members)
        self._behind -= 1
        self._left -= 1

    async def _arrive(
        self, number: int, limit: trio.CapacityLimiter, nursery: trio.Nursery
    ) -> None:
        client = await self._shake_hands(number, limit)
        if client is not None:
            self._tally.connected += 1
            self._tally.connecting_seconds = trio.current_time() - self._began
            self._outside[number] = f"{OUTSIDE}: no answer in time"
            await nursery.start(self._live, number, client)

    async def _shake_hands(self, number: int, limit: trio.CapacityLimiter) -> StressClient | None:
        """Try several times; None when it came to nothing, and `outside` says why."""
        for attempt in range(ATTEMPTS):
            wait = random.uniform(0, min(LONGEST_PAUSE, 0.5 * 2**attempt))  # noqa: S311 - jitter
            async with limit:
                why = NO_HANDSHAKE
                with trio.move_on_after(HANDSHAKE):
                    try:
                        return await StressClient.connect(self._plan, self._context)
                    except TurnedAway as error:
                        why, wait = str(error), error.wait or wait
                        self._tally.told_to_wait += error.wait is not None
                    except Untrusted as error:  # nor will it be the next time
                        self._outside[number] = f"certificate not trusted: {error}"
                        return None
                    except (OSError, ConnectionClosed, trio.BrokenResourceError) as error:
                        why = f"no connection: {type(error).__name__}"
                self._outside[number] = why
            await trio.sleep(wait)
        return None

    async def _live(
        self, number: int, client: StressClient, task_status: trio.TaskStatus[None]
    ) -> None:
        """Be a client until the pod closes it or all is over; started once it is in its room."""
        room = self._plan.room(number)
        try:
            await client.enter(self._plan, room)
            async with aclosing(client.messages()) as messages:
                async for message in messages:
                    match message:
                        case {"type": "join"} if not client.member:
                            self._let_in(number, client, room)
                            task_status.started()
                        case {
                            "type": "error",
                            "id": StressClient.JOINING,
                            "data": {"code": str(code)},
                        }:
                            self._outside[number] = f"{OUTSIDE}: told {code}"
                            break
                        case _:
                            self._take(message)
        except ConnectionClosed as error:
            self._ended(number, client, error.code)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended(number, client, 1006)
        finally:
            if client.member:
                self._clients.pop(number, None)
                self._members[room] -= 1
                self._tally.open_now -= 1
            await client.aclose()
            if not client.member:
                task_status.started()

    def _let_in(self, number: int, client: StressClient, room: str) -> None:
        client.member = True
        del self._outside[number]
        self._clients[number] = client
        self._members[room] += 1
        self._tally.joined += 1
        self._tally.open_now += 1

    def _ended(self, number: int, client: StressClient, code: int) -> None:
        if client.member:
            self._tally.closed[code] += 1
        else:
            self._outside[number] = f"{OUTSIDE}: closed with {code}"

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"type": "emit", "event": "stress", "data": {"due": float() | int() as due}}:
                latency = trio.current_time() - self._began - due
                self._tally.heard(int(due), max(0.0, latency))
            case {"type": "error", "data": {"code": str(code)}}:
                self._tally.failed(f"told {code}")
