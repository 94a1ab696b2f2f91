"""What survives an actor's crash: path, mailbox, watchers, counters. And the loop that runs it."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import trio
from attrs import evolve, field, frozen

from ...config import bind_log_context
from ...transport import JSON
from .actor import Actor
from .dead_letters import DeadLetters
from .errors import Poisoned, Unanswered, Unhandled
from .failures import contained, error_text, failure_of, writable
from .mailbox import Mailbox
from .messages import Exit
from .overflow import MailboxStatistics
from .recipient import Recipient, unwrapped
from .ref import Later, Question

__all__ = ["ActorCell", "ActorStatistics"]

M = TypeVar("M")
R = TypeVar("R")

TURNS_PER_CHECKPOINT: Final = 64
"""Messages and timers that an actor may handle before the other tasks get their turn."""
POISON_KEPT: Final = 5

_NOTHING: Final = object()
_UNKNOWN: Final[Mapping[str, str]] = {}


@frozen
class ActorStatistics:
    """What an actor is doing: `handler` has been running for `handler_seconds`, or is None.

    `detail` is what the actor itself adds (`Actor.describe`).
    """

    path: str
    kind: str
    alive: bool
    incarnation: int
    restarts: int
    mailbox: MailboxStatistics
    handler: str | None
    handler_seconds: float
    handled: int
    poisoned: int
    timers: int
    detail: Mapping[str, JSON] = field(factory=dict)


class ActorCell(Recipient[M]):
    """An actor as its supervisor and its references know it, whichever incarnation runs.

    The supervisor awaits `run` for each incarnation and calls `terminated` when there will be
    no other. The factory makes the instance, for each incarnation anew. `on_false_start` is called
    each time one has failed to start, `on_terminated` last, with the final exit.
    """

    __slots__ = (
        "_actor",
        "_attempts",
        "_crashed_on",
        "_current",
        "_factory",
        "_handled",
        "_kind",
        "_lost",
        "_on_false_start",
        "_on_terminated",
        "_owed",
        "_poison",
        "_poisoned",
        "_reason",
        "_running",
        "_since",
        "_starting",
        "_stopping",
    )

    def __init__(
        self,
        path: str,
        factory: Callable[[], Actor],
        *,
        mailbox: Mailbox[M] | None = None,
        dead_letters: DeadLetters,
        on_false_start: Callable[[], None] | None = None,
        on_terminated: Callable[[Exit], None] | None = None,
    ) -> None:
        super().__init__(path, Mailbox() if mailbox is None else mailbox, dead_letters)
        self._factory = factory
        self._on_false_start = on_false_start
        self._on_terminated = on_terminated
        self._actor: Actor | None = None
        self._kind = ""
        self._starting = False
        self._stopping: Exit | None = None
        self._reason = ""
        self._current: object = _NOTHING
        self._crashed_on: Mapping[str, str] = _UNKNOWN
        self._attempts = 0
        self._lost: tuple[Actor, object, Exception] | None = None
        self._owed: set[Question] | None = None
        self._poison: deque[tuple[str, str]] | None = None
        self._running: Callable[..., Awaitable[object]] | None = None
        self._since = 0.0
        self._handled = self._poisoned = 0

    # For the supervisor --------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Run one incarnation; call `started` when it is up. Returns when it has stopped.

        Raises what its code raised, as an `Exception` in any case (`failure_of`).
        """
        bind_log_context(actor=self.path)  # once for the task, and not for each message
        self.incarnation += 1
        self._starting = True
        exit_ = Exit.killed("cancelled")
        try:
            actor = self._instantiate()
            await self._start(actor)
            self._starting = False
            started()
            if type(actor).around is Actor.around:
                await self._loop(actor)
            else:
                await actor.around(functools.partial(self._loop, actor))
            exit_ = self._stopping or Exit.normal()
        except BaseException as error:  # noqa: BLE001 - raised below, when on_stop has run
            exit_ = Exit.crashed(failure_of(error))
            if self._starting and self._on_false_start is not None:
                self._on_false_start()
            self._starting = False
        finally:
            await self._dispose(exit_)
        if exit_.error is not None:
            raise exit_.error

    def request_stop(self, reason: str = "") -> None:
        """Let this incarnation, or the next when none runs, end after the current message."""
        self.end(Exit.shutdown(reason))

    def terminated(self, exit: Exit) -> None:  # noqa: A002
        """Note that there will be no other incarnation. Only the first call counts.

        What waited becomes dead letters, asks fail with ActorDead, each watcher gets its `Down`.
        An exit without a reason takes over the one that the actor stopped for.
        """
        if self.exit is not None:
            return
        if not exit.reason and not exit.abnormal:
            exit = evolve(exit, reason=self._reason)  # noqa: A001
        unfinished = [] if self._current is _NOTHING else [self._current]
        self._current = _NOTHING
        self._report_loss_late()
        self._close(exit, unfinished)
        if self._on_terminated is not None:
            self._on_terminated(exit)

    def statistics(self) -> ActorStatistics:
        """Return what the actor is doing now, and its totals."""
        running = self._running
        timers = self._actor.timers if self._actor is not None else None
        return ActorStatistics(
            path=self.path,
            kind=self._kind,
            alive=self.exit is None,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
            mailbox=self.mailbox.statistics(),
            handler=None if running is None else _name_of(running),
            handler_seconds=0.0 if running is None else trio.current_time() - self._since,
            handled=self._handled,
            poisoned=self._poisoned,
            timers=0 if timers is None else len(timers),
            detail={} if self._actor is None else _described(self._actor),
        )

    @property
    def waiting(self) -> int:
        """How many messages wait, the signals included."""
        return len(self.mailbox)

    @property
    def doing(self) -> tuple[str, float]:
        """The handler that runs and for how many seconds; no name when none does."""
        running = self._running
        if running is None:
            return "", 0.0
        return _name_of(running), trio.current_time() - self._since

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: no message waits, none is handled, and it is up."""
        nothing = self._current is _NOTHING and self._running is None
        return nothing and not self._starting and not self.mailbox

    @property
    def promised(self) -> bool:
        """Whether it is to be called back once (`after`), at a time that has not come yet."""
        timers = self._actor.timers if self._actor is not None else None
        return timers is not None and timers.promised

    @property
    def poison(self) -> tuple[tuple[str, str], ...]:
        """The last few poisoned messages, oldest first: the type's name and the error."""
        return tuple(self._poison or ())

    # For the instance ----------------------------------------------------------------------

    def end(self, exit: Exit) -> None:  # noqa: A002
        """End the incarnation after the current message. The first reason counts."""
        self.mailbox.check_thread("stop()")
        if self._stopping is None and self.exit is None:
            self._stopping = exit
            self.mailbox.wake()

    def wake(self) -> None:
        """Let the loop look at its timers."""
        self.mailbox.wake()

    def blame(self, message: object) -> None:
        """Set down what the incarnation crashes on, unless it is at work on a message."""
        if self._current is _NOTHING:
            self._current, self._attempts = message, self._attempts + 1

    def check_thread(self, what: str) -> None:
        """Raise `WrongThread` when this is not the thread that the actor lives in."""
        self.mailbox.check_thread(what)

    @property
    def live(self) -> Actor | None:
        """The incarnation that lives, for who looks at it; None between two of them."""
        return self._actor

    @property
    def crashed_on(self) -> Mapping[str, str]:
        """What the last incarnation was at work on when it crashed, in words for the log."""
        return self._crashed_on

    # The life of an incarnation ------------------------------------------------------------

    def _instantiate(self) -> Actor:
        actor = self._factory()
        self._actor = actor
        self._kind = actor.kind
        actor.bind(self)
        return actor

    async def _start(self, actor: Actor) -> None:
        if type(actor).on_start is not Actor.on_start:
            self._since = trio.current_time()
            await self.dispatch(actor.on_start)
        if self._lost is not None:
            (_, message, error), self._lost = self._lost, None
            actor.on_lost(message, error)

    async def _loop(self, actor: Actor) -> None:
        mailbox = self.mailbox
        has_idle_hook = type(actor).on_idle is not Actor.on_idle
        idle, fired = True, False
        turns = 0
        while self._stopping is None:
            timers, self._since = actor.timers, trio.current_time()
            # One timer, one message: neither can starve the other.
            timer = None if fired or timers is None else timers.pop_due(self._since)
            fired = timer is not None
            if timer is not None:
                await self.dispatch(timer.callback)
            elif mailbox or self._current is not _NOTHING:
                await self._handle(actor)
                idle = not has_idle_hook
            elif not idle:
                idle = True
                await self.dispatch(actor.on_idle)
            else:
                await self._something(actor)
            turns += 1
            if turns % TURNS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()

    def _something(self, actor: Actor) -> Awaitable[None]:
        """Return what ends when there is something to do.

        It has no frame of its own, for a thousand idle actors would have a thousand of them.
        """
        due = math.inf if actor.timers is None else actor.timers.next_due()
        listens = type(actor).call_away is not Actor.call_away  # a `listen` alone may be anything
        event = self.listen(actor) if listens else self.mailbox.wait()
        return event if due == math.inf else _at_the_latest(due, event)

    async def listen(self, actor: Actor) -> None:
        """Let the actor listen. The watchdog looks for this frame on a stuck thread's stack."""
        if self.mailbox.leave(actor.call_away):
            try:
                await actor.listen()
            finally:
                self.mailbox.come_back()

    async def _handle(self, actor: Actor) -> None:
        if self._current is _NOTHING:
            self._current = self.mailbox.pop()
        item = self._current
        question = item if type(item) is Question else None
        message = item if question is None else question.message
        handler = actor.handler_for(type(message))
        if handler is None or (question is not None and question.withdrawn):
            self._current, self._attempts = _NOTHING, 0
            self._pass_over(message, question)
            return
        self._attempts += 1
        if question is not None:
            question.begun = True
        answer = await self.dispatch(handler, actor, message)
        self._current, self._attempts = _NOTHING, 0
        self._handled += 1
        if question is not None:
            self._answer(question, answer)

    def _answer(self, question: Question, answer: object) -> None:
        if isinstance(answer, Later):
            self._owed = self._owed if self._owed is not None else set()
            answer.owe(question, self._owed)
        else:
            question.answer(answer)

    async def dispatch(self, function: Callable[..., Awaitable[R]], *args: object) -> R:
        """Await the actor's code. The watchdog looks for this frame on a stuck thread's stack."""
        self._running = function
        try:
            return await function(*args)
        finally:
            self._running = None

    async def _dispose(self, exit_: Exit) -> None:
        actor, starting = self._actor, self._starting
        self._reason = exit_.reason
        self._crashed_on = _UNKNOWN
        try:
            if actor is not None:
                if exit_.abnormal:
                    current = None if self._current is _NOTHING else unwrapped(self._current)[0]
                    self._crashed_on = _named(actor, current)
                self._judge_current(actor, exit_)
                if not starting:
                    await self._on_stop(actor, exit_)
        finally:
            self._fail_owed()
            if actor is not None and actor.timers is not None:
                actor.timers.clear()
            self._actor = None
            self._starting = False
            self._stopping = None
            self.mailbox.overflowed = False

    async def _on_stop(self, actor: Actor, exit_: Exit) -> None:
        if type(actor).on_stop is Actor.on_stop:
            return
        self._since = trio.current_time()
        # Shielded: an actor that is cancelled still gets its deadline to clean up.
        with trio.move_on_after(actor.stop_deadline, shield=True) as scope:
            try:
                await self.dispatch(actor.on_stop, exit_)
            except BaseException as error:
                actor.log.exception("on_stop failed", exc_info=failure_of(error))
        if scope.cancelled_caught:
            actor.log.warning("on_stop cut off", seconds=actor.stop_deadline)

    def _dropped(self, item: object, reason: str) -> None:
        super()._dropped(item, reason)
        if self.mailbox.overflowed:
            self.end(Exit.normal("mailbox overflow"))

    # Messages that come to nothing ---------------------------------------------------------

    def _judge_current(self, actor: Actor, exit_: Exit) -> None:
        """Set the message aside that was begun too often. An attempt cut short counts."""
        if self._current is _NOTHING or self._attempts < actor.attempts:
            return
        message, question = unwrapped(self._current)
        name = type(message).__name__
        self._current, self._attempts = _NOTHING, 0
        error = exit_.error or Poisoned(self.path, name)
        self._poisoned += 1
        self._poison = self._poison or deque(maxlen=POISON_KEPT)
        self._poison.append((name, error_text(error)))
        self._dead_letters.report(self.path, message, "poison")
        self._lost = (actor, message, error)
        if question is not None:
            poisoned = Poisoned(self.path, name)
            poisoned.__cause__ = exit_.error
            question.fail(poisoned)

    def _fail_owed(self) -> None:
        owed, self._owed = self._owed, None
        for question in owed or ():
            question.fail(Unanswered(self.path, type(question.message).__name__))

    def _pass_over(self, message: object, question: Question | None) -> None:
        if question is not None and question.withdrawn:
            self._dead_letters.report(self.path, message, "withdrawn")
            return
        self._dead_letters.report(self.path, message, "unhandled")
        if question is not None:
            question.fail(Unhandled(self.path, type(message).__name__))

    def _report_loss_late(self) -> None:
        if self._lost is None:
            return
        (actor, message, error), self._lost = self._lost, None
        try:
            actor.on_lost(message, error)
        except BaseException as another:
            actor.log.exception("on_lost failed", exc_info=contained(another))


async def _at_the_latest(due: float, event: Awaitable[None]) -> None:
    with trio.move_on_at(due):
        await event


def _named(actor: Actor, message: object) -> Mapping[str, str]:
    try:
        return {key: writable(value) for key, value in actor.naming(message).items()}
    except BaseException as error:  # noqa: BLE001 - a crash is told whatever it was on
        return {"message": f"{type(message).__name__}, which {error_text(error)}"}


def _described(actor: Actor) -> Mapping[str, JSON]:
    try:
        return dict(actor.describe())
    except BaseException as error:  # noqa: BLE001 - whoever looks at the tree must see the rest
        return {"describe": error_text(error)}


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__)
