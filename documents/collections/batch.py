"""Many writes of one collection in one transaction: all of them, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

from ...actors import Request
from ..errors import FieldError, RequestRefused
from ..store import Change, Write, WriteResult
from .environment import CHAIN, Chain
from .writing import DocumentWriter, WriteRequest, Written, refusal_of

__all__ = ["BatchRequest", "perform_batch"]

MAX_ERRORS: Final = 100
"""Properties that are named when a batch is refused; there may be more."""

CommitTogether = Callable[[Sequence[Write]], Awaitable[Sequence[WriteResult]]]


@frozen
class BatchRequest(Request[Sequence[Written]]):
    """Writes to be carried out together. `nbytes` is what they weigh in the mailbox."""

    writes: tuple[WriteRequest, ...]
    nbytes: int


async def perform_batch(
    name: str, writer: DocumentWriter, batch: BatchRequest, commit: CommitTogether
) -> list[Written]:
    """Decide all writes of the collection `name`, with their scripts, and commit them together.

    Raises `RequestRefused`, which says of each write that is refused which it is and why, or
    `StoreError`.
    """
    chain = batch.writes[0].chain if batch.writes else Chain()
    token = CHAIN.set(chain.deeper(holding=name))
    try:
        return await _decide_and_commit(writer, batch.writes, commit)
    finally:
        CHAIN.reset(token)


async def _decide_and_commit(
    writer: DocumentWriter, requests: Sequence[WriteRequest], commit: CommitTogether
) -> list[Written]:
    writes, said, refused = [], [], {}
    for index, request in enumerate(requests):
        try:
            write, answer = await writer.propose(request)
        except RequestRefused as error:
            refused[index] = error
        else:
            writes.append(write)
            said.append(answer)
    if not refused:
        outcomes = await commit(writes)
        done = [each for each in outcomes if isinstance(each, Change)]
        if len(done) == len(requests):
            pairs = zip(done, said, strict=True)
            return [Written(each.document, it.hidden, it.response) for each, it in pairs]
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, Exception):
                refused[index] = _refused(outcome)
    raise _none_is_done(refused, len(requests))


def _refused(error: Exception) -> RequestRefused:
    refusal = refusal_of(error)
    if not isinstance(refusal, RequestRefused):
        raise refusal
    return refusal


def _none_is_done(refused: Mapping[int, RequestRefused], count: int) -> RequestRefused:
    """Return what is said of a batch, with the first refusal's status and words."""
    first, refusal = min(refused.items())
    errors = tuple(
        FieldError(f"{index}.{error.field}", error.message)
        for index, each in sorted(refused.items())
        for error in each.errors
    )
    sentence = f"None of these {count} is done. Number {first} (from 0): {refusal.sentence}"
    return RequestRefused(
        refusal.status, sentence, errors[:MAX_ERRORS], refusal.headers, refusal.detail
    )
