"""Scenarios in the simulator: the same each time, right where all is right, and wrong where not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deployd.tools.chaos.scenario import (
    BrokerName,
    Judgement,
    Scenario,
    TopologyName,
    judged,
    parse,
    shipped,
)
from deployd.tools.chaos.simulated import NotSimulated, obstacle, simulate_scenario
from deployd.tools.oracle import Calm, Entered, Hearing, Mended, Record, Spoken, Struck, digest

ROOT = Path(__file__).resolve().parents[3]


def play(name: str, broker: BrokerName, topology: TopologyName, seed: int = 0) -> Judgement:
    return simulate_scenario(shipped(name), broker, topology, seed)


def told(outcome: Judgement) -> list[str]:
    failed = [str(check) for check in outcome.checks if not check.held]
    return failed + [str(violation) for violation in outcome.violations]


def steps(text: str) -> Scenario:
    return parse(f'title = "mine"\n{text}', "mine", "mine.toml")


@pytest.mark.parametrize(
    ("name", "broker", "topology"),
    [
        ("broker-crash", "redis", "single"),
        ("broker-hiccup", "nats", "single"),
        ("broker-split", "nats", "cluster"),
        ("master-split", "redis", "sentinel"),
        ("way-half-open", "rabbitmq", "cluster"),
        ("way-end-not-told", "nats", "single"),
        ("way-deaf", "redis", "cluster"),
        ("way-slow", "nats", "single"),
        ("pod-crash", "rabbitmq", "single"),
        ("pod-frozen", "redis", "single"),
        ("room-denied", "nats", "single"),
        ("clients-herd", "nats", "single"),
        ("last-word-lost", "redis", "single"),
        ("clocks-differ-signed", "rabbitmq", "cluster"),
        ("slot-moves-then-crash", "redis", "cluster"),
        ("queue-deleted-twice", "rabbitmq", "single"),
        ("frozen-then-crash", "redis", "single"),
    ],
)
def test_a_shipped_scenario_passes(name: str, broker: BrokerName, topology: TopologyName) -> None:
    outcome = play(name, broker, topology)
    assert told(outcome) == []
    assert outcome.passed
    assert outcome.measures.sent > 50
    struck = [record.step for record in outcome.history if isinstance(record, Struck)]
    assert set(struck) == {step.title for step in shipped(name).steps}


def test_a_seed_gives_the_same_play_and_another_seed_another() -> None:
    once, again = (play("way-reset-twice", "nats", "cluster", 3) for _ in range(2))
    assert digest(once.history) == digest(again.history)
    assert once.measures == again.measures
    assert digest(play("way-reset-twice", "nats", "cluster", 4).history) != digest(once.history)


def test_what_is_expected_and_does_not_come_about_fails() -> None:
    text = '[[steps]]\nat = 1\nfault = "way.cut"\n[expect]\noutage = "never"\nhealed_within = 0.1\n'
    outcome = simulate_scenario(steps(text), "nats", "single", 0)
    assert not outcome.passed
    assert {check.name for check in outcome.checks if not check.held} == {"outage", "healed"}
    assert outcome.violations == ()


def test_a_step_that_waits_in_vain_fails_and_is_told() -> None:
    outcome = simulate_scenario(
        steps(
            '[[steps]]\nat = 1\nfault = "way.latency"\nwith = { delay = 0.01 }\nfor = 1\n'
            '[[steps]]\nname = "second"\nwhen = "breaker opens"\nwithin = 3\nfault = "way.cut"\n'
            '[[steps]]\nname = "third"\nwhen = "all healed"\nfault = "way.cut"\n'
            '[expect]\noutage = "may"\n'
        ),
        "nats",
        "single",
        0,
    )
    assert [check.name for check in outcome.checks if not check.held] == ["second", "third"]
    assert "'breaker opens' did not come about within 3 s" in told(outcome)[0]


def test_what_lasts_until_something_ends_in_the_end_and_says_that_it_waited_in_vain() -> None:
    outcome = simulate_scenario(
        steps(
            '[[steps]]\nat = 1\nfault = "client.stall"\nuntil = "breaker opens"\nwithin = 4\n'
            '[expect]\noutage = "may"\n'
        ),
        "redis",
        "single",
        0,
    )
    [ended] = [record for record in outcome.history if isinstance(record, Mended)]
    assert ended.in_vain
    assert not outcome.passed


@pytest.mark.parametrize(("struck", "passed"), [(0, False), (1, True), (None, True)])
def test_a_fault_that_struck_no_message_has_shown_nothing(struck: int | None, passed: bool) -> None:
    scenario = steps(
        '[[steps]]\nname = "gone"\nat = 1\nfault = "way.drop"\nfor = 1\n[expect]\noutage = "may"\n'
    )
    history: list[Record] = [Struck(1.0, "gone", "way.drop"), Mended(2.0, "gone", struck=struck)]
    outcome = judged(scenario, "nats", "single", 0, history)
    assert outcome.passed is passed
    assert told(outcome) == (
        [] if passed else ["gone: it struck none, expected that it strikes messages"]
    )


def test_what_lasts_until_another_step_begins_ends_then() -> None:
    outcome = play("frozen-then-crash", "nats", "single")
    begun = {each.step: each.at for each in outcome.history if isinstance(each, Struck)}
    ended = {each.step: each.at for each in outcome.history if isinstance(each, Mended)}
    assert ended["frozen"] == begun["killed"]


def test_nobody_says_anything_in_a_silence() -> None:
    text = '[[steps]]\nat = 1\nfault = "client.silence"\nfor = 5\n[expect]\noutage = "never"\n'
    outcome = simulate_scenario(steps(text), "nats", "single", 0)
    [window] = outcome.measures.windows
    said = [record.at for record in outcome.history if isinstance(record, Spoken)]
    assert not any(window.begin < at < window.end for at in said)
    assert any(at < window.begin for at in said)
    assert outcome.passed


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("way.slices", "bytes"),
        ("broker.password", "let everybody in"),
        ("store.stop", "no store"),
        ("way.latency", "slow servers"),
    ],
)
def test_what_the_simulator_cannot_do_it_says_in_a_sentence(fault: str, sentence: str) -> None:
    pods = "with = { pods = [0] }\n" if fault == "way.latency" else ""
    made = steps(f'[[steps]]\nat = 1\nfault = "{fault}"\nfor = 1\n{pods}')
    assert sentence in (obstacle(made, "nats", "single") or "")
    with pytest.raises(NotSimulated, match=sentence):
        simulate_scenario(made, "nats", "single", 0)


def test_a_way_swallows_that_a_server_has_ended_and_the_canary_finds_it_out() -> None:
    _, killed = play("way-end-not-told", "nats", "single").measures.windows
    assert killed.detected is not None
    assert killed.detected > 1.0  # without it, at once: broker-crash
    [crash] = play("broker-crash", "nats", "single").measures.windows
    assert crash.detected == 0.0


def test_what_a_way_swallows_in_one_direction_alone_goes_through_in_the_other() -> None:
    heard, _ = _heard_while_it_lasts(play("way-deaf", "redis", "single"))
    assert heard == 0
    heard, was_heard = _heard_while_it_lasts(play("way-mute", "redis", "single"))
    assert heard > 0
    assert was_heard == 0


def _heard_while_it_lasts(outcome: Judgement) -> tuple[int, int]:
    """Count what pod 0 heard of the others, and they of it, before anybody noticed."""
    [window] = outcome.measures.windows
    begin, end = window.begin + 0.01, window.begin + 1.5
    pods = {each.client: each.pod for each in outcome.history if isinstance(each, Entered)}
    heard = [
        (pods[each.client], pods[each.speaker])
        for each in outcome.history
        if isinstance(each, Hearing) and begin < each.at < end
    ]
    return (
        sum(here == 0 != there for here, there in heard),
        sum(there == 0 != here for here, there in heard),
    )


def test_a_silence_that_comes_last_goes_on_until_the_last_words() -> None:
    outcome = play("last-word-lost", "redis", "single")
    _, silence = outcome.measures.windows
    [calm] = [record.at for record in outcome.history if isinstance(record, Calm)]
    said = [record.at for record in outcome.history if isinstance(record, Spoken)]
    assert not any(silence.begin < at < calm for at in said)
    assert any(at > calm for at in said)


def test_a_history_from_elsewhere_is_judged_by_the_same_rules() -> None:
    outcome = play("broker-crash", "nats", "single")
    again = judged(outcome.scenario, "nats", "single", 0, outcome.history)
    assert again == outcome


# Planted bugs: the whole table is bench/planted.py's ------------------------------------------

PLANTED = {
    "no dedupe": ("broker-repeats", "rabbitmq", "single"),
    "no beats": ("pod-crash", "nats", "single"),
    "no re-proof of the silent": ("room-silent-forgotten", "nats", "single"),
    "no tail in beats": ("last-word-lost", "redis", "single"),
    "no healing told": ("way-reset", "nats", "single"),
    "no partition told": ("broker-split", "nats", "cluster"),
    "no answer to who missed beats": ("beat-lost-with-words", "nats", "single"),
    "join unproven": ("joins-while-talking", "nats", "cluster"),
    "receipt whoever heard": ("room-denied", "nats", "single"),
}


@pytest.mark.parametrize("mutation", sorted(PLANTED))
def test_a_planted_bug_is_found(mutation: str) -> None:
    """A process of its own is broken; this one goes on being right."""
    code = (
        "import sys; sys.path.insert(0, 'bench')\n"
        "from planted import failed\n"
        "from deployd.tools.simulator import prepare\n"
        "prepare()\n"
        f"found = failed({mutation!r}, 0, {PLANTED[mutation]!r})\n"
        "sys.exit(0 if found else 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0
