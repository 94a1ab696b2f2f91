"""One thing that a room does, and all that belongs to it while it is under way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from attrs import frozen

from ...transport import Event, Outcome, RequestId
from ..cluster import Tell
from .replies import Answer, Reply, settle_unheard

__all__ = ["Occasion", "Turn", "Unpublished"]

Unpublished: TypeAlias = tuple[Event, Tell | None]
"""An event for the other pods that waits for its hook, and who is to learn how far it gets."""


@frozen
class Occasion:
    """What the hook under way is about, where that is something said.

    `id` is what the client gave it and waits for, None where it waits for nothing; `event_id` is
    the event's, the same on all pods. `origin` is the pod that said it, "" for this one.
    """

    id: RequestId = None
    event_id: str = ""
    origin: str = ""


class Turn:
    """What a room is about, from the moment it comes to it to the end.

    `message` is what it handles; None while it starts, in a timer, and where somebody's typed
    handler runs. `origin` is the event of another pod that is repeated: what is said meanwhile
    stays here. Of an emit the first event that is told has the id, and its answer learns how far
    that has got. All that a hook says it says through the turn it is called in.
    """

    __slots__ = (
        "_event_id",
        "_outcome",
        "_relayed",
        "_settle",
        "acknowledged",
        "held",
        "mark",
        "message",
        "origin",
        "waited",
    )

    def __init__(
        self,
        message: object = None,
        event_id: str | None = None,
        answer: Answer | None = None,
        *,
        nobody: bool = False,
        origin: Event | None = None,
    ) -> None:
        self.message = message
        self.origin = origin
        self.acknowledged: Sequence[Reply] = ()
        """Joins that are answered, as far as anybody hears it yet."""
        self.held: list[Unpublished] | None = None
        """What the hook has said to the other pods since it last waited; None where none runs."""
        self.mark = (0, 0, 0)
        """Where the batch and the numbering stood then."""
        self.waited = False
        """Whether something that the hook said may be out already."""
        self._event_id = event_id
        self._relayed = False
        self._outcome: _Outcome | None = None
        self._settle: Tell | None = None
        if answer is not None:  # `nobody` is here who could hear it
            self._settle = partial(settle_unheard, answer) if nobody else answer.settle

    def begin_hook(self, mark: tuple[int, int, int]) -> None:
        """Hold back what is said from here on."""
        self.mark, self.held, self.waited = mark, [], False
        if self._settle is not None and self._outcome is None:
            self._outcome = _Outcome(self._settle)
            self._settle = self._outcome.settle

    def pause(self, mark: tuple[int, int, int]) -> None:
        """Go on holding back: what was said until now is out, for the hook is about to wait."""
        self.mark, self.held, self.waited = mark, [], True

    def take_held(self) -> Sequence[Unpublished]:
        """Hold nothing back any more; return what was: the hook went well, or waits."""
        held, self.held = self.held, None
        return held or ()

    def discard(self) -> None:
        """Forget what the hook has said since it last waited."""
        self.held = self._outcome = None

    def take_event_id(self, *, published: bool) -> str | None:
        """Return the id that the next event is to have; None where it has to be a new one."""
        event_id, self._event_id = self._event_id, None
        # Other pods drop a second event of one id.
        return None if published and self._relayed else event_id

    def relayed_as(self) -> str | None:
        """Return the id of what is relayed, once; the emit's stays for what is told here."""
        event_id = self._event_id
        if self._relayed and self.origin is None:
            event_id = None
        self._relayed = True
        return event_id

    def take_settle(self) -> Tell | None:
        """Return who is to learn how far what is said now gets: the first that is asked for it."""
        settle, self._settle = self._settle, None
        return settle

    def end(self) -> Tell | None:
        """Be done: the hook has returned. Return who has learnt nothing, for nothing was said."""
        self.message = self.origin = self._event_id = None
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome.done()
        return self.take_settle()


class _Outcome:
    """Answers an emit when both are known: how far it has got, and that its hook went well."""

    __slots__ = ("_answer", "_done", "_known")

    def __init__(self, answer: Tell) -> None:
        self._answer = answer
        self._known: Outcome | None = None
        self._done = False

    def settle(self, outcome: Outcome) -> None:
        """Note how far it has got; the first that is known counts."""
        if self._known is None:
            self._known = outcome
            if self._done:
                self._answer(outcome)

    def done(self) -> None:
        """Note that the hook has returned."""
        self._done = True
        if self._known is not None:
            self._answer(self._known)
