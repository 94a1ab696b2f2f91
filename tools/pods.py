"""`deployd pods`: the cluster as one pod sees it, and who hears whom."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
import click
from rich.table import Table
from rich.text import Text

from .common import Address, Asked, pod_options, printable, screen, structured

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
    wanted_name: str = ""
    name_taken_by: str = ""


@attrs.frozen
class ClusterAnswer:
    """The answer: `breaker` is the state of the asked pod's link, None where it has no broker."""

    pod: str
    breaker: str | None
    pods: tuple[PodLine, ...]


@click.command()
@pod_options
def pods(url: str, key: str | None, as_json: bool, data: str | None, file: Path) -> None:
    """Show the pods that a pod hears, those it misses, and who of them hears whom."""
    asked = Asked(PATH, url, key, data, file)
    if as_json:
        asked.print_json()
        return
    screen().print(draw(read_cluster(asked.answer, asked.address)))


def read_cluster(answer: object, address: Address) -> ClusterAnswer:
    """Structure what a pod answered. Raises `NotAPod`."""
    return structured(answer, ClusterAnswer, address, "pods")


def draw(cluster: ClusterAnswer) -> Table:
    """Draw a row a pod: how it is, and which of those shown here it does not hear."""
    breaker = "no broker" if cluster.breaker is None else f"breaker {cluster.breaker}"
    title = f"{len(cluster.pods)} pods, as {printable(cluster.pod)} sees them; {breaker}"
    taken = [
        f"{printable(pod.id)} was to be called {printable(pod.wanted_name)}, as pod "
        f"{printable(pod.name_taken_by)} is: give each a server.name of its own"
        for pod in cluster.pods
        if pod.name_taken_by
    ]
    caption = Text("\n".join(taken), "yellow") if taken else None
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
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
