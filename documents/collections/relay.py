"""The outbox relay: listeners hear what changed, after the commit, in its order, each change once.

With each change the store commits an entry in its outbox. What a crash left there is so found by
the next incarnation, or by the next pod (the pattern of the transactional outbox).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

import trio

from ...config import Right, get_logger
from ...transport import JSON, Scope
from ..errors import StoreUnavailable, StoreUncertain
from ..store import Change, ChangeType, Document, Write, WriteResult
from .environment import Collection, CollectionEnvironment

__all__ = ["OutboxRelay"]

RELAYED_AT_ONCE: Final = 500
"""Changes that are read at a time when those that were left in the outbox are relayed."""

CLEAR_AFTER: Final = 0.2
"""Seconds that a relayed change may stay in the outbox: one transaction clears many."""

MAX_RELAYED: Final = 1000
"""Relayed changes after which the outbox is cleared at once."""

TRY_AGAIN: Final = 5.0
"""Seconds until a store that would not say what is left in the outbox is asked again."""

After = Callable[[float, Callable[[], Awaitable[None]]], object]

_log = get_logger("realtime")


def _ignore(_: Sequence[WriteResult]) -> None: ...


class OutboxRelay:
    """Commits writes of one collection and relays what changed, for one incarnation of its actor.

    `after` sets a timer of that incarnation. What others must know is in the collection's
    `RelayState`: a script may still be writing for an incarnation that is gone.
    """

    def __init__(
        self, collection: Collection, environment: CollectionEnvironment, after: After
    ) -> None:
        self._collection = collection
        self._state = collection.relay
        self._env = environment
        self._after = after
        self._clearing = False
        self._trying_again = False

    async def start(self) -> None:
        """See to what was left: clients get `replay_after` from the first start to return.

        When nothing is left, changes are relayed at once. When something is, new ones wait behind.
        """
        state, now = self._state, trio.current_time()
        if state.replay_at is None:
            state.replay_at = now + self._env.settings.replay_after
        async with state.turn:
            state.caught_up = not await self._is_anything_left()
        if state.caught_up:
            state.replay_at = now  # what a later crash leaves need not wait for anybody
        else:
            self._after(max(0.0, state.replay_at - now), self.catch_up)

    def forget(self) -> None:
        """Know nothing of the outbox any more: numbers of another database mean something else."""
        self._state.sequences.clear()
        self._state.caught_up = False

    async def commit_and_relay(
        self,
        writes: Sequence[Write],
        settle: Callable[[Sequence[WriteResult]], None] = _ignore,
        *,
        together: bool = False,
    ) -> Sequence[WriteResult]:
        """Commit writes in one transaction, call `settle` with what became of each, and relay.

        One after the other: a script that outlives its time may still be writing while the actor
        goes on, and what is committed first must be relayed first. Raises `StoreError`.
        """
        done = False
        async with self._state.turn:
            try:
                outcomes = await self._env.store.commit(
                    self._collection.definition, writes, together=together
                )
                settle(outcomes)
                await self._relay([each for each in outcomes if isinstance(each, Change)])
                done = True
            except StoreUnavailable as error:
                done = not isinstance(error, StoreUncertain)  # done with: nothing was written
                raise
            finally:
                if not done:
                    self._fall_behind()
        return outcomes

    async def catch_up(self) -> None:
        """Relay what was committed and left; from then on changes are relayed as they come."""
        async with self._state.turn:
            await self._catch_up()

    async def clear_outbox(self) -> None:
        """Remove what was relayed from the store's outbox."""
        self._clearing = False
        relayed = sorted(self._state.sequences)
        if not relayed:
            return
        try:
            await self._env.store.clear_outbox(self._collection.definition, relayed)
        except StoreUnavailable as error:  # at worst they are relayed once more after a restart
            self._warn("notes of changes stay", reason=str(error), count=len(relayed))
            return
        self._state.sequences.difference_update(relayed)

    # In its turn ---------------------------------------------------------------------------

    async def _relay(self, changes: Sequence[Change]) -> None:
        state = self._state
        if state.caught_up:
            await self._publish(changes)
        elif state.replay_at is not None and trio.current_time() >= state.replay_at:
            await self._catch_up()  # finds these too, behind what was left

    async def _publish(self, changes: Sequence[Change]) -> None:
        state, name = self._state, self._collection.name
        for change in changes:
            if change.sequence in state.sequences:
                continue
            event, data = self._said(change)
            receipt = await self._env.hub.send_collection_change(
                name, event, data, self._env.emit_timeout, self._brief(change)
            )
            state.sequences.add(change.sequence)
            state.changes += 1
            if receipt.scope is Scope.REJECTED:
                state.rejected += 1
                self._warn("a change was not told", reason=receipt.reason)
        if len(state.sequences) >= MAX_RELAYED:
            await self.clear_outbox()
        elif state.sequences and not self._clearing:
            self._clearing = True
            self._after(CLEAR_AFTER, self.clear_outbox)

    def _said(self, change: Change) -> tuple[ChangeType | Literal["revised"], JSON]:
        """Return what the rooms hear: of an update that others may see also what was before it."""
        document = self._for_rooms(change.document)
        if change.before is None or not self._may_be_seen_by_others(change.before, change.document):
            return change.type, document
        before = self._for_rooms(change.before)
        return "revised", {"id": document["id"], "before": before, "after": document}

    def _may_be_seen_by_others(self, before: Document, after: Document) -> bool:
        definition = self._collection.definition
        moves = before.get(definition.owner) != after.get(definition.owner)
        return self._collection.has("get") or (moves and definition.access.get is Right.OWNER)

    def _for_rooms(self, document: Document) -> Document:
        """Leave out what is private, but whose it is: that a room has to know, and shows nobody."""
        definition = self._collection.definition
        hidden = definition.private - {definition.owner}
        return {name: value for name, value in document.items() if name not in hidden}

    def _brief(self, change: Change) -> JSON:
        """Return what a room has to know to tell those of a change that is too large for it."""
        owner = self._collection.definition.owner
        states = (change.document, change.before or change.document)
        owned: list[JSON] = [{owner: state.get(owner)} for state in states]
        return {"id": change.document["id"], "states": owned}

    async def _catch_up(self) -> None:
        self._state.caught_up = await self._relay_left()
        if not self._state.caught_up and not self._trying_again:
            self._trying_again = True
            self._after(TRY_AGAIN, self._try_again)

    async def _try_again(self) -> None:
        self._trying_again = False
        await self.catch_up()

    def _fall_behind(self) -> None:
        """Something may be committed and not relayed: look, before relaying anything else."""
        self._state.caught_up = False
        self._after(0.0, self.catch_up)

    async def _is_anything_left(self) -> bool:
        try:
            return bool(await self._env.store.claim_outbox(self._collection.definition, 1))
        except StoreUnavailable:
            return True  # for all we know

    async def _relay_left(self) -> bool:
        """Relay what the store says was left; say whether that is all."""
        definition, store = self._collection.definition, self._env.store
        try:
            while left := await store.claim_outbox(definition, RELAYED_AT_ONCE):
                await self._publish(left)
                await self.clear_outbox()
                if self._state.sequences:  # the store cannot clear its outbox now: another time
                    return False
        except StoreUnavailable as error:
            self._warn("changes that were not told wait", reason=str(error))
            return False
        return True

    def _warn(self, event: str, **fields: object) -> None:
        _log.warning(event, collection=self._collection.name, **fields)
