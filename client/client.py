"""A client of a pod: what programs call, and the connections behind it."""

from __future__ import annotations

import random as chance
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeAlias

import trio

from ..config import redact_text
from ..transport.protocols import (
    JSON,
    Auth,
    ClientEvent,
    Degraded,
    Emit,
    Outage,
    Receipted,
)
from .address import read_url
from .conversation import Conversation
from .core import Core, Options, Token
from .endings import Ending, comeback
from .errors import CannotSend, ClientClosed, Disconnected, NoAnswer, Refused
from .messages import ClientReceipt, Signal
from .outstanding import Promise
from .unread import Unread, UnreadQueue
from .wire import CLOSING, Wire, run_wire

__all__ = ["Client", "Dial", "connect", "serve"]

TIMEOUT: Final = 10.0
"""Seconds for any answer, and for the connection itself."""
HEARTBEAT: Final = 25.0
"""Seconds of silence after which the pod is asked whether it is there."""
MOST_UNREAD: Final = 1_000
"""Events of a room that wait for a reader."""

Dial: TypeAlias = Callable[[Callable[[Wire], Awaitable[None]]], Awaitable[Ending]]
"""Connects, talks, and returns how the connection ended: `run_wire` with its address."""


class Client:
    """A client of one pod, over all its connections. Made by `connect`.

    `timeout` is in seconds everywhere, by default what `connect` was given.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def id(self) -> str | None:
        """What the pod calls this connection; None while there is none."""
        talk = self._core.talk
        return None if talk is None else talk.client_id

    @property
    def connected(self) -> bool:
        """Whether there is a connection on which the pod knows who we are."""
        return self._core.talk is not None

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that it wants to be in: it asks for them on each connection."""
        return self._core.rooms.wanted

    @property
    def degraded(self) -> Degraded | None:
        """The outage between pods that this one has told of and that is not over, or None."""
        return self._core.degraded

    async def ready(self, *, timeout: float | None = None) -> None:
        """Return when there is a connection, and the client is back in the rooms that it was in.

        Raises `Disconnected` when that takes longer, and why the client has ended.
        """
        core = self._core
        seconds = self._seconds(timeout)
        with trio.move_on_after(seconds) as waiting:
            await core.until(lambda: core.talk is not None and core.rooms.settled)
        if waiting.cancelled_caught:
            raise Disconnected(f"{self._trouble()}, after {seconds:g} s.")

    async def join(self, room: str, data: JSON = None, *, timeout: float | None = None) -> None:
        """Be in a room from now on, over reconnections too. The room is told `data` each time.

        Raises `Refused`; `NoAnswer` or `Disconnected` when it takes too long. Whatever it raises,
        the room is not asked for any more, unless it was joined before.
        """
        self._check()
        promise = self._core.want(room, data)
        try:
            await self._wait_for(promise, "join", timeout)
        finally:
            self._core.give_up(room, promise)

    async def leave(self, room: str, *, timeout: float | None = None) -> None:
        """Leave a room. From now on it is not asked for, whatever comes of this."""
        self._check()
        await self._wait_for(self._core.unwant(room), "leave", timeout)

    async def emit(
        self, room: str | None, event: str, data: JSON = None, *, timeout: float | None = None
    ) -> ClientReceipt:
        """Say something in a room, or (None) to everyone; return how far it got.

        The receipt has what the room's handler has answered, `Refused.data` what it says of a no.
        Nothing is kept for later: without a connection, or while the client is not back in the
        room, it raises `Disconnected` at once. Raises `Refused` when the pod says no, `CannotSend`,
        and `Unconfirmed` or `NoAnswer` when nobody knows if it arrived.
        """
        self._check()
        if room == "":  # to the pod that would be everyone
            raise CannotSend("bad_room", "Give the name of a room, or None for everyone.")
        core, talk = self._core, self._core.talk
        if talk is None:
            raise Disconnected(f"{self._trouble()}: nothing was sent.")
        if room is not None and room in core.rooms.wanted and not core.rooms.is_in(room):
            sentence = f"The client is not in the room '{room}' yet: nothing was sent."
            raise Disconnected(sentence)
        answer = await talk.ask(Emit(event, data, room), "emit", self._seconds(timeout))
        if not isinstance(answer, Receipted):
            raise Refused("unknown", f"The pod answered with something else: {answer}.")
        return ClientReceipt.read(answer)

    async def sign_in(self, token: str, *, timeout: float | None = None) -> None:
        """Be somebody else, on this connection and those that follow. Raises as `emit` does."""
        self._check()
        talk = self._core.talk
        if talk is None:
            raise Disconnected(f"{self._trouble()}: nothing was sent.")
        await talk.ask(Auth(token), "auth", self._seconds(timeout))
        self._core.token = token

    def events(self, room: str | None = None) -> UnreadQueue[ClientEvent]:
        """Return what is said in a room, to iterate over; without a room all events there are.

        Those of a room wait from `join` on, all others from the first call of this. Each is read
        once: what one loop has taken the next one does not see, so a loop may be left and another
        begun. It ends when the room is left, and raises `RoomLost` when the pod has put us out.
        """
        inboxes = self._core.inboxes
        return inboxes.everything() if room is None else inboxes.room(room)

    def outages(self) -> UnreadQueue[Outage]:
        """Return what pods say of the way between them: `Degraded`, `Gap`, `Healed`."""
        return self._core.inboxes.outages

    def signals(self) -> UnreadQueue[Signal]:
        """Return what befalls this client: its connection, its rooms, outages, and problems."""
        return self._core.inboxes.signals

    def told(self) -> UnreadQueue[ClientEvent | Signal]:
        """Return all that this client is told from the first call of this on, in its order.

        For who writes it down: events and signals, each in the place in which it came.
        """
        return self._core.inboxes.told()

    async def _wait_for(self, promise: Promise[None], what: str, timeout: float | None) -> None:
        seconds = self._seconds(timeout)
        with trio.move_on_after(seconds) as waiting:
            await promise.wait()
        if waiting.cancelled_caught and not self.connected:
            raise Disconnected(f"{self._trouble()}, after {seconds:g} s.")
        if waiting.cancelled_caught:
            raise NoAnswer(what, seconds)

    def _seconds(self, timeout: float | None) -> float:
        return self._core.options.timeout if timeout is None else timeout

    def _check(self) -> None:
        if self._core.error is not None:
            raise self._core.error()

    def _trouble(self) -> str:
        """Say what is missing."""
        if self._core.talk is not None:
            return "The client is not back in all of its rooms"
        last = self._core.last
        why = f" ({last.reason or last.code})" if last is not None else ""
        return f"There is no connection{why}"


