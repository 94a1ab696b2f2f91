"""What one writes: a class with typed handlers, hooks and timers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar, cast

import trio
from structlog.typing import FilteringBoundLogger

from ...config import get_logger
from ...transport import JSON
from .errors import ActorDefinitionError
from .handling import Handler, Handling, handler_of
from .messages import Exit
from .ref import ActorRef
from .timers import Timer, Timers

__all__ = ["Actor", "awaitable"]

R = TypeVar("R")
P = ParamSpec("P")


class ActorContext(Protocol):
    """What an instance needs of its cell."""

    @property
    def ref(self) -> ActorRef[Any]:
        """The actor's own address."""

    @property
    def waiting(self) -> int:
        """How many messages wait."""

    def end(self, exit: Exit) -> None:  # noqa: A002
        """End after the current message."""

    def wake(self) -> None:
        """Let the loop look at its timers."""

    def blame(self, message: object) -> None:
        """Note what the actor was at work on as it crashes, when that was in no mailbox."""

    def check_thread(self, what: str) -> None:
        """Raise `WrongThread` when this is not the thread that the actor lives in."""


class Actor(Handling):
    """One incarnation: made by its factory, started, given messages one at a time, thrown away.

    Subclass it, write `__init__` as you like, handle messages, override hooks. Whatever raises
    ends the incarnation; the supervisor decides whether there is a next one.
    """

    attempts: ClassVar[int] = 2
    """How often in all a message may be begun. Then it is poison: set aside and reported."""
    stop_deadline: ClassVar[float] = 5.0
    """Seconds that `on_stop` may take."""

    _found: ClassVar[dict[type, Handler | None]] = {}

    _actor_context: ActorContext | None = None
    _timers: Timers | None = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        """See to it that a hook whose `async` was forgotten says so.

        It is found when it is called: it may still give something to await.
        """
        super().__init_subclass__(**kwargs)
        for name in _forgotten(cls):
            setattr(cls, name, awaitable(getattr(cls, name)))
        cls._found = {}

    # Hooks ---------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Get ready, before the first message of this incarnation."""

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Clean up, within `stop_deadline`. Called after every start, even one that crashed.

        Only an incarnation that was cancelled while starting is spared. What this raises is
        logged and never hides why the actor ended.
        """

    async def on_idle(self) -> None:
        """Act when the mailbox has just been emptied. Costs nothing when not overridden."""

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Run the loop: override this to open a nursery of the incarnation's own around it."""
        await loop()

    def listen(self) -> Awaitable[None]:
        """Wait for what comes by other ways than the mailbox, and act on it: override this.

        Called whenever there is nothing to do, until a message comes (`call_away`) or a timer is
        due (it is cancelled, and must have lost nothing wherever it awaits). It may return at any
        time, and is called again.
        """
        raise NotImplementedError("override `listen` together with `call_away`")

    def call_away(self) -> None:
        """Let `listen` return in the next turn: there is something to do. Override both.

        It runs in the turn of whoever leaves a message, and must neither wait nor raise.
        """

    def on_lost(self, message: object, error: Exception) -> None:
        """Learn that a message was set aside as poison.

        The incarnation after the crash is told, when it has started: it is the one that can
        act. When there is none, the crashed instance is told as the actor ends for good. Once
        each, also when this raises.
        """

    def describe(self) -> Mapping[str, JSON]:
        """Return what to show of this actor in the tree; called at any time, so only look."""
        return {}

    def naming(self, message: object) -> Mapping[str, str]:
        """Return what names a message in the log, when the actor has crashed on it; None is none.

        Never what it holds: only where it came from, and by which words those who sent it find it.
        """
        return {} if message is None else {"message": type(message).__name__}

    # What subclasses call ------------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[Any]:
        """The actor's own address. Raises ActorDefinitionError before it has been started."""
        return self._require_context().ref

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger that names the actor; not kept, for its level may change."""
        return get_logger("realtime").bind(actor=self.ref.path)

    @property
    def waiting(self) -> int:
        """How many messages wait for this actor, beside the one it handles."""
        return self._require_context().waiting

    def stop(self, reason: str = "") -> None:
        """End for good of one's own will, after the current message."""
        self._require_context().end(Exit.normal(reason))

    def wake(self) -> None:
        """Have `listen` called away, and called anew when there is nothing else to do."""
        self._require_context().wake()

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once in so many seconds, between two messages of this incarnation."""
        return self._set_timer(seconds, callback, repeat=False)

    def every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back at a fixed rate, between two messages. Ticks that were missed are skipped."""
        return self._set_timer(seconds, callback, repeat=True)

    def cancel(self, timer: Timer) -> None:
        """Cancel a timer. Harmless when it is over."""
        timer.cancel()

    def blame(self, message: object) -> None:
        """Say what the actor was at work on, before what that raised ends it.

        For what it does beside its mailbox, in a task of its own: it is set aside as poison, as a
        message is.
        """
        self._require_context().blame(message)

    # For the cell --------------------------------------------------------------------------

    def bind(self, context: ActorContext) -> None:
        """Move in. The cell calls this once, after the constructor."""
        self._actor_context = context

    @property
    def timers(self) -> Timers | None:
        """The incarnation's timers; None when it has never set one."""
        return self._timers

    @property
    def kind(self) -> str:
        """What the actor is called in the tree: the name of its class."""
        return type(self).__name__

    def handler_for(self, message_type: type) -> Handler | None:
        """Return the function that handles messages of this type, or None."""
        try:
            return self._found[message_type]
        except KeyError:
            handler = self._found[message_type] = handler_of(type(self), message_type)
            return handler

    def _set_timer(
        self, seconds: float, callback: Callable[[], Awaitable[None]], *, repeat: bool
    ) -> Timer:
        callback = awaitable(callback)
        self._check_thread("after() or every()")
        if self._timers is None:
            self._timers = Timers()
        timer = self._timers.add(trio.current_time(), seconds, callback, repeat=repeat)
        if self._actor_context is not None:
            self._actor_context.wake()
        return timer

    def _check_thread(self, what: str) -> None:
        if self._actor_context is not None:
            self._actor_context.check_thread(what)

    def _require_context(self) -> ActorContext:
        if self._actor_context is None:
            raise ActorDefinitionError(
                f"{type(self).__name__} has no place in the tree before it is started; "
                "do this in on_start, not in __init__."
            )
        return self._actor_context


def awaitable(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Return a function that names itself when what it gives cannot be awaited.

    An `async` one is returned as it is.
    """
    if inspect.iscoroutinefunction(function):
        return function

    def call(*args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        given: object = function(*args, **kwargs)
        if not inspect.isawaitable(given):
            name = getattr(function, "__qualname__", repr(function))
            raise ActorDefinitionError(
                f"{name} gave {type(given).__name__}, which cannot be awaited; "
                "write `async def` before its name."
            )
        return cast("Awaitable[R]", given)

    return functools.update_wrapper(call, function)


def _forgotten(cls: type) -> list[str]:
    """List what a class overrides with a plain function where the base has an `async` one."""
    return [
        name
        for name, own in vars(cls).items()
        if inspect.isfunction(own)
        and not inspect.iscoroutinefunction(own)
        and any(inspect.iscoroutinefunction(vars(base).get(name)) for base in cls.__mro__[1:])
    ]
