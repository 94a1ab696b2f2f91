"""One connection's talk with a pod: greeting, token, rooms, requests, signs of life."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from attrs import evolve

from ..transport.errors import WireError
from ..transport.protocols import (
    Auth,
    ClientEvent,
    ClientMessage,
    Connected,
    Emit,
    Failed,
    FromPod,
    Join,
    Joined,
    Leave,
    Left,
    Ping,
    Problem,
    decode_from_pod,
    encode_to_pod,
)
from .core import Core
from .endings import Ending
from .errors import (
    CannotSend,
    ClientError,
    Disconnected,
    NoAnswer,
    Refused,
    TooMuchUnanswered,
    Unconfirmed,
)
from .rooms import PASSING, Step
from .wire import Wire, WireEnded

__all__ = ["Conversation"]

WAITING: Final = 256
"""Messages that may wait to be written; who has one more waits for a place."""
EARLY: Final = 64
"""Events that may come before a client is up; the oldest give way."""
BAD_TOKEN: Final = 4500
"""How an ending is called in which the pod has not taken the token: as when it expires."""
_TOKEN_LATER: Final = PASSING | {"too_fast", "too_many_guesses"}


class Conversation:
    """It lasts as long as its connection. `greeted_at` is when the pod has greeted, or None."""

    def __init__(self, core: Core) -> None:
        self.greeted_at: float | None = None
        self.client_id = ""
        self._core = core
        self._limit = 0
        self._out, self._to_write = trio.open_memory_channel[str](WAITING)
        self._steps: dict[int, Step] = {}
        self._greeted = trio.Event()
        # What the pod says before we are up: of an outage that is on. It is told after that.
        self._early: deque[tuple[ClientEvent, int]] | None = deque(maxlen=EARLY)
        self._due = trio.Event()
        self._doubted = trio.Event()
        self._heard = 0
        self._heard_at = trio.current_time()

    async def run(self, wire: Wire) -> None:
        """Talk until the client is to be closed. Raises `WireEnded`."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, wire)
                nursery.start_soon(self._write, wire)
                await self._begin()
                nursery.start_soon(self._tend_rooms, nursery)
                nursery.start_soon(self._look_for_life)
                await self._core.closing.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._out.close()
            self._to_write.close()

    async def _begin(self) -> None:
        timeout = self._core.options.timeout
        with trio.move_on_after(timeout) as waiting:
            await self._greeted.wait()
        if waiting.cancelled_caught:
            raise WireEnded(Ending(1006, f"no greeting in {timeout:g} s"))
        await self._sign_in()
        self._core.up(self)
        early, self._early = self._early, None
        for event, nbytes in early or ():
            self._core.hear(event, nbytes)

    # Who we are ---------------------------------------------------------------------------------

    async def _sign_in(self) -> None:
        token = await self._get_token()
        if token is None:
            return
        try:
            await self.ask(Auth(token), "auth", self._core.options.timeout)
        except Refused as refused:
            after, code = refused.retry_after, refused.code
            if code in _TOKEN_LATER:
                raise WireEnded(Ending(1013, str(refused), retry_after=after)) from refused
            problem = Problem(code, refused.sentence, None, after, data=refused.data)
            raise WireEnded(Ending(BAD_TOKEN, str(refused), refusal=problem)) from refused
        except ClientError as error:  # the connection is ending, or as good as that
            raise WireEnded(Ending(1006, str(error))) from error

    async def _get_token(self) -> str | None:
        token, timeout = self._core.token, self._core.options.timeout
        if not callable(token):
            return token
        got: str | None = None
        with trio.move_on_after(timeout) as waiting:
            try:
                got = await token()
            except Exception as error:  # not ours: who issues tokens may be away, as pods may
                raise WireEnded(Ending(1006, f"no token: {error!r:.200}")) from error
        if waiting.cancelled_caught:
            raise WireEnded(Ending(1006, f"no token in {timeout:g} s"))
        return got

    # Requests -----------------------------------------------------------------------------------

    async def ask(self, message: ClientMessage, what: str, timeout: float) -> FromPod:
        """See `Talk`."""
        room = message.room if isinstance(message, Emit) else None
        number, promise = self._core.outstanding.ask(what, room)
        heard, sent, answer = self._heard, False, None
        try:
            text = self._encode(evolve(message, id=number))
            with trio.move_on_after(timeout):
                await self._send(text)
                sent = True
                answer = await promise.wait()
        finally:
            self._core.outstanding.forget(number)
        if answer is None:
            if heard == self._heard:
                self._doubted.set()
            if not sent:
                raise Disconnected(f"The pod takes nothing: this {what} was not sent.")
            raise NoAnswer(what, timeout)
        if isinstance(answer, Failed):
            raise Refused.of(answer.problem)
        return answer

    def _encode(self, message: ClientMessage) -> str:
        try:
            text = encode_to_pod(message)
        except WireError as error:
            raise CannotSend(error.code, error.sentence) from error
        limit = self._limit
        if limit and len(text) * 4 > limit and len(text.encode()) > limit:
            sentence = f"The pod takes {limit} bytes at a time and this is more: send less."
            raise CannotSend("too_large", sentence)
        return text

    async def _send(self, text: str) -> None:
        try:
            await self._out.send(text)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Disconnected("The connection has just ended; nothing was sent.") from error

    async def _write(self, wire: Wire) -> None:
        """Write what waits: apart from who has it sent, who may be cancelled amid a frame."""
        timeout = self._core.options.timeout
        async for text in self._to_write:
            with trio.move_on_after(timeout) as writing:
                await wire.send(text)
            if writing.cancelled_caught:
                raise WireEnded(Ending(1006, f"the pod has taken nothing for {timeout:g} s"))

    # What comes ---------------------------------------------------------------------------------

    async def _read(self, wire: Wire) -> None:
        while True:
            text = await wire.receive()
            self._heard += 1
            self._heard_at = trio.current_time()
            try:
                message = decode_from_pod(text)
            except WireError as error:
                raise WireEnded(Ending(1002, error.sentence)) from error
            if message is not None:
                self._take(message, len(text))

    def _take(self, message: FromPod, nbytes: int) -> None:
        if isinstance(message, ClientEvent):
            if self._early is None:
                self._core.hear(message, nbytes)
            else:
                self._early.append((message, nbytes))
        elif isinstance(message, Connected):
            self._greet(message)
        else:
            promise = self._core.outstanding.take(message.id)
            # At once and in its turn: what comes next may be about the same room.
            self._settle_step(message.id, message)
            if promise is not None:
                promise.keep(message)
            else:
                self._told(message)

    def _greet(self, greeting: Connected) -> None:
        if self.greeted_at is None:
            self.greeted_at = trio.current_time()
            self.client_id, self._limit = greeting.client_id, greeting.max_message_bytes
            self._greeted.set()

    def _told(self, message: FromPod) -> None:
        """Take what answers nothing, or what nobody waits for any more."""
        now = trio.current_time()
        if isinstance(message, Failed) and message.id is None:
            self._core.told(message.problem, now)
            if message.problem.code == "expired_token" and callable(self._core.token):
                # A connection anew asks for a token anew, and for the rooms after that.
                raise WireEnded(Ending(BAD_TOKEN, message.problem.message))
        elif isinstance(message, Left) and message.reason is not None:
            self._core.rooms.put_out(message.room, message.reason, now)
            self.tend()
        elif isinstance(message, Joined) and not self._core.rooms.holds(message.room):
            # Its time was up, and nobody wants to be there.
            self._core.rooms.entered_late(message.room)
            self.tend()

    # Rooms --------------------------------------------------------------------------------------

    def tend(self) -> None:
        """See `Talk`."""
        self._due.set()

    async def _tend_rooms(self, nursery: trio.Nursery) -> None:
        rooms = self._core.rooms
        while True:
            self._due = trio.Event()
            now = trio.current_time()
            for problem in rooms.unexplained(now):
                self._core.lose(problem)
            for step in rooms.due(now):
                nursery.start_soon(self._take_step, step)
            with trio.move_on_at(rooms.next_at()):
                await self._due.wait()

    async def _take_step(self, step: Step) -> None:
        """Ask for one room to be joined or left; what comes of it `_settle_step` says."""
        message: Join | Leave = Leave(step.room)
        if step.joins:
            message = Join(step.room, data=step.data, resume=step.resume)
        timeout = self._core.options.timeout
        what = "join" if step.joins else "leave"
        try:
            number, promise = self._core.outstanding.ask(what)
        except TooMuchUnanswered as error:
            self._core.answered(step, Problem("busy", str(error)), trio.current_time())
            return
        self._steps[number] = step
        heard = self._heard
        try:
            with trio.move_on_after(timeout) as waiting:
                await self._send(self._encode(evolve(message, id=number)))
                await promise.wait()
        except CannotSend as error:
            self._settle_step(number, Problem(error.code, str(error)))
        except (Disconnected, Unconfirmed):
            pass  # `lost` has seen to it, or will
        finally:
            self._core.outstanding.forget(number)
        if waiting.cancelled_caught:
            if heard == self._heard:
                self._doubted.set()
            self._settle_step(number, Problem("timeout", str(NoAnswer(what, timeout))))

    def _settle_step(self, number: object, answer: FromPod | Problem) -> None:
        step = self._steps.pop(number, None) if type(number) is int else None
        if step is None:
            return
        problem = answer.problem if isinstance(answer, Failed) else None
        problem = answer if isinstance(answer, Problem) else problem
        place = answer.place if isinstance(answer, Joined) else None
        self._core.answered(step, problem, trio.current_time(), place)
        self.tend()

    # Signs of life ------------------------------------------------------------------------------

    async def _look_for_life(self) -> None:
        """Ask the pod whether it is there, when it has been silent or left something unanswered."""
        options = self._core.options
        while True:
            silent = trio.current_time() - self._heard_at
            if silent < options.heartbeat and not self._doubted.is_set():
                with trio.move_on_after(options.heartbeat - silent):
                    await self._doubted.wait()
                continue
            self._doubted = trio.Event()
            heard = self._heard
            try:
                await self.ask(Ping(), "ping", options.timeout)
            except (Refused, TooMuchUnanswered):
                pass  # an answer too; or so much is under way that life will show
            except ClientError as error:
                if heard == self._heard:
                    reason = f"no answer to a ping in {options.timeout:g} s"
                    raise WireEnded(Ending(1006, reason)) from error
