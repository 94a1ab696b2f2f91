"""From when to when somebody knew that something was wrong, in a history. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from .history import TAKEN, Answered, Began, Gone, Linked, Record, Told

__all__ = ["Span", "spans"]


@frozen
class Span:
    """A time in which something was known to be wrong; `told` is whether a client was told."""

    begin: float
    end: float
    told: bool


def spans(history: Sequence[Record]) -> Iterator[Span]:
    """Yield when a pod was not linked to all others, what clients were told, and bad receipts."""
    yield from _of_links(history)
    yield from _of_clients(history)
    for record in history:
        if isinstance(record, Answered) and record.scope not in ("cluster", TAKEN):
            yield Span(record.at, record.at, told=False)


def _of_links(history: Sequence[Record]) -> Iterator[Span]:
    others = len({record.pod for record in history if isinstance(record, Began)}) - 1
    unlinked: dict[int, float] = {}
    for record in history:
        if not isinstance(record, Linked):
            continue
        well = record.link == "ended" or (record.link == "closed" and record.peers >= others)
        if not well:
            unlinked.setdefault(record.pod, record.at)
        elif record.pod in unlinked:
            yield Span(unlinked.pop(record.pod), record.at, told=False)
    yield from (Span(begin, history[-1].at, told=False) for begin in unlinked.values())


def _of_clients(history: Sequence[Record]) -> Iterator[Span]:
    outages: dict[tuple[str, str | None, str], float] = {}
    for record in history:
        ended: list[tuple[str, str | None, str]] = []
        if isinstance(record, Gone):
            ended = [key for key in outages if _leaves(record, *key)]
        elif isinstance(record, Told) and record.until is None:
            outages.setdefault((record.client, record.room, record.code), record.at)
        elif isinstance(record, Told):
            ended = [key for key in outages if _ends(record, *key)]
            if not ended:
                yield Span(record.at, record.at, told=True)
        yield from (Span(outages.pop(key), record.at, told=True) for key in ended)
    yield from (Span(begin, history[-1].at, told=True) for begin in outages.values())


def _ends(told: Told, client: str, room: str | None, code: str) -> bool:
    if (told.client, told.room) != (client, room):
        return False
    # What is told of the link takes in what was told of pods that were missing: it ends both.
    return room is not None or told.code != "partitioned" or code == "partitioned"


def _leaves(gone: Gone, client: str, room: str | None, _: str) -> bool:
    return gone.client == client and gone.room in (None, room)