@asynccontextmanager
async def connect(
    url: str,
    token: Token = None,
    *,
    timeout: float = TIMEOUT,
    heartbeat: float = HEARTBEAT,
    most_unread: int = MOST_UNREAD,
    unread: Unread = Unread.FAIL,
    tls: ssl.SSLContext | None = None,
    random: Callable[[], float] = chance.random,
) -> AsyncIterator[Client]:
    """Be a client of the pod at `url` for the length of the block, connected when it begins.

    `token` is a JWT, or an async function that gets one for each connection. `most_unread` events
    of each room wait for a reader; `unread` is what becomes of more. `tls` says which certificates
    are trusted. Raises `Misuse`, `Disconnected` when there is no connection in `timeout` seconds,
    `Refused` when the token is not taken, and `ClosedForGood`.
    """
    address = read_url(url)
    options = Options(timeout, heartbeat, most_unread, unread, random)
    dial = partial(run_wire, address, timeout=timeout, tls=tls)
    async with serve(dial, token, options) as client:
        try:
            await client.ready(timeout=timeout)
        except Disconnected as error:
            raise Disconnected(f"No pod at {redact_text(url)}: {error}") from error
        yield client


@asynccontextmanager
async def serve(dial: Dial, token: Token, options: Options) -> AsyncIterator[Client]:
    """Be a client over connections that `dial` makes, connected or not."""
    core = Core(token, options)
    over = trio.Event()
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_live, core, dial, over)
            try:
                yield Client(core)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below
                failure = error  # as it is, and not in the group that a nursery makes of it
            if not isinstance(failure, KeyboardInterrupt):
                await _close(core, over)
            nursery.cancel_scope.cancel()
    finally:
        core.end(ClientClosed, wanted=True)
    if failure is not None:
        raise failure


async def _close(core: Core, over: trio.Event) -> None:
    """Say goodbye, where there is somebody to say it to."""
    core.closing.set()
    if core.talk is not None:
        with trio.move_on_after(CLOSING):
            await over.wait()


async def _live(core: Core, dial: Dial, over: trio.Event) -> None:
    """Connect, and again, until the client is closed or turned away for good."""
    failures, known = 0, False
    while not core.closing.is_set():
        talk = Conversation(core)
        ending = await dial(talk.run)
        if core.closing.is_set():
            break
        greeted = talk.greeted_at
        known = known or greeted is not None
        decided = comeback(
            ending,
            lasted=0.0 if greeted is None else trio.current_time() - greeted,
            failures=failures,
            known=known,
            renews=callable(core.token),
            random=core.options.random,
        )
        failures = decided.failures
        core.down(ending, decided)
        if decided.final:
            break
        with trio.move_on_after(decided.wait):
            await core.closing.wait()
    over.set()
