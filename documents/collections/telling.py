"""Telling those who listen what changed: after the commit, in its order, and each change once.

With each change the store commits a note that it has to be told. What a crash left untold is so
found by the next incarnation, or by the next pod.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from ...config import get_logger
from ...transport import Scope
from ..errors import StoreUnavailable, StoreUncertain
from ..store import Change, Write
from .environment import Collection, CollectionEnvironment

__all__ = ["Outcome", "Teller"]

REPLAYED_AT_ONCE: Final = 500
"""Changes that are read at a time when those that were not told are told."""

FORGET_AFTER: Final = 0.2
"""Seconds that a note of a change may outlive its being told: one transaction for many."""

MAX_TOLD: Final = 1000
"""Notes of told changes after which they are removed at once."""

TRY_AGAIN: Final = 5.0
"""Seconds until a store that would not say what is left untold is asked again."""

Outcome = Change | Exception | None
After = Callable[[float, Callable[[], Awaitable[None]]], object]

_log = get_logger("realtime")


def _ignore(_: Sequence[Outcome]) -> None: ...


class Teller:
    """Commits writes of one collection and tells what changed, for one incarnation of its actor.

    `after` sets a timer of that incarnation. What others must know is in the collection's
    `Told`: a script may still be writing for an incarnation that is gone.
    """

    def __init__(
        self, collection: Collection, environment: CollectionEnvironment, after: After
    ) -> None:
        self._collection = collection
        self._told = collection.told
        self._env = environment
        self._after = after
        self._forgetting = False
        self._trying_again = False

    async def begin(self) -> None:
        """See to what was left untold: clients get `replay_after` from the first start to return.

        When nothing is left, changes are told at once. When something is, new ones wait behind it.
        """
        told, now = self._told, trio.current_time()
        if told.replay_at is None:
            told.replay_at = now + self._env.settings.replay_after
        async with told.turn:
            told.caught_up = not await self._is_anything_left()
        if told.caught_up:
            told.replay_at = now  # what a later crash leaves need not wait for anybody
        else:
            self._after(max(0.0, told.replay_at - now), self.catch_up)

    async def carry_out(
        self, writes: Sequence[Write], settle: Callable[[Sequence[Outcome]], None] = _ignore
    ) -> Sequence[Outcome]:
        """Commit writes in one transaction, call `settle` with what became of each, and tell.

        One after the other: a script that outlives its time may still be writing while the actor
        goes on, and what is committed first must be told first. Raises `StoreError`.
        """
        done = False
        async with self._told.turn:
            try:
                outcomes = await self._env.store.commit(self._collection.definition, writes)
                settle(outcomes)
                await self._tell([each for each in outcomes if isinstance(each, Change)])
                done = True
            except StoreUnavailable as error:
                done = not isinstance(error, StoreUncertain)  # done with: nothing was written
                raise
            finally:
                if not done:
                    self._fall_behind()
        return outcomes

    async def catch_up(self) -> None:
        """Tell what was committed and not told; from then on changes are told as they come."""
        async with self._told.turn:
            await self._catch_up()

    async def forget(self) -> None:
        """Remove the notes of what was told."""
        self._forgetting = False
        told = sorted(self._told.sequences)
        if not told:
            return
        try:
            await self._env.store.clear_outbox(self._collection.definition, told)
        except StoreUnavailable as error:  # at worst they are told once more after a restart
            self._warn("notes of changes stay", reason=str(error), count=len(told))
            return
        self._told.sequences.difference_update(told)

    # In its turn ---------------------------------------------------------------------------

    async def _tell(self, changes: Sequence[Change]) -> None:
        told = self._told
        if told.caught_up:
            await self._announce(changes)
        elif told.replay_at is not None and trio.current_time() >= told.replay_at:
            await self._catch_up()  # finds these too, behind what was left

    async def _announce(self, changes: Sequence[Change]) -> None:
        told, name = self._told, self._collection.name
        private = self._collection.definition.private
        for change in changes:
            if change.sequence in told.sequences:
                continue
            document = {k: v for k, v in change.document.items() if k not in private}
            receipt = await self._env.hub.send_collection_change(
                name, change.type, document, self._env.emit_timeout
            )
            told.sequences.add(change.sequence)
            told.changes += 1
            if receipt.scope is Scope.REJECTED:
                told.rejected += 1
                self._warn("a change was not told", reason=receipt.reason)
        if len(told.sequences) >= MAX_TOLD:
            await self.forget()
        elif told.sequences and not self._forgetting:
            self._forgetting = True
            self._after(FORGET_AFTER, self.forget)

    async def _catch_up(self) -> None:
        self._told.caught_up = await self._tell_left()
        if not self._told.caught_up and not self._trying_again:
            self._trying_again = True
            self._after(TRY_AGAIN, self._try_again)

    async def _try_again(self) -> None:
        self._trying_again = False
        await self.catch_up()

    def _fall_behind(self) -> None:
        """Something may be committed that we have not told: look, before telling anything else."""
        self._told.caught_up = False
        self._after(0.0, self.catch_up)

    async def _is_anything_left(self) -> bool:
        try:
            return bool(await self._env.store.claim_outbox(self._collection.definition, 1))
        except StoreUnavailable:
            return True  # for all we know

    async def _tell_left(self) -> bool:
        """Tell what the store says was not told; say whether that is all."""
        definition, store = self._collection.definition, self._env.store
        try:
            while left := await store.claim_outbox(definition, REPLAYED_AT_ONCE):
                await self._announce(left)
                await self.forget()
                if self._told.sequences:  # the store does not let us forget: another time
                    return False
        except StoreUnavailable as error:
            self._warn("changes that were not told wait", reason=str(error))
            return False
        return True

    def _warn(self, event: str, **fields: object) -> None:
        _log.warning(event, collection=self._collection.name, **fields)
