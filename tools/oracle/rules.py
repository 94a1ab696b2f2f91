"""Judges what was seen of a run: pure. Each rule returns what breaks it, in sentences."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from .history import TAKEN, Hearing, Record, Spoken, View
from .seen import Seen, Stay

__all__ = ["RULES", "Violation", "false_receipts", "holes", "judge"]

ANSWERED: Final = 8.0
"""Seconds within which an emit is answered, whatever becomes of it."""
LATE: Final = 1.0
"""Seconds that an event may be on its way when nothing is wrong."""
ROUNDED: Final = 0.002
"""Seconds by which what is written in milliseconds may be off, twice."""
ALL_HEAR: Final = frozenset({"cluster", "partial", "queued", "local", TAKEN})


@frozen
class Violation:
    """A rule that is broken, and how; `at` is seconds since the run began."""

    rule: str
    at: float
    sentence: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.at:6.3f} s {self.rule}: {self.sentence}"


# The rules ------------------------------------------------------------------------------------

_Rule: TypeAlias = Callable[[Seen], Iterator[tuple[float, str]]]
_Word: TypeAlias = tuple[str, int]
"""Who said it, and its number."""


def _order(seen: Seen) -> Iterator[tuple[float, str]]:
    """Hear what one client says in a room in its order."""
    last: dict[tuple[int, str], int] = {}
    for stay, heard in seen.heard:
        key = id(stay), heard.speaker
        if heard.number < last.get(key, 0):
            yield heard.at, f"{_what(heard)} came to {heard.client} after {last[key]}"
        last[key] = max(heard.number, last.get(key, 0))


def _duplicates(seen: Seen) -> Iterator[tuple[float, str]]:
    """Hear nothing twice."""
    known: set[tuple[int, str, int]] = set()
    for stay, heard in seen.heard:
        key = id(stay), heard.speaker, heard.number
        if key in known:
            yield heard.at, f"{_what(heard)} came twice to {heard.client}"
        known.add(key)


def _inventions(seen: Seen) -> Iterator[tuple[float, str]]:
    """Hear what was said, before, in that room, by who is in it."""
    for heard in seen.strays:
        yield heard.at, f"{_what(heard)} came to {heard.client}, who is not in {heard.room}"
    for _, heard in seen.heard:
        said = seen.said.get((heard.speaker, heard.number))
        if said is None or said.room != heard.room or said.at > heard.at:
            yield heard.at, f"{_what(heard)} came to {heard.client} and was never said there"


def _receipts(seen: Seen) -> Iterator[tuple[float, str]]:
    """Answer each emit once, in time."""
    for key, said in seen.said.items():
        answers = seen.answers.get(key, ())
        if len(answers) > 1:
            scopes = ", ".join(answer.scope for answer in answers)
            yield answers[1].at, f"{_what(said)} was answered {len(answers)} times: {scopes}"
        due = seen.awake(said.pod, said.at, ANSWERED)
        if due < min(seen.end, seen.gone.get(said.client, seen.end)) and (
            not answers or answers[0].at > due
        ):
            yield due, f"{_what(said)} has no answer after {ANSWERED:g} s"


def _false_receipts(seen: Seen) -> Iterator[tuple[float, str]]:
    """Let nobody hear what was rejected; and all hear of the cluster's, or be told."""
    yield from ((at, sentence) for _, at, sentence in _broken_promises(seen))


def _broken_promises(seen: Seen) -> Iterator[tuple[_Word, float, str]]:
    for _, heard in seen.heard:
        key = heard.speaker, heard.number
        for answer in seen.answers.get(key, ()):
            if answer.scope == "rejected":
                yield key, heard.at, f"{_what(heard)} was rejected, and came to {heard.client}"
    for said, stay, declared in holes(seen):
        if declared is None and _scope(seen, said) == "cluster":
            key = said.client, said.number
            yield key, said.at, f"{_what(said)} is 'cluster', and {stay.client} is told nothing"


def _claims(seen: Seen) -> Iterator[tuple[float, str]]:
    """Say 'cluster' only of what the broker has taken by then."""
    for key, said in seen.said.items() if seen.carried else ():
        taken = min((one.at for one in seen.carried.get(key, ())), default=math.inf)
        for answer in seen.answers.get(key, ()):
            if answer.scope == "cluster" and taken > answer.at:
                yield answer.at, f"{_what(said)} is 'cluster', and no server had taken it"


