"""The actor of a collection, which serialises its writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import ClassVar, Final

import trio
from attrs import field, mutable

from ...actors import Actor, EnvironmentFailure, Exit, Later, handles
from ...transport import JSON
from ..errors import RequestRefused, StoreError, StoreUnavailable
from ..store import Change, Misfit, WriteResult
from ..users import fold_names, is_users
from .batch import BatchRequest, perform_batch
from .environment import Collection, CollectionEnvironment
from .relay import OutboxRelay
from .writing import DocumentWriter, WriteRequest, Written, refusal_of

__all__ = ["CollectionActor", "Redefined", "Reopened"]

MAX_GROUP: Final = 100
"""Writes that go into one transaction at the most."""

AT_ONCE: Final = 8
"""Scripts `aftercommit` that run at a time for what clients have written; others wait."""

MAX_FINISHING: Final = 1000
"""Writes that may wait for theirs; those beyond are refused before they are done."""

RELAY_AGAIN: Final = 60.0
"""Seconds between two looks for changes that a pod which has ended left in the outbox."""


@mutable(eq=False)
class _GroupCommit:
    """Writes that wait for the next transaction, and who waits for each."""

    requests: list[WriteRequest] = field(factory=list)
    answers: list[Later[Written]] = field(factory=list)

    def __len__(self) -> int:
        return len(self.requests)

    def add(self, request: WriteRequest, answer: Later[Written]) -> None:
        self.requests.append(request)
        self.answers.append(answer)

    def fail(self, error: Exception) -> None:
        for answer in self.answers:
            answer.fail(error)


class Redefined:
    """The collection has another definition from now on."""


class Reopened:
    """The database was opened anew: it may be another, in which this collection never was."""


class CollectionActor(Actor):
    """Accepts the writes of one collection, commits one after another, and relays what changed.

    Writes that no script has to see are gathered while others wait and committed together.
    """

    attempts: ClassVar[int] = 1  # it may have been committed

    def __init__(self, collection: Collection, environment: CollectionEnvironment) -> None:
        self._collection = collection
        self._env = environment
        self._relay = OutboxRelay(collection, environment, self.after)
        self._writer = DocumentWriter(collection, environment, self._relay.commit_and_relay)
        self._group = _GroupCommit()
        self._relaying = self._looking = False
        self._aside: trio.Nursery | None = None
        self._places = trio.CapacityLimiter(AT_ONCE)
        self._finishing = 0

    # Life ----------------------------------------------------------------------------------

    async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Have room for what goes on after a commit, which may take a script's time."""
        async with trio.open_nursery() as self._aside:
            await loop()

    async def on_start(self) -> None:
        """Make the tables, and see to what was committed and not relayed."""
        await self._open()
        self._collection.writer = self._writer

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Commit what waits, or after a crash say that it was not written; clear the outbox."""
        self._collection.writer = None
        if exit.abnormal:
            sentence = "The pod failed before this write, which was not done; try again."
            self._group.fail(RequestRefused(503, sentence, headers={"Retry-After": "1"}))
        else:
            await self._flush()
        await self._relay.clear_outbox()

    async def on_idle(self) -> None:
        """Commit what waits."""
        await self._flush()

    def describe(self) -> Mapping[str, JSON]:
        """Show the changes since the pod started, and how many no room would take."""
        collection = self._collection
        return {
            "changes": collection.relay.changes,
            "untold": collection.relay.rejected,
            "trouble": "" if collection.trouble is None else str(collection.trouble),
            "misfits": [each.sentence for each in collection.misfits],
        }

    @handles(Reopened)
    async def _reopen(self, message: Reopened) -> None:
        await self._flush()
        self._relay.forget()
        self._relaying = False
        await self._open()

    async def _open(self) -> None:
        """Do what a definition asks for, be it that documents are kept from now on."""
        if self._collection.definition.no_store:
            self._collection.trouble = None
            self._collection.misfits = ()
            self._collection.ready.set()
            return
        await self._prepare()
        if not self._relaying:
            self._relaying = True
            await self._relay.start()
            if not self._looking:
                self._looking = True
                self.every(RELAY_AGAIN, self._look_again)

    async def _look_again(self) -> None:
        """See to what other pods have left, and whether documents that did not fit do now."""
        await self._relay.catch_up()
        if self._collection.misfits and not self._collection.definition.no_store:
            await self._prepare()

    async def _prepare(self) -> None:
        collection = self._collection
        try:
            misfits = await self._env.store.prepare(collection.definition)
            if is_users(collection.definition):
                await fold_names(self._env.store, collection.definition)
        except StoreUnavailable as error:
            collection.trouble = error
            raise EnvironmentFailure(str(error)) from error
        collection.trouble = None
        collection.ready.set()
        self._tell(misfits)

    def _tell(self, misfits: Sequence[Misfit]) -> None:
        """Tell who runs the pod what documents do not fit, and when they do."""
        before, self._collection.misfits = self._collection.misfits, misfits
        if list(misfits) != list(before):
            sentences = [each.sentence for each in misfits]
            log = self.log.warning if misfits else self.log.info
            log("documents do not fit" if misfits else "all documents fit", misfits=sentences)

    # Writes --------------------------------------------------------------------------------

    @handles(WriteRequest)
    async def _accept(self, message: WriteRequest) -> Later[Written]:
        answer: Later[Written] = Later()
        if self._writer.is_plain(message.method):
            self._group.add(message, answer)
            if len(self._group) >= MAX_GROUP:
                await self._flush()
            return answer
        await self._flush()  # those before it come first
        try:
            self._demand_places(1)
            written = await self._writer.perform(message)
        except (RequestRefused, StoreError) as error:
            answer.fail(refusal_of(error))
        else:
            self._finish_aside([(message, written)], partial(answer.answer, written))
        return answer

    @handles(BatchRequest)
    async def _accept_batch(self, message: BatchRequest) -> Later[Sequence[Written]]:
        answer: Later[Sequence[Written]] = Later()
        await self._flush()
        commit = partial(self._relay.commit_and_relay, together=True)
        try:
            self._demand_places(len(message.writes))
            written = await perform_batch(self._collection.name, self._writer, message, commit)
        except (RequestRefused, StoreError) as error:
            answer.fail(refusal_of(error))
        else:
            done = list(zip(message.writes, written, strict=True))
            self._finish_aside(done, partial(answer.answer, written))
        return answer

    def _demand_places(self, count: int) -> None:
        """Refuse writes whose `aftercommit` would have to wait behind too many."""
        if self._finishing and self._finishing + count > MAX_FINISHING:
            sentence = "Too many 'aftercommit' scripts of this collection wait; try again later."
            raise RequestRefused(503, sentence, headers={"Retry-After": "2"})

    def _finish_aside(
        self, done: Sequence[tuple[WriteRequest, Written]], settle: Callable[[], None]
    ) -> None:
        """Run `aftercommit`, and then answer, while other writes have their turns."""
        if self._aside is None or not self._collection.has("aftercommit"):
            settle()
            return

        async def finish() -> None:
            try:
                for request, written in done:
                    # What a script asks for must not wait for places that scripts like it hold.
                    turn = nullcontext() if request.call.caller.internal else self._places
                    async with turn:
                        await self._writer.after_commit(request, written)
            finally:
                self._finishing -= len(done)
                settle()

        self._finishing += len(done)
        self._aside.start_soon(finish)

    @handles(Redefined)
    async def _redefine(self, message: Redefined) -> None:
        await self._flush()
        await self._open()

    async def _flush(self) -> None:
        group, self._group = self._group, _GroupCommit()
        if not group:
            return

        def settle(outcomes: Sequence[WriteResult]) -> None:
            for answer, outcome in zip(group.answers, outcomes, strict=True):
                if isinstance(outcome, Change):
                    answer.answer(Written(outcome.document))
                else:
                    answer.fail(refusal_of(outcome))

        try:
            await self._relay.commit_and_relay(
                [self._writer.decide(w) for w in group.requests], settle
            )
        except StoreError as error:
            group.fail(refusal_of(error))
