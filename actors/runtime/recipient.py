"""The half of a cell that senders know: where it is, what waits for it, who watches it, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from .dead_letters import DeadLetters
from .errors import ActorDead, MailboxFull
from .mailbox import Mailbox
from .messages import Down, Exit, Returnable
from .ref import ActorRef, Question

__all__ = ["Recipient", "unwrapped"]

M = TypeVar("M")

MANY_WATCHERS: Final = 8


class Recipient(Generic[M]):
    """An actor as its references know it: there before it first runs, and after its end."""

    __slots__ = (
        "_dead_letters",
        "_on_drop",
        "_watchers",
        "exit",
        "incarnation",
        "mailbox",
        "path",
    )

    def __init__(self, path: str, mailbox: Mailbox[M], dead_letters: DeadLetters) -> None:
        self.path = path
        self.incarnation = 0
        self.exit: Exit | None = None
        # It holds questions beside messages of type M; only this package sees them.
        self.mailbox: Mailbox[Any] = mailbox
        self._on_drop: Callable[[Any, str], None] | None = mailbox.on_drop
        self.mailbox.on_drop = self._dropped
        self._dead_letters = dead_letters
        self._watchers: dict[ActorRef[Down], None] | None = None

    @property
    def ref(self) -> ActorRef[M]:
        """The actor's address: made when asked for, or the two would hold each other for ever."""
        return ActorRef(self)

    def undeliverable(self, message: object) -> None:
        """Report a message that came after the end."""
        self._dead_letters.report(self.path, message, "dead")

    def watch(self, watcher: ActorRef[Down]) -> None:
        """Tell the watcher of the end, once; now if it has come."""
        self.mailbox.check_thread("ActorRef.monitor")
        if self.exit is not None:
            watcher.signal(Down(self.ref, self.exit))
            return
        watchers = self._watchers = self._watchers or {}
        # Watchers that died without taking their monitor back are cleared away each time the
        # number doubles, so that a long-lived actor does not collect them.
        if len(watchers) >= MANY_WATCHERS and len(watchers).bit_count() == 1:
            watchers = self._watchers = {known: None for known in watchers if known.alive}
        watchers[watcher] = None

    def unwatch(self, watcher: ActorRef[Down]) -> None:
        """Do not tell the watcher of the end."""
        self.mailbox.check_thread("ActorRef.demonitor")
        if self._watchers is not None:
            self._watchers.pop(watcher, None)

    def _close(self, exit_: Exit, unfinished: list[object]) -> None:
        """Take nothing any more, hand back what is there, and tell the watchers."""
        self.exit = exit_
        for item in [*unfinished, *self.mailbox.close()]:
            message, question = unwrapped(item)
            if question is not None:
                question.fail(ActorDead(self.path, exit_.reason))
            elif isinstance(message, Returnable):
                message.returned()
            self._dead_letters.report(self.path, message, "stopped")
        watchers, self._watchers = self._watchers, None
        for watcher in watchers or ():
            watcher.signal(Down(self.ref, exit_))

    def _dropped(self, item: object, reason: str) -> None:
        message, question = unwrapped(item)
        self._dead_letters.report(self.path, message, reason)
        if question is not None:
            question.fail(MailboxFull(self.path, self.mailbox.bounds))
        if self._on_drop is None:
            return
        try:
            self._on_drop(message, reason)
        except BaseException as error:  # noqa: BLE001 - whoever sends has no part in it
            self._dead_letters.report(self.path, message, f"on_drop raised {type(error).__name__}")


def unwrapped(item: object) -> tuple[object, Question | None]:
    """Return the message in a mailbox item, and the question that it came in, if any."""
    return (item.message, item) if isinstance(item, Question) else (item, None)
