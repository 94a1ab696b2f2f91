"""Scenarios as data: what they are, read from TOML, and those that are shipped."""

from .errors import BadScenario, ScenarioError, UnknownScenario
from .faults import BrokerName, Trouble
from .inner_faults import FAULTS
from .json_schema import json_schema
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
    Step,
    TopologyName,
    Traffic,
)

__all__ = [
    "BROKERS",
    "CONDITIONS",
    "FAULTS",
    "TOPOLOGIES",
    "BadScenario",
    "BrokerName",
    "Condition",
    "Expectations",
    "Population",
    "RoomTerms",
    "Scenario",
    "ScenarioError",
    "Step",
    "TopologyName",
    "Traffic",
    "Trouble",
    "UnknownScenario",
    "json_schema",
    "parse",
    "read_scenario",
]
