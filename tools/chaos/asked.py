"""What is asked of `deployd chaos run`: read from its command line, and written as one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import cattrs
import click
from attrs import evolve, frozen

from .players import Venue
from .scenario import (
    BROKERS,
    TOPOLOGIES,
    BrokerName,
    Scenario,
    ScenarioError,
    TopologyName,
    find,
    names,
)
from .servers import WhereBroker, read_endpoint
from .targets import BenchTarget, OurTarget, TargetError, find_target, spelled

__all__ = ["PROGRAM", "PlayOrder"]

PROGRAM: Final = ("deployd", "chaos", "run")


@frozen
class PlayOrder:
    """Which scenarios, of which systems, on what, and with what left to chance.

    Scenarios are names, and files. What is None is not asked for: every broker and topology that
    have sense, servers of our own, as many pods as a scenario has. Seeds are counted from `seed`.
    """

    scenarios: tuple[str, ...] = ()
    everything: bool = False
    simulated: bool = False
    broker: BrokerName | None = None
    topology: TopologyName | None = None
    endpoint: str | None = None
    targets: tuple[str, ...] = (OurTarget.name,)
    pods: int | None = None
    seed: int = 0
    seeds: int = 1

    @classmethod
    def of(cls, given: Mapping[str, object]) -> PlayOrder:
        """Take it from a command line. Raises `click.UsageError` where that makes no sense."""
        asked = cattrs.structure(given, cls)
        if asked.everything == bool(asked.scenarios):
            raise click.UsageError("Name scenarios, or say --all; `deployd chaos list` names them.")
        others = any(target != OurTarget.name for target in asked.targets)
        if asked.simulated and others:
            raise click.UsageError("The simulator has no other pods than deployd's.")
        if asked.endpoint is not None and asked.simulated:
            raise click.UsageError("The simulator uses no --endpoint.")
        if asked.endpoint is not None and others:
            raise click.UsageError("On an --endpoint only deployd's pods keep apart from others.")
        return asked

    @property
    def where(self) -> WhereBroker | None:
        """The broker that is there, if one is to be used. Raises `BadEndpoint`."""
        return None if self.endpoint is None else read_endpoint(self.endpoint)

    def chosen(self) -> Mapping[str, Scenario]:
        """Return the scenarios, by what they are asked for. Raises `ScenarioError`s."""
        return {each: self._peopled(find(each)) for each in self.scenarios or names()}

    def _peopled(self, scenario: Scenario) -> Scenario:
        if self.pods is None:
            return scenario
        return evolve(scenario, pods=evolve(scenario.pods, count=self.pods))

    def venues(self, scenarios: Sequence[Scenario]) -> list[Venue]:
        """Return where to play them, of which system. Raises `ScenarioError` or `TargetError`."""
        systems, where = [find_target(name) for name in self.targets], self.where
        broker, topology = self.broker, self.topology
        if where is not None:
            broker, topology = _served(where, broker, topology)
        sites = list(_sites(scenarios, broker, topology))
        if not sites:
            raise ScenarioError(_nowhere(scenarios[0], broker, topology))
        for system in systems:
            _find_room(system, sites)
        return [
            Venue(system, one, two, number, where)
            for number in range(self.seed, self.seed + self.seeds)
            for one, two in sites
            for system in systems
            if system.objection(one, two) is None
        ]

    def at(self, venue: Venue) -> PlayOrder:
        """Return what asks for one venue alone; the password of its endpoint is not in it."""
        return evolve(
            self,
            broker=venue.broker,
            topology=venue.topology,
            endpoint=None if venue.where is None else str(venue.where),
            targets=(spelled(venue.target),),
            seed=venue.seed,
            seeds=1,
        )

    def alone(self, scenario: str) -> PlayOrder:
        """Return what asks for one scenario alone."""
        return evolve(self, scenarios=(scenario,), everything=False)

    def __str__(self) -> str:
        """As a command that asks for it."""
        words = [*PROGRAM, *(["--all"] if self.everything else self.scenarios)]
        words += ["--simulated"] if self.simulated else []
        for target in self.targets if self.targets != (OurTarget.name,) else ():
            words += ["--target", target]
        for option, value in (
            ("--broker", self.broker),
            ("--topology", self.topology),
            ("--pods", self.pods),
            ("--seed", self.seed),
            ("--endpoint", self.endpoint),
        ):
            words += [] if value is None else [option, str(value)]
        return shlex.join(words if self.seeds == 1 else [*words, "--seeds", str(self.seeds)])


def _sites(
    chosen: Sequence[Scenario], broker: BrokerName | None, topology: TopologyName | None
) -> Iterator[tuple[BrokerName, TopologyName]]:
    """Yield where any of these has sense."""
    for one in BROKERS:
        for two in TOPOLOGIES:
            asked = broker in (None, one) and topology in (None, two)
            if asked and any(each.objection(one, two) is None for each in chosen):
                yield one, two


def _served(
    where: WhereBroker, broker: BrokerName | None, topology: TopologyName | None
) -> tuple[BrokerName, TopologyName]:
    """Return what an endpoint is, if nothing else was asked for."""
    kind = next(one for one in BROKERS if one == where.kind)
    if broker not in (None, kind) or topology not in (None, "single"):
        raise click.UsageError(f"{where} is one server of {kind}, and nothing else.")
    return kind, "single"


def _nowhere(scenario: Scenario, broker: str | None, topology: str | None) -> str:
    reason = scenario.objection(broker or BROKERS[0], topology or TOPOLOGIES[0])
    return f"{scenario.name} has no sense there: {reason or 'it has none anywhere.'}"


def _find_room(target: BenchTarget, sites: Sequence[tuple[BrokerName, TopologyName]]) -> None:
    """See that a system is played anywhere. Raises `TargetError`."""
    objections = [target.objection(*site) for site in sites]
    if None not in objections:
        raise TargetError(str(objections[0]))
