"""Whom to write to: a reference that survives its actor's restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast

import trio

from .affinity import Affinity
from .errors import ActorDead, AskTimeout, MailboxFull
from .mailbox import Mailbox
from .messages import Delivery, Down, Exit, Request, size_of

__all__ = ["ActorRef", "Later", "Question"]

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Question:
    """A request on its way: it carries the place for its answer. Handlers never see it."""

    __slots__ = ("_answer", "_error", "_settled", "begun", "message", "withdrawn")

    def __init__(self, message: object) -> None:
        self.message = message
        self.begun = self.withdrawn = False
        self._answer: object = None
        self._error: Exception | None = None
        self._settled = trio.Event()

    def answer(self, value: object) -> None:
        """Let the asker go on with this."""
        self._answer = value
        self._settled.set()

    def fail(self, error: Exception) -> None:
        """Let the asker go on by raising this, unless it has its answer."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def settled(self) -> object:
        """Return the answer when it is there, or raise what came instead of it."""
        await self._settled.wait()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback holds this frame, and that holds us
        return self._answer


class Later(Generic[R]):
    """What a handler returns to answer after it has returned (OTP: `gen_server:reply/2`).

    It belongs to the incarnation: what is still owed when that ends fails with `Unanswered`.
    Without an asker (the request was left with `tell`) the answer goes nowhere.
    """

    __slots__ = ("_affinity", "_owed", "_question", "_settled")

    def __init__(self) -> None:
        self._affinity = Affinity()
        self._settled: Callable[[Question], None] | None = None
        self._question: Question | None = None
        self._owed: set[Question] | None = None

    def answer(self, value: R) -> None:
        """Let the asker go on with this."""
        self._settle(lambda question: question.answer(value))

    def fail(self, error: Exception) -> None:
        """Let the asker go on by raising this."""
        self._settle(lambda question: question.fail(error))

    def owe(self, question: Question, owed: set[Question]) -> None:
        """Learn, from the cell, who asked; what was answered before the handler returned goes out.

        `owed` holds the question until it is settled.
        """
        if self._settled is not None:
            self._settled(question)
            return
        self._question, self._owed = question, owed
        owed.add(question)

    def _settle(self, settle: Callable[[Question], None]) -> None:
        self._affinity.check("Later.answer or fail")
        self._settled = self._settled or settle
        if self._question is not None and self._owed is not None:
            self._settled(self._question)
            self._owed.discard(self._question)
            self._question = self._owed = None


class Target(Protocol):
    """What a reference needs of the cell it stands for."""

    path: str
    incarnation: int
    mailbox: Mailbox[Any]
    exit: Exit | None

    def undeliverable(self, message: object) -> None:
        """Note a message that came after the end."""

    def watch(self, watcher: ActorRef[Down]) -> None:
        """Tell the watcher of the end, once."""

    def unwatch(self, watcher: ActorRef[Down]) -> None:
        """Do not tell the watcher of the end."""


class ActorRef(Generic[M_contra]):
    """The address of an actor that takes messages of type M. For trio's thread only.

    From any other one each call raises `WrongThread`, and nothing has changed.

    Equal to any other reference to the same actor, whatever its incarnation.
    """

    __slots__ = ("_cell",)

    def __init__(self, cell: Target) -> None:
        self._cell = cell

    @property
    def path(self) -> str:
        """Where the actor stands in the tree: names joined by `/`."""
        return self._cell.path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._cell.path.rpartition("/")[2]

    @property
    def incarnation(self) -> int:
        """How often the actor has been started; 0 before the first time."""
        return self._cell.incarnation

    @property
    def alive(self) -> bool:
        """Whether messages are still taken: from the start until it is not restarted any more."""
        return self._cell.exit is None

    def tell(self, message: M_contra) -> Delivery:
        """Leave a message and say what became of it. Never waits, never raises for a dead actor."""
        cell = self._cell
        delivery = cell.mailbox.put_nowait(message, size_of(message))
        if delivery is Delivery.DEAD:
            cell.undeliverable(message)
        return delivery

    async def send(self, message: M_contra) -> Delivery:
        """Leave a message, waiting for room when the mailbox's policy is `BLOCK`.

        Not a checkpoint when such a mailbox has room (`Mailbox.put` says why).
        """
        cell = self._cell
        delivery = await cell.mailbox.put(message, size_of(message))
        if delivery is Delivery.DEAD:
            cell.undeliverable(message)
        return delivery

    async def ask(self, message: Request[R], timeout: float) -> R:
        """Send a request and return its answer within `timeout` seconds, waiting for room included.

        Raises AskTimeout; ActorDead at once when the actor is or goes dead; MailboxFull when the
        policy turned the request away; Poisoned when it ended the actor on every attempt;
        Unhandled. Who stops waiting withdraws the request if it has not been begun.
        """
        self._cell.mailbox.check_thread("ActorRef.ask")
        question = Question(message)
        try:
            with trio.move_on_after(timeout):
                await self._deliver(question)
                return cast("R", await question.settled())
        finally:
            question.withdrawn = True
        raise AskTimeout(self.path, type(message).__name__, timeout, begun=question.begun)

    def monitor(self, watcher: ActorRef[Down]) -> None:
        """Let the watcher get one `Down` when this actor has ended for good; now if it has."""
        self._cell.watch(watcher)

    def demonitor(self, watcher: ActorRef[Down]) -> None:
        """Take a monitor back. Harmless without one; a `Down` already sent still arrives."""
        self._cell.unwatch(watcher)

    def signal(self, message: object) -> None:
        """Leave a message of the runtime, which no bound turns away."""
        self._cell.mailbox.put_signal(message)

    async def _deliver(self, question: Question) -> None:
        cell = self._cell
        delivery = await cell.mailbox.put(question, size_of(question.message), keyed=False)
        if delivery is Delivery.DEAD:
            raise ActorDead(cell.path, cell.exit.reason if cell.exit else "")
        if delivery is Delivery.DROPPED:
            raise MailboxFull(cell.path, cell.mailbox.bounds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and self._cell is other._cell

    def __hash__(self) -> int:
        return id(self._cell) >> 4

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}#{self.incarnation}>"
