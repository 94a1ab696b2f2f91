"""How soon the simulator notices what is broken on purpose: a seed at a time, a mutation at a time.

    python bench/mutations.py [--most 500] [--first 0] [NAME …]

Each mutation takes one thing away that keeps the promise. It is caught by the first seed whose
history breaks a rule; a mutation that none of `--most` seeds catches is a hole in the oracle.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final, TypeAlias

from _hunt import hunt, hunting

from deployd.actors.cluster import Degraded, Healed, membership, sequences, state
from deployd.actors.cluster.deduplicator import Deduplicator
from deployd.actors.cluster.gossip import Gossip
from deployd.actors.cluster.membership import Peers
from deployd.actors.cluster.numbering import Numbering
from deployd.actors.cluster.outbound import Outbound
from deployd.actors.cluster.proofs import Proofs, Steps
from deployd.actors.cluster.sequences import Sequences
from deployd.actors.cluster.state import LinkState
from deployd.tools.simulator import plan, quiet
from deployd.tools.simulator.command import verdict
from deployd.transport import BrokerUnavailable, MessagesRefused, Scope

Break: TypeAlias = Callable[[], None]

AT_A_TIME: Final = 10
"""Seeds that a process tries before it looks whether the mutation is caught."""


def _no_beats() -> None:
    async def silent(self: Gossip) -> None:
        """Say no beat."""

    Gossip._beat = silent  # type: ignore[method-assign]


def _no_tail() -> None:
    Numbering.marks = lambda self, now, most, held: ()  # type: ignore[method-assign]


def _no_renewal() -> None:
    step = Proofs.step

    def only_ask(self: Proofs, now: float, witnesses: Sequence[str]) -> Steps:
        return Steps(step(self, now, witnesses).messages, ())

    Proofs.step = only_ask  # type: ignore[method-assign]


def _no_reproof_of_the_silent() -> None:
    Proofs._look = lambda self, now, several: None  # type: ignore[method-assign]
    Gossip._doubt_own = lambda self, marks: None  # type: ignore[method-assign]


def _optimistic_receipt() -> None:
    take_back = LinkState._take_back

    def claim(self: LinkState, now: float, waiting: Any) -> Any:
        effects = take_back(self, now, waiting)
        return [
            state.Settled(one.publications, Scope.CLUSTER)
            if isinstance(one, state.Settled) and one.scope is Scope.LOCAL
            else one
            for one in effects
        ]

    LinkState._take_back = claim  # type: ignore[method-assign]


def _receipt_without_pods() -> None:
    confirmed = LinkState.confirmed

    def claim(self: LinkState, publications: Any, too_large: Any, denied: Any = ()) -> Any:
        everything = [*publications, *too_large, *denied]
        confirmed(self, publications, too_large, denied)
        return [state.Settled(everything, Scope.CLUSTER)]

    LinkState.confirmed = claim  # type: ignore[method-assign]


def _no_dedupe() -> None:
    Deduplicator.admit = (  # type: ignore[method-assign]
        lambda self, envelope: [] if envelope.origin == self._pod_id else list(envelope.events)
    )
    # What comes again comes after what was said later, too, and would be left out for that.
    Sequences.in_order = lambda self, envelope, events: events  # type: ignore[method-assign]


def _replay_too_early() -> None:
    async def at_once(self: Gossip, seconds: float) -> int:
        self._link.state.peers.give_up()
        return 0

    Gossip.reunion = at_once  # type: ignore[method-assign]


def _no_poison_rule() -> None:
    publish = Outbound.publish

    async def take_it_for_the_link(self: Outbound, *args: Any, **more: Any) -> Any:
        taken, large, denied = await publish(self, *args, **more)
        if denied:
            raise BrokerUnavailable("denied")
        return taken, large, denied

    Outbound.publish = take_it_for_the_link  # type: ignore[method-assign]


def _membership_never_forgets() -> None:
    membership.FORGOTTEN = membership.REMEMBERED = math.inf  # type: ignore[misc]
    Peers._youngest = lambda self: {}  # type: ignore[method-assign]
    Peers._replace = lambda self, beat: False  # type: ignore[method-assign]


def _join_unproven() -> None:
    begin = Proofs.begin

    def at_once(self: Proofs, channels: Any, now: float, witnesses: Any) -> None:
        begin(self, channels, now, ())

    Proofs.begin = at_once  # type: ignore[method-assign]
    Gossip.witnesses = lambda self: []  # type: ignore[method-assign]


def _healed_unproven() -> None:
    async def at_once(self: Gossip, seconds: float) -> None:
        """Wait for no proof."""

    Gossip.until_proven = at_once  # type: ignore[method-assign]


def _no_answer_to_who_missed_beats() -> None:
    async def nothing(self: Gossip, question: Any) -> None:
        """Answer nothing."""

    Gossip._tell_since = nothing  # type: ignore[method-assign]


def _no_hole_among_what_came() -> None:
    def follow(self: Sequences, envelope: Any, fresh: Any, wall: float) -> None:
        order = self._progress(
            envelope.room, (envelope.origin, envelope.epoch), fresh[0].sequence, wall
        )
        order.last, order.at = max(order.last, fresh[-1].sequence), wall

    Sequences.follow = follow  # type: ignore[method-assign]


def _no_partition_told() -> None:
    look = Peers.look

    def silent(self: Peers, now: float, wall: float) -> list[Degraded | Healed]:
        look(self, now, wall)
        return []

    Peers.look = silent  # type: ignore[method-assign]


def _a_buffer_that_forgets() -> None:
    def forget(self: LinkState, publication: Any, now: float) -> Scope:
        return Scope.QUEUED

    LinkState._keep = forget  # type: ignore[method-assign]


def _no_healing_told() -> None:
    healed = LinkState.healed
    LinkState.healed = (  # type: ignore[method-assign]
        lambda self, *args: [one for one in healed(self, *args) if not isinstance(one, Healed)]
    )


def _outages_begin_when_they_are_noticed() -> None:
    tripped = LinkState.tripped

    def late(self: LinkState, now: float, wall: float, *args: Any, **more: Any) -> Any:
        self._proven_at = wall
        Peers.lost = lambda self, wall: wall  # type: ignore[method-assign]
        return tripped(self, now, wall, *args, **more)

    LinkState.tripped = late  # type: ignore[method-assign]


def _refused_is_the_links_trouble() -> None:
    say = Outbound.say

    async def give_up(self: Outbound, messages: Any) -> None:
        try:
            await say(self, messages)
        except MessagesRefused as error:
            raise BrokerUnavailable(str(error)) from error

    Outbound.say = give_up  # type: ignore[method-assign]


def _holes_told_late() -> None:
    sequences.GRACE = 6.0  # type: ignore[misc]


MUTATIONS: Final[Mapping[str, Break]] = {
    "no beats": _no_beats,
    "no tail in beats": _no_tail,
    "no subscription made anew": _no_renewal,
    "no re-proof of the silent": _no_reproof_of_the_silent,
    "optimistic receipt": _optimistic_receipt,
    "receipt whoever heard": _receipt_without_pods,
    "no dedupe": _no_dedupe,
    "replay too early": _replay_too_early,
    "no poison rule": _no_poison_rule,
    "refused is the link's trouble": _refused_is_the_links_trouble,
    "membership that never forgets": _membership_never_forgets,
    "join unproven": _join_unproven,
    "healed unproven": _healed_unproven,
    "no answer to who missed beats": _no_answer_to_who_missed_beats,
    "no hole among what came": _no_hole_among_what_came,
    "no partition told": _no_partition_told,
    "a buffer that forgets": _a_buffer_that_forgets,
    "no healing told": _no_healing_told,
    "outages begin when noticed": _outages_begin_when_they_are_noticed,
    "holes told late": _holes_told_late,
}


def tried(name: str, seeds: range) -> tuple[int, str] | None:
    """Return the first of these seeds that catches a mutation, and by which rules."""
    quiet()
    MUTATIONS[name]()
    for seed in seeds:
        try:
            found = verdict(plan(seed)).violations
        except Exception as error:  # noqa: BLE001 - what is broken may break in any way
            return seed, type(error).__name__
        if found:
            return seed, ", ".join(sorted({violation.rule for violation in found}))
    return None


def caught(name: str, first: int, most: int, processes: int) -> tuple[int, str] | None:
    """Return after which seed of `most` a mutation is caught; each process is broken alone."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        pieces = [
            range(start, min(start + AT_A_TIME, first + most))
            for start in range(first, first + most, AT_A_TIME)
        ]
        for piece in range(0, len(pieces), processes):
            results = pool.map(partial(tried, name), pieces[piece : piece + processes])
            hits = [hit for hit in results if hit is not None]
            if hits:
                return min(hits)
    return None


def main() -> int:
    """Try each mutation, print a table, and return 1 when one was not caught."""
    options = hunting(__doc__, MUTATIONS)
    options.add_argument("--most", type=int, default=500)
    options.add_argument("--first", type=int, default=0)
    chosen = options.parse_args()

    def find(name: str) -> str | None:
        hit = caught(name, chosen.first, chosen.most, chosen.processes)
        if hit is None:
            return None
        seed, rules = hit
        return f"seed {seed:4} (number {seed - chosen.first + 1:3}): {rules}"

    return hunt(chosen.names or MUTATIONS, find, f"not caught by {chosen.most} seeds")


if __name__ == "__main__":
    sys.exit(main())
