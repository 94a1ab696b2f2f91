"""Scenarios' files: what is read, what is refused and in which words, and what is shipped."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from deployd.config import FailurePolicy
from deployd.tools.chaos.scenario import (
    BROKERS,
    FAULTS,
    TOPOLOGIES,
    BadScenario,
    Scenario,
    ScenarioError,
    UnknownScenario,
    find,
    json_schema,
    names,
    parse,
    read_scenario,
    shipped,
)
from deployd.tools.chaos.scenario.broker_faults import BrokerKill
from deployd.tools.chaos.scenario.template import template
from deployd.tools.chaos.scenario.told import described
from deployd.tools.chaos.scenario.way_faults import WayLatency
from deployd.tools.chaos.simulated import obstacle

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "docs" / "chaos-scenario.schema.json"
LEAST = 'title = "x"\n[[steps]]\nat = 1\nfault = "way.cut"\n'


def read(text: str) -> Scenario:
    return parse(text, "mine", "mine.toml")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(BadScenario) as refused:
        read(text)
    assert isinstance(refused.value, ScenarioError)
    assert all(problem.startswith("mine.toml: ") for problem in refused.value.problems)
    return tuple(problem.removeprefix("mine.toml: ") for problem in refused.value.problems)


def test_a_file_becomes_a_scenario_with_its_name() -> None:
    made = read(
        """
        title = "Two faults"
        catalogue = [1, 9]
        [not_with]
        nats-cluster = "because"
        [pods]
        count = 2
        [[load.rooms]]
        name = "orders"
        policy = "buffer"
        [[steps]]
        at = 5
        fault = "way.latency"
        with = { pods = [1], delay = 0.25 }
        for = 4
        [[steps]]
        name = "dead"
        when = "breaker opens"
        wait = 0.5
        fault = "broker.kill"
        until = "all healed"
        [expect]
        outage = "may"
        detected_within = 1
        """
    )
    first, second = made.steps
    assert made.name == "mine"
    assert made.load.rooms[0].policy is FailurePolicy.BUFFER
    assert (first.at, first.lasting, first.trouble) == (5.0, 4.0, WayLatency(pods=(1,), delay=0.25))
    assert (second.title, second.when, second.until) == ("dead", "breaker opens", "all healed")
    assert second.trouble == BrokerKill()
    assert made.expect.detected_within == 1.0
    assert made.objection("nats", "cluster") == "because"
    assert made.objection("nats", "single") is None
    assert made.objection("nats", "sentinel") == "Only Redis has sentinels."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('titel = "x"', "titel is no field; did you mean title?"),
        ("title = 3", "title must be text, not 3."),
        (LEAST + "[pods]\ncuont = 3", "pods.cuont is no field; did you mean count?"),
        (LEAST + "[pods]\ncount = 99", "pods.count must be a number from 1 to 8, not 99."),
        (
            LEAST + "[pods]\ncount = true",
            "pods.count must be a whole number from 1 to 8, not true.",
        ),
        (LEAST + '[expect]\noutage = "mut"', 'expect.outage cannot be "mut"; did you mean must?'),
        (
            LEAST + '[[load.rooms]]\nname = "plain"\npolicy = "bufer"',
            'load.rooms[0].policy cannot be "bufer"; did you mean buffer?',
        ),
        (LEAST + "falt = 3", "steps[0].falt is no field; did you mean fault?"),
        (
            'title = "x"\n[[steps]]\nat = 1\nfault = "broker.kil"\nfor = 1',
            'steps[0] has the fault "broker.kil", which is none; did you mean broker.kill?',
        ),
        (
            LEAST.replace("way.cut", "way.latency") + "for = 1\nwith = { dely = 1 }",
            "steps[0].with.dely is no field; did you mean delay?",
        ),
        (
            LEAST.replace("way.cut", "way.latency") + "for = 1\nwith = { delay = -1 }",
            "steps[0].with.delay must be a number from 0 to 30 (seconds), not -1.0.",
        ),
        (
            LEAST + 'with = { pods = ["a"] }',
            'steps[0].with.pods[0] must be a whole number, not "a".',
        ),
        (LEAST + "with = 3", "steps[0].with must be a table, not 3."),
        ("steps = 3", "steps must be a list, not 3."),
    ],
)
def test_a_wrong_field_is_told_in_a_sentence_with_its_path_and_the_nearest_name(
    text: str, problem: str
) -> None:
    assert problem in problems(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'title = "x"',
            "steps must be one at least, or not_simulated and not_run say why there is none.",
        ),
        (LEAST.replace("at = 1", ""), "steps[0] must have one of at and when."),
        (LEAST + 'when = "all healed"', "steps[0] must have one of at and when."),
        (
            LEAST.replace("at = 1", 'when = "all healed"'),
            "steps[0].when waits for what a step before it does, and there is none.",
        ),
        (LEAST + "for = 3", "steps[0] has an end, and way.cut is done in a moment."),
        (LEAST.replace("way.cut", "way.hang"), "steps[0] must have one of for and until."),
        (
            LEAST.replace("way.cut", "way.hang") + 'until = "healed"',
            "steps[0].until is 'healed', no condition and no other step; did you mean all healed?",
        ),
        (
            LEAST + "with = { pods = [3] }",
            "steps[0].with.pods names 3, and there are 3, counted from 0.",
        ),
        (
            LEAST.replace("way.cut", "broker.forget") + 'with = { room = "plane" }',
            "steps[0].with.room is 'plane', which load.rooms does not have; did you mean plain?",
        ),
        (
            LEAST.replace("way.cut", "broker.split") + "for = 1\nwith = { other = 0 }",
            "steps[0].with.other is the same server.",
        ),
        (
            "catalogue = [49]\n" + LEAST,
            "catalogue names case 49, and they are 1 to 48 (docs/faults.md).",
        ),
        (
            LEAST + '[not_with]\nrediss = "x"',
            "not_with.rediss is no broker and no topology; did you mean redis?",
        ),
        (
            LEAST + '[not_with]\nsingle = "x"\ncluster = "x"\nsentinel = "x"',
            "steps and not_with leave no broker with which it has sense.",
        ),
    ],
)
def test_what_no_type_can_say_is_told_too(text: str, problem: str) -> None:
    assert problem in problems(text)


def test_all_problems_of_a_file_are_told_at_once() -> None:
    assert len(problems("title = 3\ncatalog = [1]\n[pods]\ncuont = 1\n")) == 3


def test_what_is_no_toml_or_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match=r"^mine\.toml is no TOML: Invalid value"):
        read("title = ")
    with pytest.raises(BadScenario, match="cannot be read: No such file or directory"):
        read_scenario(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(BadScenario, match="no text in UTF-8"):
        read_scenario(tmp_path / "bytes.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 300_000)
    with pytest.raises(BadScenario, match="larger than"):
        read_scenario(tmp_path / "large.toml")


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(
        UnknownScenario, match=r"no scenario broker-crush; did you mean broker-crash\?"
    ):
        find("broker-crush")


# What is shipped -----------------------------------------------------------------------------


def test_every_case_of_the_catalogue_has_a_scenario() -> None:
    cases = {case for name in names() for case in shipped(name).catalogue}
    assert cases == set(range(1, 49))


@pytest.mark.parametrize("name", names())
def test_a_shipped_scenario_says_what_it_is_and_where_it_cannot_be(name: str) -> None:
    scenario = shipped(name)
    assert scenario.title
    assert scenario.catalogue
    assert next(iter(described(scenario))) == f"{name}: {scenario.title}"
    if scenario.not_simulated or not scenario.steps:
        return
    obstacles = [obstacle(scenario, *place) for place in scenario.applies()]
    assert obstacles
    assert not any(obstacles)  # what the simulator cannot do the file says itself


def test_a_second_failure_during_recovery_is_tried_in_many_ways() -> None:
    double = [
        name for name in names() if len({step.trouble.name for step in shipped(name).steps}) > 1
    ]
    assert len(double) >= 20


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_is_in_a_scenario(fault: str) -> None:
    used = {step.trouble.name for name in names() for step in shipped(name).steps}
    assert fault in used


# What editors read ---------------------------------------------------------------------------


def test_the_schema_that_is_shipped_is_that_of_the_classes() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema()
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_shipped_scenario_names_the_schema_and_follows_it() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for name in names():
        path = ROOT / "tools" / "chaos" / "scenarios" / f"{name}.toml"
        text = path.read_text()
        named = text.splitlines()[0].removeprefix("#:schema ")
        assert (path.parent / named).resolve() == SCHEMA
        validator.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        LEAST + 'at2 = "x"',
        LEAST.replace("way.cut", "way.cute"),
        LEAST + "with = { pod = 1 }",
        LEAST + "[pods]\ncount = 0",
        LEAST + '[expect]\noutage = "sometimes"',
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(tomllib.loads(text))
    assert problems(text)


def test_a_new_scenario_can_be_played_as_it_is() -> None:
    made = read(template("mine"))
    assert {broker for broker, _ in made.applies()} == set(BROKERS)
    assert {topology for _, topology in made.applies()} == set(TOPOLOGIES)
    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(template("mine")))
    for fault in FAULTS:
        assert f"#   {fault} " in template("mine")
