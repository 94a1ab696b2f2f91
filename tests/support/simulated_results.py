"""Runs of the simulator as results, so that reports are tried with what pods really do.

As a script, `python -m support.simulated_results FOLDER` in tests/, it writes a page for each
broker, and one of all.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from deployd.tools.chaos.report import (
    FaultSpan,
    Result,
    ScenarioResult,
    ScenarioVerdict,
    SystemRun,
    merged,
    recorded,
    written,
)
from deployd.tools.chaos.report.junit import junit_xml
from deployd.tools.chaos.report.page import html_page
from deployd.tools.oracle import Mended, Record, Struck, Told, judge, measure
from deployd.tools.simulator import BROKERS, RunPlan, plan, quiet, run
from deployd.tools.simulator.plan import SPOKEN, Act, Deed

__all__ = ["simulated_run", "simulated_scenario"]

STARTED = datetime(2026, 11, 29, 20, 5, tzinfo=UTC)


def told_faults(history: list[Record], faults: list[FaultSpan]) -> list[Record]:
    """Write into a history what a scenario's runner would: when each fault began and ended."""
    marks: list[Record] = [Struck(f.begin, f"{n}", f.words) for n, f in enumerate(faults)]
    marks += [Mended(f.end, f"{n}") for n, f in enumerate(faults)]
    return sorted([*history, *marks], key=lambda record: record.at)


def talkative(made: RunPlan, seconds: float = 0.4) -> RunPlan:
    """Let clients say something in each of their rooms every so many seconds: plans have few."""
    said = [deed for deed in made.deeds if deed.act is Act.SAY and deed.at < SPOKEN]
    first: dict[tuple[int, str], float] = {}
    for deed in said:
        first.setdefault((deed.client, deed.room), deed.at)
    more = [
        Deed(round(at + n * seconds, 3), client, Act.SAY, room)
        for (client, room), at in first.items()
        for n in range(1, int((SPOKEN - at) / seconds))
    ]
    return evolve(made, deeds=tuple(sorted([*made.deeds, *more], key=lambda deed: deed.at)))


def simulated_scenario(made: RunPlan, *, mute: bool = False) -> ScenarioResult:
    """Run a plan and judge it; `mute` leaves out all that clients were told, as a bug would."""
    history = run(made)
    if mute:
        history = [record for record in history if not isinstance(record, Told)]
    faults = [
        FaultSpan(fault.at, fault.at + fault.seconds, fault.kind.value, _words(str(fault)))
        for fault in made.faults
    ]
    violations = judge(history)
    history = told_faults(history, faults)
    return recorded(
        f"seed-{made.seed}{'-told-nothing' if mute else ''}",
        history,
        measure(history, violations),
        passed=not violations,
        violations=violations,
        title=", ".join(fault.kind.value for fault in made.faults) or "no fault",
        seed=made.seed,
        command=f"deployd simulate --broker {made.broker} --seed {made.seed}",
    )


def simulated_run(plans: list[RunPlan]) -> SystemRun:
    first, last = plans[0], plans[-1]
    return SystemRun(
        system="deployd",
        broker=first.broker,
        topology="as drawn",
        seed=first.seed,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        command=f"deployd simulate --broker {first.broker} --first {first.seed} "
        f"--seeds {last.seed - first.seed + 1}",
        began=STARTED,
        seconds=1.0,
        scenarios=tuple(map(simulated_scenario, plans)),
        simulated=True,
    )


def _words(line: str) -> str:
    """Leave out when it is: that is where it stands."""
    return line.split(" s ", 1)[1].rsplit(" for ", 1)[0].rstrip(",")


LEFT_OUT = (
    ScenarioResult(
        "sentinel-failover",
        ScenarioVerdict.NOT_APPLICABLE,
        reason="It is for Redis with sentinels.",
    ),
    ScenarioResult(
        "disk-full",
        ScenarioVerdict.NOT_INJECTABLE,
        reason="A disk that is really full takes a file system of its own, and root.",
    ),
)


def main(folder: Path, count: int = 8) -> None:
    """Write what there is to look at."""
    quiet()
    results = []
    for broker in BROKERS:
        plans = [talkative(plan(seed, broker)) for seed in range(count)]
        made = simulated_run(plans)
        if broker == "redis":
            mute = simulated_scenario(plans[-1], mute=True)
            made = evolve(made, scenarios=(*made.scenarios, mute))
        made = evolve(made, scenarios=(*made.scenarios, *LEFT_OUT))
        result = Result((made,))
        (folder / f"{broker}.html").write_text(html_page(result))
        (folder / f"{broker}.json").write_bytes(written(result))
        (folder / f"{broker}.xml").write_bytes(junit_xml(result))
        results.append(result)
    (folder / "all.html").write_text(html_page(merged(results)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
