"""Each alert fires when a pod is in the state that it is for, and is over when the pod is well.

What a pod says before, in and after a state is given to Prometheus' own rule engine, without time
passing, and then to a Prometheus that really scrapes and whose hours are minutes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import pytest
import trio
import yaml
from attrs import evolve
from structlog.testing import capture_logs

from deployd.config import Metrics
from deployd.tools.chaos.servers import free_port
from support import pod_config, running_pod
from support.ailing import ENDS, STATES, Scrape, State, series
from support.prometheus import Exposed, Prometheus, exposing, scraping
from support.promtool import firing
from support.serving import PATIENCE

RULES: Final = Path(__file__).parents[2] / "deploy" / "kubernetes" / "monitoring" / "alerts.yaml"


def rules() -> list[Any]:
    [group] = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    return list(group["rules"])


def from_zero(scrape: Scrape) -> Scrape:
    """The clock of a rule engine to which nobody gives one begins at 0."""
    now = time.time()
    return {name: value - now * name.startswith(ENDS) for name, value in scrape.items()}


@pytest.mark.parametrize("name", STATES)
async def test_the_rules_alone(name: str, tmp_path: Path) -> None:
    state = await STATES[name](tmp_path)
    scrapes = [from_zero(scrape) for scrape in state.scrapes]
    assert firing(rules(), scrapes, [set(), state.alerts, set()], tmp_path) == ""


async def test_a_prometheus_that_scrapes_sees_each_fire_and_clear(tmp_path: Path) -> None:
    """All states at once, each a pod of its own: what is waited for is minutes, not work."""
    states: dict[str, State] = {}
    for name, bring in STATES.items():
        folder = tmp_path / str(len(states))
        folder.mkdir()
        states[name] = await bring(folder)
    assert {alert for state in states.values() for alert in state.alerts} == {
        rule["alert"] for rule in rules()
    }
    exposed = {name: Exposed(state.scrapes) for name, state in states.items()}
    async with (
        exposing(exposed) as targets,
        scraping(rules(), targets, tmp_path) as prometheus,
    ):
        await prometheus.minutes(12)  # longer than any rule looks back or waits
        await until_fires(prometheus, {})
        for each in exposed.values():
            each.next()
        await until_fires(prometheus, {name: state.alerts for name, state in states.items()})
        for each in exposed.values():
            each.next()
        await until_fires(prometheus, {})


async def until_fires(prometheus: Prometheus, alerts: dict[str, frozenset[str]]) -> None:
    fires: dict[str, frozenset[str]] = {}
    with trio.move_on_after(PATIENCE + prometheus.seconds(minutes=20)):
        while (fires := await prometheus.firing()) != alerts:
            await prometheus.minutes(0.5)
    assert fires == alerts


async def test_a_prometheus_reads_all_that_a_pod_says_and_notices_when_it_is_gone(
    tmp_path: Path,
) -> None:
    at = f"127.0.0.1:{free_port()}"
    config = evolve(pod_config(), metrics=Metrics(bind=at))
    with capture_logs():
        async with scraping(rules(), {"one": (at, "/metrics")}, tmp_path) as prometheus:
            async with running_pod(config) as pod:
                said = pod.parts.exporter.expose("")[0].decode().splitlines()
                expected = {line.partition("{")[0].partition(" ")[0] for line in said} - {"#"}
                with trio.fail_after(PATIENCE):
                    while await prometheus.firing() or not await prometheus.is_up("one"):
                        await prometheus.minutes(0.5)
                assert expected <= await prometheus.metrics()
            await until_fires(prometheus, {"one": frozenset({"DeploydPodDown"})})
            async with running_pod(config):
                await until_fires(prometheus, {})


def test_each_series_is_a_name_and_its_labels_in_order() -> None:
    assert series("up", link="x") == 'up{job="deployd",link="x",namespace="n",pod="p"}'
