"""What 20 clients write at once to a collection, and what those who listen hear of it.

A pod in a process of its own, once with a plain collection (writes that wait are committed
together) and once with one that has a validate script (one after another). Every listener must
hear each change exactly once, in the order of the commits; exits with 1 when one does not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trio
from attrs import frozen

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # the clients are those of the tests

from _report import machine, quick, verdict

from support import connected, write_collection
from support.changes import Author, Listener, listening, verdict_of, write_all
from support.history import Verdict
from support.processes import serving

CLIENTS = 20
ROOMS = ("collection:todos", "collection:todos", "collections", "collections")
ROOMY = {"limits": {"messageBufferSize": 50_000, "maxBufferBytes": 256 * 2**20}}
"""Listeners and authors share one process here, which may lag: an operator would do the same."""

KINDS = {
    "plain": {},
    "with a script": {"validate": "async def run(ctx):\n    ctx.data['seen'] = True\n"},
}


@frozen
class Round:
    """One round: the seconds it took, what was done, what was refused, what is wrong."""

    seconds: float
    writes: int
    refused: int
    heard: int
    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether nothing was refused, lost, repeated, made up or told too early."""
        return not self.refused and self.verdict == Verdict()


def main() -> int:
    """Measure, print, and return the exit code."""
    writes = 1000 if quick("Changes of a collection, written and heard.") else 10_000
    print(machine())
    print(f"{writes:,} writes by {CLIENTS} clients, {len(ROOMS)} listeners")
    print(f"\n{'':16}{'writes/s':>10}{'heard':>9}{'refused':>9}{'missing':>9}", end="")
    print(f"{'duplicate':>11}{'invented':>10}{'disordered':>12}")
    rounds = [trio.run(_round, name, writes) for name in KINDS]
    good = all(each.good for each in rounds)
    print(f"\nexactly once and in order: {verdict(good)}")
    return 0 if good else 1


async def _round(name: str, writes: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="deployd-bench-") as folder:
        place = Path(folder)
        write_collection(place, "todos", {}, KINDS[name])
        async with serving(place, ROOMY) as pod, connected(pod, len(ROOMS)) as clients:
            listeners = [
                Listener(client, room, "todos") for client, room in zip(clients, ROOMS, strict=True)
            ]
            for listener in listeners:
                await listener.client.join(listener.room)

            async def fence() -> None:
                await pod.http.post("/todos", json={"id": "fence", "n": 0})

            started = time.monotonic()
            async with listening(listeners, fence):
                authors = await write_all(pod.http, "todos", clients=CLIENTS, writes=writes)
                seconds = time.monotonic() - started
        return _print(name, authors, listeners, seconds)


def _print(
    name: str, authors: Sequence[Author], listeners: Sequence[Listener], seconds: float
) -> Round:
    done = sum(len(author.writes) for author in authors)
    found = Round(
        seconds,
        done,
        sum(len(author.refused) for author in authors),
        sum(len(listener.heard) for listener in listeners),
        verdict_of(authors, listeners),
    )
    wrong = found.verdict
    print(
        f"{name:16}{done / seconds:10,.0f}{found.heard:9,}{found.refused:9}{len(wrong.missing):9}"
        f"{len(wrong.duplicate):11}{len(wrong.invented):10}{len(wrong.disordered):12}",
        flush=True,
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
