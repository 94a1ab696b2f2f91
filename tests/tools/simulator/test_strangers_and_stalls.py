"""Strangers on the broker, clients that stall, clocks that are wrong, words to everybody."""

from __future__ import annotations

import random
from collections.abc import Sequence

import orjson
import pytest
from attrs import evolve

from deployd.actors.rooms.speech import CONGESTION_GRACE
from deployd.tools.oracle import EVERYBODY, Answered, Hearing, Record, Spoken, judge
from deployd.tools.simulator import RunPlan, plan, run
from deployd.tools.simulator.faults import Fault, Kind
from deployd.tools.simulator.plan import Act, Deed
from deployd.tools.simulator.strangers import forged, rubbish


def played(made: RunPlan, *deeds: Deed, **changes: object) -> Sequence[Record]:
    """Run a plan with these deeds beside its own, and expect that it breaks no rule."""
    ordered = tuple(sorted((*made.deeds, *deeds), key=lambda deed: deed.at))
    history = run(evolve(made, deeds=ordered, **changes))  # type: ignore[arg-type]
    assert not judge(history)
    return history


@pytest.mark.parametrize("signed", [False, True])
def test_what_strangers_write_changes_nothing(signed: bool) -> None:
    writes = tuple(Fault(at, Kind.STRANGER, 1.0) for at in (5.0, 9.0))
    history = played(plan(3), faults=writes, signed=signed, skews=(0.0,) * plan(3).pods)
    said = {(record.client, record.number) for record in history if isinstance(record, Spoken)}
    heard = {(record.speaker, record.number) for record in history if isinstance(record, Hearing)}
    assert heard <= said


def test_a_stranger_repeats_changes_and_pretends() -> None:
    own = [("all.pods", orjson.dumps({"v": 1, "o": "abc", "e": 1, "g": "here", "k": [], "s": "x"}))]
    made = list(forged(random.Random(1), own))
    assert own[0] in made
    assert any(payload != own[0][1] and len(payload) == len(own[0][1]) for _, payload in made)
    said = [orjson.loads(payload) for _, payload in made if b'"bye"' in payload]
    assert {"abc", "deadbeef"} <= {beat["o"] for beat in said}
    assert all(len(payload) < 1000 for _, payload in rubbish(random.Random(1)))


def test_a_pod_tells_everybody_and_is_answered() -> None:
    history = played(plan(3), Deed(10.0, 0, Act.ANNOUNCE), faults=())
    words = [record for record in history if isinstance(record, Spoken)]
    [word] = [word for word in words if word.room == EVERYBODY and word.at == 10.0]
    answers = [record for record in history if isinstance(record, Answered)]
    assert [a.scope for a in answers if (a.client, a.number) == (word.client, word.number)] == [
        "cluster"
    ]
    hearers = {
        record.client
        for record in history
        if isinstance(record, Hearing) and (record.speaker, record.number) == word[1:5:3]
    }
    assert len(hearers) > 1


def test_clients_that_stall_and_clocks_that_are_minutes_off_break_nothing() -> None:
    made = plan(3)
    stalls = [Deed(6.0 + n, n, Act.STALL) for n in range(len(made.homes))]
    stalls += [Deed(8.0 + n, n, Act.GO_ON) for n in range(len(made.homes))]
    skews = tuple(600.0 * (-1) ** n for n in range(made.pods))
    played(made, *stalls, faults=(), skews=skews, signed=False)


def test_a_room_whose_members_all_stall_goes_slowly() -> None:
    made = plan(3)
    deeds = [Deed(1.0, 0, Act.COME), Deed(1.5, 0, Act.JOIN, "plain-1"), Deed(4.0, 0, Act.STALL)]
    deeds += [Deed(5.0 + n / 1000, 0, Act.SAY, "plain-1") for n in range(3)]
    history = run(evolve(made, deeds=tuple(deeds), faults=(), length=10.0))
    assert not judge(history)
    heard = [record.at for record in history if isinstance(record, Hearing)]
    assert len(heard) == 3
    assert heard[-1] - heard[0] >= CONGESTION_GRACE