def _kept(seen: Seen) -> Iterator[tuple[float, str]]:
    """Say what is 'queued' when the others are back, or say that it is lost on some."""
    by_room = _by_room(seen)
    for key, said in seen.said.items() if seen.carried else ():
        if _scope(seen, said) != "queued" or not seen.lives_on(said):
            continue
        carried = seen.carried.get(key)
        if not carried:
            if not seen.accounts(said.at, lambda told: told.lost):
                yield said.at, f"{_what(said)} is 'queued', and was never said to the others"
            continue
        at, there = carried[-1].at, carried[-1].pods
        back = [
            stay
            for stay in by_room[said.room]
            if stay.begin < said.at and at < stay.end and seen.knew(said, stay)
        ]
        away = {stay.pod for stay in back} - set(there)
        if seen.is_unnoticed(at):
            continue
        if away and not seen.accounts(at, lambda told: told.unheard):
            yield at, f"{_what(said)} was said before pods {sorted(away)} were back"


def _cause(seen: Seen) -> Iterator[tuple[float, str]]:
    """Be cut off only where something is wrong."""
    wrong = min((one.at for one in seen.befell if one.harms), default=math.inf)
    for told in seen.told:
        if told.code in ("cut_off", "partitioned") and told.until is None and told.at < wrong:
            yield told.at, f"{told.client} is told {told.code!r}, and nothing is wrong"


def _well(seen: Seen) -> Iterator[tuple[float, str]]:
    """Reach everybody until something goes wrong, and again when it is told to be over."""
    by_room = _by_room(seen)
    first = min((one.at for one in seen.befell), default=math.inf)
    for key, said in seen.said.items():
        for stay in by_room[said.room] if _scope(seen, said) in ALL_HEAR else ():
            there = stay.begin < said.at and stay.end > said.at + LATE
            if not there or key in stay.heard or not seen.knew(said, stay):
                continue
            if seen.apart(said, stay, LATE):
                continue
            if said.at + LATE < first or seen.is_over(said, stay, LATE):
                yield said.at, f"{_what(said)} did not reach {stay.client}, told that all is well"


def _unheard(seen: Seen) -> Iterator[tuple[float, str]]:
    """Let those have heard of whom a receipt says so: all in the room, or as many as it says."""
    yield from ((at, sentence) for _, at, sentence in _overstated(seen))


def _overstated(seen: Seen) -> Iterator[tuple[_Word, float, str]]:
    by_room = _by_room(seen)
    for key, said in seen.said.items():
        for answer in seen.answers.get(key, ()):
            if answer.members < 0:
                continue
            stays = by_room[said.room]
            by = answer.at + seen.slack
            heard = sum(stay.heard.get(key, math.inf) <= by for stay in stays)
            # What is written to who is just leaving was counted, and is heard by nobody.
            parting = sum(key not in stay.heard and seen.parts(stay, said.at, by) for stay in stays)
            if heard + parting < answer.members:
                yield key, answer.at, f"{heard} had heard {_what(said)}, and not {answer.members}"
            if answer.scope != "cluster":
                continue
            for stay in stays:
                in_it = stay.begin < said.at and answer.at < stay.end
                missed = in_it and stay.heard.get(key, math.inf) > by
                if missed and not _is_alone(seen, said, stay) and seen.knew(said, stay):
                    yield key, answer.at, f"{stay.client} had not heard {_what(said)}"


def _undeclared(seen: Seen) -> Iterator[tuple[float, str]]:
    """Tell somebody of what it should have heard, and did not."""
    for said, stay, declared in holes(seen):
        if declared is None:
            scope = _scope(seen, said)
            yield said.at, f"{_what(said)} ({scope}) never came to {stay.client} on pod {stay.pod}"


def _late(seen: Seen) -> Iterator[tuple[float, str]]:
    """Tell it in time."""
    for said, stay, declared in holes(seen):
        due = seen.due(said, stay) + ROUNDED
        if declared is not None and declared > due:
            seconds = declared - said.at
            yield due, f"{stay.client} was told of {_what(said)} only after {seconds:.3f} s"


