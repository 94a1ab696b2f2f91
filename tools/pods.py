"""`deployd pods`: the cluster as one pod sees it, and who hears whom."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs
import cattrs
import click
import orjson
from rich.table import Table
from rich.text import Text

from .common import (
    Address,
    NotAPod,
    ask,
    config_option,
    data_option,
    known_key,
    parse_address,
    printable,
    read_settings,
    screen,
)

PATH: Final = "/_dashboard/api/pods"
HEADINGS: Final = (
    *("pod", "state", "version", "connections", "rooms", "load", "node", "does not hear"),
)
NUMBERS: Final = frozenset(("connections", "rooms", "load"))
STYLES: Final = {"self": "bold green", "heard": "green", "missing": "red"}


@attrs.frozen
class PodLine:
    """One pod in the answer; what a newer pod adds is left out."""

    id: str
    state: str
    name: str = ""
    version: str = ""
    node: str = ""
    connections: int = 0
    rooms: int = 0
    load: float = 0.0
    heard_seconds: float = 0.0
    hears: tuple[str, ...] = ()


@attrs.frozen
class ClusterAnswer:
    """The answer: `breaker` is the state of the asked pod's link, None where it has no broker."""

    pod: str
    breaker: str | None
    pods: tuple[PodLine, ...]


@click.command()
@click.option("--url", default="http://localhost:2403", show_default=True, help="Where it listens.")
@click.option("--key", metavar="KEY", help="Its master key; else the data folder's, sent to "
              "this machine only.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what the pod answers instead.")
@data_option
@config_option
def pods(url: str, key: str | None, as_json: bool, data: str | None, file: Path) -> None:
    """Show the pods that a pod hears, those it misses, and who of them hears whom."""
    address = parse_address(url)
    if key is None and address.is_loopback:
        folder = read_settings(file, os.environ, {"server.data": data}).config.server.data
        key = known_key(Path(folder), os.environ)
    answer = ask(address, PATH, key)
    if as_json:
        click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
        return
    screen().print(draw(read_cluster(answer, address)))


def read_cluster(answer: object, address: Address) -> ClusterAnswer:
    """Structure what a pod answered. Raises `NotAPod`."""
    try:
        return cattrs.structure(answer, ClusterAnswer)
    except (cattrs.BaseValidationError, TypeError) as error:  # TypeError: it is not even an object
        raise NotAPod(
            f"What answers at {address} is no pod of this version (it sent no pods); name "
            "another with --url."
        ) from error


def draw(cluster: ClusterAnswer) -> Table:
    """Draw a row a pod: how it is, and which of those shown here it does not hear."""
    breaker = "no broker" if cluster.breaker is None else f"breaker {cluster.breaker}"
    title = f"{len(cluster.pods)} pods, as {printable(cluster.pod)} sees them; {breaker}"
    table = Table(title=title, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in NUMBERS else "left")
    there = [pod.id for pod in cluster.pods if pod.state != "missing"]
    for pod in cluster.pods:
        deaf_to = [other for other in there if other not in (pod.id, *pod.hears)]
        state = pod.state
        if state == "missing":
            state += f" for {pod.heard_seconds:.0f} s"
        table.add_row(
            printable(f"{pod.name} {pod.id}".strip()),
            Text(state, STYLES.get(pod.state, "yellow")),
            printable(pod.version),
            f"{pod.connections:,}",
            f"{pod.rooms:,}",
            f"{pod.load:.0%}",
            printable(pod.node),
            Text("" if pod.state == "missing" else printable(", ".join(deaf_to)), "red"),
        )
    return table
