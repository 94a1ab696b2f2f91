"""A small result that has everything a report can tell, figures that occur nowhere else in it."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import evolve

from deployd.tools.chaos.report import (
    Band,
    BandKind,
    FaultSpan,
    HoleMark,
    Result,
    ScenarioResult,
    ScenarioVerdict,
    SystemRun,
    Timeline,
)
from deployd.tools.oracle import FaultWindow, LocalLatency, Measures, Violation

__all__ = ["ALL_WELL", "BROKEN", "FAILED", "MEASURES", "RESULT", "RUN", "SKIPPED", "TIMELINE"]

TIMELINE = Timeline(
    seconds=30.0,
    step=0.25,
    here=(4,) * 120,
    elsewhere=(3,) * 40 + (0,) * 30 + (3,) * 50,
    pods=2,
    faults=(FaultSpan(10.0, 17.5, "broker.freeze", "broker.freeze node 0"),),
    bands=(
        Band(BandKind.BREAKER, 0, 12.7, 18.0, "cut_off"),
        Band(BandKind.MEMBERSHIP, 1, 12.8, 18.1, "partitioned"),
        Band(BandKind.LIFE, 1, 19.0, 20.0, "down"),
        Band(BandKind.BREAKER, 1, 12.6, 17.9, "open", sampled=True),
    ),
    holes=(
        HoleMark(10.25, 10.5, 12.71, 31, 4, ("lobby", "plain")),
        HoleMark(11.0, 11.0, None, 2, 1, ("plain",)),
    ),
)
MEASURES = Measures(
    sent=1_201,
    here=2_302,
    elsewhere=3_403,
    declared=31,
    undeclared=2,
    duplicated=5,
    reordered=6,
    false_receipts=7,
    clients_dropped=8,
    noticed=True,
    told_after=0.9,
    detected=2.68,
    told=2.71,
    healed=0.53,
    local={
        "before": LocalLatency(0.0004, 0.0021),
        "during": LocalLatency(0.0005, 0.0098),
        "after": LocalLatency(0.0003, 0.25),
    },
    windows=(FaultWindow("freeze", "broker.freeze", 10.0, 17.5, 2.68, 2.71, 0.53),),
)
FAILED = ScenarioResult(
    name="3-broker-frozen",
    verdict=ScenarioVerdict.FAILED,
    title="The broker is frozen for long",
    catalogue=(3,),
    seed=7,
    command="deployd chaos run 3-broker-frozen --broker redis --seed 7",
    seconds=30.5,
    measures=MEASURES,
    violations=(Violation("undeclared", 11.0, "17 of ann in plain never came to bob on pod 1"),),
    further=41,
    timeline=TIMELINE,
)
ALL_WELL = evolve(
    FAILED,
    name="8-way-cut",
    verdict=ScenarioVerdict.PASSED,
    title="A connection is reset",
    catalogue=(8,),
    command="deployd chaos run 8-way-cut --broker redis --seed 7",
    measures=evolve(
        MEASURES, declared=0, undeclared=0, duplicated=0, reordered=0, false_receipts=0
    ),
    violations=(),
    further=0,
    timeline=evolve(TIMELINE, holes=()),
)
SKIPPED = ScenarioResult(
    "24-queue-deleted", ScenarioVerdict.NOT_APPLICABLE, reason="It is for RabbitMQ."
)
BROKEN = ScenarioResult(
    "22-slot-moves", ScenarioVerdict.BROKEN, reason="redis-server ended with code 1."
)
RUN = SystemRun(
    system="deployd",
    version="0.1.0",
    broker="redis",
    topology="cluster",
    seed=7,
    machine="2 cores, x86_64",
    command="deployd chaos run --all --broker redis --topology cluster --seed 7",
    began=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    seconds=412.5,
    scenarios=(ALL_WELL, FAILED, SKIPPED, BROKEN),
    pods=2,
)
RESULT = Result((RUN,))
