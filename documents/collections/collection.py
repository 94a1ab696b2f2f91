"""The actor of a collection, which serialises its writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import field, mutable

from ...actors import Actor, EnvironmentFailure, Exit, Later, handles
from ...transport import JSON
from ..errors import StoreError, StoreMisfit, StoreUnavailable
from ..refused import RequestRefused
from ..store import Change
from ..users import fold_names, is_users
from .environment import Collection, CollectionEnvironment
from .telling import Outcome, Teller
from .writing import Writer, Writing, Written, refusal_of

__all__ = ["CollectionActor", "Redefined"]

MAX_BATCH: Final = 100
"""Writes that go into one transaction at the most."""

LOOK_AGAIN: Final = 60.0
"""Seconds between two looks for changes that a pod which has ended left untold."""


@mutable(eq=False)
class _Batch:
    """Writes that wait for the next transaction, and who waits for each."""

    writings: list[Writing] = field(factory=list)
    answers: list[Later[Written]] = field(factory=list)

    def __len__(self) -> int:
        return len(self.writings)

    def add(self, writing: Writing, answer: Later[Written]) -> None:
        self.writings.append(writing)
        self.answers.append(answer)

    def fail(self, error: Exception) -> None:
        for answer in self.answers:
            answer.fail(error)


class Redefined:
    """The collection has another definition from now on."""


class CollectionActor(Actor):
    """Carries the writes of one collection out, one after another, and tells what changed.

    Writes that no script has to see are gathered while others wait and committed together.
    """

    attempts: ClassVar[int] = 1  # it may have been committed

    def __init__(self, collection: Collection, environment: CollectionEnvironment) -> None:
        self._collection = collection
        self._env = environment
        self._teller = Teller(collection, environment, self.after)
        self._writer = Writer(collection, environment, self._teller.carry_out)
        self._batch = _Batch()

    # Life ----------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Make the tables, and see to what was committed and not told."""
        collection = self._collection
        if collection.definition.no_store:
            collection.ready.set()
        else:
            await self._prepare()
            await self._teller.begin()
            self.every(LOOK_AGAIN, self._teller.catch_up)
        collection.writer = self._writer

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Commit what waits, or after a crash say that it was not written; forget what was told."""
        self._collection.writer = None
        if exit.abnormal:
            sentence = "The pod failed before this write, which was not done; try again."
            self._batch.fail(RequestRefused(503, sentence, headers={"Retry-After": "1"}))
        else:
            await self._commit()
        await self._teller.forget()

    async def on_idle(self) -> None:
        """Commit what waits."""
        await self._commit()

    def describe(self) -> Mapping[str, JSON]:
        """Show the changes since the pod started, and how many could not be told."""
        collection = self._collection
        return {
            "changes": collection.told.changes,
            "untold": collection.told.rejected,
            "trouble": collection.trouble,
        }

    async def _prepare(self) -> None:
        collection = self._collection
        try:
            await self._env.store.prepare(collection.definition)
            if is_users(collection.definition):
                await fold_names(self._env.store, collection.definition)
        except StoreUnavailable as error:
            collection.trouble = str(error)
            raise EnvironmentFailure(str(error)) from error
        except StoreMisfit as error:  # until somebody mends the definition or the documents
            collection.trouble = str(error)
            self.log.warning("a collection cannot be used", reason=str(error))
        else:
            collection.trouble = ""
            collection.ready.set()

    # Writes --------------------------------------------------------------------------------

    @handles(Writing)
    async def _write(self, message: Writing) -> Later[Written]:
        answer: Later[Written] = Later()
        if self._writer.is_plain(message.method):
            self._batch.add(message, answer)
            if len(self._batch) >= MAX_BATCH:
                await self._commit()
            return answer
        await self._commit()  # those before it come first
        try:
            answer.answer(await self._writer.perform(message))
        except (RequestRefused, StoreError) as error:
            answer.fail(refusal_of(error))
        return answer

    @handles(Redefined)
    async def _redefine(self, message: Redefined) -> None:
        await self._commit()
        if not self._collection.definition.no_store:
            await self._prepare()

    async def _commit(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if not batch:
            return

        def settle(outcomes: Sequence[Outcome]) -> None:
            for answer, outcome in zip(batch.answers, outcomes, strict=True):
                if isinstance(outcome, Change):
                    answer.answer(Written(outcome.document))
                else:
                    answer.fail(refusal_of(outcome))

        try:
            await self._teller.carry_out([self._writer.plan(w) for w in batch.writings], settle)
        except StoreError as error:
            batch.fail(refusal_of(error))