def _reach(seen: Seen) -> Iterator[tuple[float, str]]:
    """Reach everybody, when nothing has been wrong for a while."""
    by_room = _by_room(seen)
    for key, said in seen.said.items():
        scope = _scope(seen, said)
        for stay in by_room[said.room] if said.at > seen.calm and scope in ALL_HEAR else ():
            there = stay.begin < said.at and stay.end > said.at + LATE
            if there and key not in stay.heard:
                yield said.at, f"{_what(said)} did not reach {stay.client}, though all is well"
        refused = scope.startswith("error:")  # and told so
        if (
            said.at > seen.calm
            and scope not in ("cluster", TAKEN)
            and said.client not in seen.gone
            and not refused
        ):
            yield said.at, f"{_what(said)} is {scope!r}, though all is well"


def _membership(seen: Seen) -> Iterator[tuple[float, str]]:
    """Know all the other pods in the end, and no more."""
    for view in seen.history:
        if isinstance(view, View) and view.peers != view.live - 1:
            yield view.at, f"pod {view.pod} counts {view.peers} others of {view.live - 1}"


def _healing(seen: Seen) -> Iterator[tuple[float, str]]:
    """Tell nothing to be wrong any more in the end."""
    for view in seen.history:
        if isinstance(view, View) and view.degraded:
            yield view.at, f"pod {view.pod} is still degraded: {view.degraded}"
    for client, outages in seen.outages.items():
        for outage in outages:
            if outage.until is None and client not in seen.gone and seen.stayed(client, outage):
                where = "everything" if outage.room is None else outage.room
                yield seen.end, f"{client} is not told that {where} is well again ({outage.code})"


RULES: Final[Mapping[str, _Rule]] = {
    "order": _order,
    "duplicate": _duplicates,
    "invention": _inventions,
    "receipt": _receipts,
    "false receipt": _false_receipts,
    "claim": _claims,
    "kept": _kept,
    "cause": _cause,
    "well": _well,
    "unheard": _unheard,
    "undeclared": _undeclared,
    "late": _late,
    "reach": _reach,
    "membership": _membership,
    "healing": _healing,
}
"""What must hold, by name."""


def judge(
    history: Sequence[Record], rules: Collection[str] = RULES.keys(), slack: float = 0.0
) -> list[Violation]:
    """Return all that breaks these rules, in the order of time; for `slack` see `Seen`."""
    seen = Seen(history, slack)
    found = [Violation(name, at, sentence) for name in rules for at, sentence in RULES[name](seen)]
    return sorted(found, key=lambda violation: violation.at)


def false_receipts(seen: Seen) -> set[_Word]:
    """Return the words whose receipts say what is not so, by either rule, once each."""
    return {key for key, _, _ in (*_broken_promises(seen), *_overstated(seen))}


def holes(seen: Seen) -> Iterator[tuple[Spoken, Stay, float | None]]:
    """Yield what a client in the room should have heard and did not, and when it was told of it.

    None is for never. Whoever did not stay long enough to be told is passed over, and so is what
    was refused.
    """
    by_room = _by_room(seen)
    for said in seen.taken.values():
        if _scope(seen, said) not in ALL_HEAR:
            continue
        for stay in by_room[said.room]:
            if not stay.begin < said.at < stay.end or (said.client, said.number) in stay.heard:
                continue
            if stay.end > seen.due(said, stay) + LATE:
                yield said, stay, _declared(seen, said, stay)


def _is_alone(seen: Seen, said: Spoken, stay: Stay) -> bool:
    """Whether a client had been told that its own pod does not hear the others."""
    return any(
        outage.code in ("starting", "cut_off")
        and outage.told_at <= said.at
        and (outage.until is None or said.at <= outage.until + ROUNDED)
        for outage in seen.outages[stay.client]
    )


def _by_room(seen: Seen) -> Mapping[str, list[Stay]]:
    by_room: dict[str, list[Stay]] = defaultdict(list)
    for stay in seen.stays:
        by_room[stay.room].append(stay)
    return by_room


def _declared(seen: Seen, said: Spoken, stay: Stay) -> float | None:
    times = [
        outage.told_at
        for outage in seen.outages[stay.client]
        if outage.room in (None, said.room)
        and outage.since <= said.at + ROUNDED
        and (outage.until is None or said.at <= outage.until + ROUNDED)
    ]
    return min(times, default=None)


def _scope(seen: Seen, said: Spoken) -> str:
    answers = seen.answers.get((said.client, said.number))
    # Who has no answer, for its pod has died, may have been heard or not: nobody was promised it.
    return answers[0].scope if answers else "unanswered"


def _what(record: Spoken | Hearing) -> str:
    speaker = record.speaker if isinstance(record, Hearing) else record.client
    return f"{record.number} of {speaker} in {record.room}"
