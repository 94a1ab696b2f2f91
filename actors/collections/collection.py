"""A collection: what of it outlives a crash, and the actor that serialises its writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import field, mutable

from ...transport import JSON, Scope, StoreError, StoreMisfit, StoreUnavailable
from ...transport.store import Change
from ..actor import Actor, handles
from ..errors import EnvironmentFailure
from ..messages import Exit
from ..ref import Later
from .environment import Collection, CollectionEnvironment
from .refused import RequestRefused
from .writing import Writer, Writing, Written, refusal_of

__all__ = ["CollectionActor", "Redefined"]

MAX_BATCH: Final = 100
"""Writes that go into one transaction at the most."""

REPLAYED_AT_ONCE: Final = 500
"""Changes that are read at a time when those that were not told are told."""

FORGET_AFTER: Final = 0.2
"""Seconds that a note of a change may outlive its being told: one transaction for many."""

MAX_TOLD: Final = 1000
"""Notes of told changes after which they are removed at once."""

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


class Redefined:
    """The collection has another definition from now on."""


class CollectionActor(Actor):
    """Carries the writes of one collection out, one after another, and tells what changed.

    Writes that no script has to see are gathered while others wait and committed together. A
    change is told after its commit, in the order of the commits; a note in the same transaction
    says that it has to be, so that what a crash left untold is told by the next incarnation.
    """

    attempts: ClassVar[int] = 1  # it may have been committed

    def __init__(self, collection: Collection, environment: CollectionEnvironment) -> None:
        self._collection = collection
        self._env = environment
        self._writer = Writer(collection, environment, self._tell)
        self._batch = _Batch()
        self._forgetting = False
        self._caught_up = False

    # Life ----------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Make the tables, and see to what was committed and not told."""
        collection = self._collection
        if not collection.definition.no_store:
            await self._prepare()
            first = self.ref.incarnation == 1
            self.after(self._env.settings.replay_after if first else 0.0, self._catch_up)
            self.every(LOOK_AGAIN, self._look_again)
        else:
            collection.ready.set()
        collection.writer = self._writer

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Forget what was told."""
        self._collection.writer = None
        await self._forget()

    async def on_idle(self) -> None:
        """Commit what waits."""
        await self._commit()

    def describe(self) -> Mapping[str, JSON]:
        """Show the changes since the pod started, and how many could not be told."""
        collection = self._collection
        return {
            "changes": collection.changes,
            "untold": collection.untold,
            "trouble": collection.trouble,
        }

    async def _prepare(self) -> None:
        collection = self._collection
        try:
            await self._env.store.prepare(collection.definition)
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
        definition = self._collection.definition
        writes = [self._writer.plan(writing) for writing in batch.writings]
        try:
            outcomes = await self._env.store.write(definition, writes)
        except StoreError as error:
            for answer in batch.answers:
                answer.fail(refusal_of(error))
            return
        for answer, outcome in zip(batch.answers, outcomes, strict=True):
            if isinstance(outcome, Change):
                answer.answer(self._writer.written(outcome))
            else:
                answer.fail(refusal_of(outcome))
        await self._tell([outcome for outcome in outcomes if isinstance(outcome, Change)])

    # Telling -------------------------------------------------------------------------------

    async def _tell(self, changes: Sequence[Change]) -> None:
        """Tell those who listen; what was left from before comes first."""
        if self._caught_up:
            await self._announce(changes)
        else:
            await self._catch_up()  # finds these too, behind what was left

    async def _announce(self, changes: Sequence[Change]) -> None:
        collection, env = self._collection, self._env
        private = collection.definition.private
        for change in changes:
            if change.sequence in collection.told:
                continue
            document = {k: v for k, v in change.document.items() if k not in private}
            receipt = await env.hub.send_collection_change(
                collection.definition.name, change.type, document, env.emit_timeout
            )
            collection.changes += 1
            if receipt.scope is Scope.REJECTED:
                collection.untold += 1
                self.log.warning("a change was not told", reason=receipt.reason)
            collection.told.add(change.sequence)
        if len(collection.told) >= MAX_TOLD:
            await self._forget()
        elif collection.told and not self._forgetting:
            self._forgetting = True
            self.after(FORGET_AFTER, self._forget)

    async def _catch_up(self) -> None:
        """Tell what was committed and not told; from then on changes are told as they come."""
        if not self._caught_up:
            self._caught_up = await self._tell_left()

    async def _look_again(self) -> None:
        await self._tell_left()

    async def _tell_left(self) -> bool:
        """Tell what the store says was not told; say whether that is all."""
        definition, store = self._collection.definition, self._env.store
        try:
            while left := await store.untold(definition, REPLAYED_AT_ONCE):
                await self._announce(left)
                await self._forget()
                if self._collection.told:  # the store does not let us forget: another time
                    return False
        except StoreUnavailable as error:
            self.log.warning("changes that were not told wait", reason=str(error))
            return False
        return True

    async def _forget(self) -> None:
        self._forgetting = False
        collection = self._collection
        told = sorted(collection.told)
        if not told:
            return
        try:
            await self._env.store.told(collection.definition, told)
        except StoreUnavailable as error:  # at worst they are told once more after a restart
            self.log.warning("notes of changes stay", count=len(told), reason=str(error))
            return
        collection.told.difference_update(told)
