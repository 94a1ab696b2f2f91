"""Scenarios as data: what they are, read from TOML, and those that are shipped."""

from .completing import complete_names
from .conditions import Witness
from .errors import BadScenario, ScenarioError, UnknownScenario
from .faults import BrokerName, Trouble
from .inner_faults import FAULTS
from .json_schema import json_schema
from .outcome import Check, Judgement, judged
from .reading import parse, read_scenario
from .schema import (
    BROKERS,
    CONDITIONS,
    TOPOLOGIES,
    Condition,
    Expectations,
    Population,
    RoomTerms,
    Scenario,
    ScenarioStep,
    TopologyName,
    Traffic,
)
from .shipped import find, names, shipped

__all__ = [
    "BROKERS",
    "CONDITIONS",
    "FAULTS",
    "TOPOLOGIES",
    "BadScenario",
    "BrokerName",
    "Check",
    "Condition",
    "Expectations",
    "Judgement",
    "Population",
    "RoomTerms",
    "Scenario",
    "ScenarioError",
    "ScenarioStep",
    "TopologyName",
    "Traffic",
    "Trouble",
    "UnknownScenario",
    "Witness",
    "complete_names",
    "find",
    "json_schema",
    "judged",
    "names",
    "parse",
    "read_scenario",
    "shipped",
]
