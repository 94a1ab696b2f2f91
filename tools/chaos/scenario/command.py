"""`deployd chaos list`, `describe`, `new` and `schema`: what scenarios there are, and a new one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click
import orjson
from rich.table import Table

from ...common import screen
from .completing import complete_names
from .errors import ScenarioError
from .json_schema import json_schema
from .schema import BROKERS, Scenario
from .shipped import find, names, shipped
from .template import template
from .told import described

__all__ = ["describe", "listing", "new", "schema"]

SCHEMA: Final = "chaos-scenario.schema.json"


@click.command("list")
@click.option("--broker", type=click.Choice(BROKERS), help="Only those that have sense with it.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def listing(broker: str | None, as_json: bool) -> None:
    """List the scenarios that are shipped, by the cases of the catalogue that they play."""
    chosen = [each for each in map(shipped, names()) if broker is None or broker in _brokers(each)]
    chosen.sort(key=lambda each: (each.catalogue, each.name))
    if as_json:
        click.echo(orjson.dumps([_row(each) for each in chosen], option=orjson.OPT_INDENT_2))
        return
    table = Table("case", "scenario", "what happens", "with", "not", box=None, pad_edge=False)
    for each in chosen:
        cases = ", ".join(map(str, each.catalogue))
        table.add_row(cases, each.name, each.title, ", ".join(_brokers(each)), _not(each))
    screen().print(table)
    click.echo(f"{len(chosen)} scenarios; `deployd chaos describe NAME` tells more of one.")


@click.command()
@click.argument("name", shell_complete=complete_names)
def describe(name: str) -> None:
    """Tell what a scenario does, what it expects, and with which brokers it has sense."""
    for line in described(find(name)):
        click.echo(line)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def new(name: str, force: bool) -> None:
    """Write NAME.toml, a scenario to begin with, and beside it the schema that editors read."""
    name = name.removesuffix(".toml")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", name):
        raise ScenarioError(f"{name!r} is no name: small letters, digits and dashes make one.")
    path = Path(f"{name}.toml")
    if path.exists() and not force:
        raise ScenarioError(f"{path} is there already; --force writes over it.")
    try:
        path.write_text(template(name), encoding="utf-8")
        Path(SCHEMA).write_bytes(_schema())
    except OSError as error:
        raise ScenarioError(f"{path} cannot be written: {error.strerror or error}.") from error
    click.echo(f"{path} is written; play it with `deployd chaos run {path} --simulated`.")


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenarios' files, for editors."""
    click.echo(_schema(), nl=False)


def _schema() -> bytes:
    return orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _brokers(scenario: Scenario) -> list[str]:
    if not scenario.steps:  # what neither backend can do names no fault that would tell
        return [broker for broker in BROKERS if broker not in scenario.not_with]
    return list(dict.fromkeys(broker for broker, _ in scenario.applies()))


def _not(scenario: Scenario) -> str:
    words = (("simulated", scenario.not_simulated), ("run", scenario.not_run))
    return ", ".join(word for word, reason in words if reason)


def _row(scenario: Scenario) -> dict[str, object]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "catalogue": scenario.catalogue,
        "applies": [f"{broker}-{topology}" for broker, topology in scenario.applies()],
        "not_simulated": scenario.not_simulated,
        "not_run": scenario.not_run,
    }
