"""Twenty minutes of everything, and whether it leaves anything behind.

Clients come and go, rooms open and end, documents are written, the broker dies and returns, and
somebody scrapes. Once a cycle everybody leaves, rooms end, and the pod is looked at while nothing
lives in it: what grows from look to look is a leak.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio
from _brokers import BrokerServer, broker_server
from _report import machine, verdict
from _rolling_clients import Resident
from _rolling_pod import RollingPod
from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

CLIENTS: Final = 200
CYCLE: Final = 45.0
"""Seconds of load between two looks."""
QUIET: Final = 8.0
"""Seconds without anybody before a look: rooms end after 2."""
WARM_UP: Final = 3
"""Looks that do not count: what is made once is made by then."""
MARGINS: Final = {
    "blocks (1000)": 4.0,
    "memory (MB)": 8.0,
    "tasks": 4.0,
    "descriptors": 4.0,
    "threads": 3.0,
}
"""What the last quarter may have more than the first, for what Python keeps and is under way.

The blocks are what Python has given out: a leak grows there and cannot hide, not even one block a
visit. Resident memory also holds what was given back and is kept for later, so it grows to the most
that was ever needed; and SQLite's page cache, which fills while documents are written, to 2 MB for
each of the store's four connections. That is its margin.
"""


@frozen
class Look:
    """A pod while nothing lives in it."""

    at: float
    figures: dict[str, float]


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, broker_server("nats") as (server, broker):
        pod = RollingPod(Path(folder), prepare(Path(folder), broker))
        try:
            pod.start()
            looks = trio.run(soak, pod, server, options.minutes * 60)
        finally:
            pod.kill()
    return report(looks)


def prepare(folder: Path, broker: dict[str, Any]) -> dict[str, Any]:
    """Write a collection, and return the settings."""
    notes = folder / "resources" / "notes"
    notes.mkdir(parents=True)
    definition = {"properties": {"n": {"type": "number"}}}
    (notes / "config.json").write_text(json.dumps(definition))
    return {
        "broker": {**broker, "policies": {"*": "buffer"}, "noticeWindow": 0.0, "linger": 0.0},
        "limits": {"messageRateLimit": 0, "byteRateLimit": 0, "roomCleanupInterval": 2.0},
        "metrics": {"token": "scraper"},
        "drain": {"window": 0.0, "deadline": 5.0},
    }


async def soak(pod: RollingPod, server: BrokerServer, seconds: float) -> list[Look]:
    """Let load and quiet alternate, and look each time it is quiet."""
    looks: list[Look] = []
    began = time.monotonic()
    cycle = 0
    while time.monotonic() - began < seconds:
        with trio.move_on_after(CYCLE):
            async with trio.open_nursery() as nursery:
                for number in range(CLIENTS):
                    nursery.start_soon(visit, pod.port, f"{cycle}-{number}")
                nursery.start_soon(write, pod.port)
                nursery.start_soon(scrape_often, pod.port)
                if cycle % 4 == 1:
                    nursery.start_soon(fell, server)
        await trio.sleep(QUIET)
        figures = await trio.to_thread.run_sync(look, pod)
        looks.append(Look(time.monotonic() - began, figures))
        cycle += 1
        shown = ", ".join(f"{name} {value:.0f}" for name, value in figures.items())
        print(f"  {looks[-1].at:6.0f} s: {shown}", flush=True)
    return looks


async def visit(port: int, name: str) -> None:
    """Come and go, each time to another room, and speak there."""
    while True:
        await trio.sleep(random.uniform(0, 3))
        client = Resident(name, f"room-{random.randrange(500)}", port)
        with trio.move_on_after(random.uniform(2, 10)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.live)
                await client.say(10**9, 0.5)


async def write(port: int) -> None:
    """Write a document now and then."""
    number = 0
    while True:
        number += 1
        await trio.to_thread.run_sync(ask, port, "/notes", {"n": number})
        await trio.sleep(0.1)


async def scrape_often(port: int) -> None:
    """Ask for the metrics as a scraper would."""
    while True:
        await trio.to_thread.run_sync(ask, port, "/metrics", None)
        await trio.sleep(2)


async def fell(server: BrokerServer) -> None:
    """Kill the broker, and start it again."""
    await trio.sleep(10)
    server.kill()
    try:
        await trio.sleep(5)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.start)


def ask(port: int, path: str, document: dict[str, Any] | None) -> str:
    """Ask for a path, or post to it."""
    data = None if document is None else json.dumps(document).encode()
    headers = {"Authorization": "Bearer scraper"} if document is None else {}
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def look(pod: RollingPod) -> dict[str, float]:
    """Read what the pod says of itself, and how many threads the system knows of."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(ask(pod.port, "/metrics", None)):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    status = Path(f"/proc/{pod.pid}/status").read_text()
    return {
        "blocks (1000)": values["deployd_allocated_blocks"] / 1000,
        "memory (MB)": values["process_resident_memory_bytes"] / 2**20,
        "tasks": values["deployd_loop_tasks"],
        "descriptors": values["process_open_fds"],
        "threads": float(status.partition("Threads:")[2].split()[0]),
        "connections": values["websocket_connections_per_pod"],
        "rooms": values.get("deployd_rooms", 0.0),
        "opened": values["deployd_connections_opened_total"],
        "outages": values["deployd_broker_outages_total"],
    }


def report(looks: Sequence[Look]) -> int:
    """Judge what grew, and print."""
    counted = looks[WARM_UP:]
    if len(counted) < 4:
        print("  too short to say anything: give it more minutes")
        return 1
    quarter = max(1, len(counted) // 4)
    flat = True
    for name, margin in MARGINS.items():
        values = [each.figures[name] for each in counted]
        first = statistics.median(values[:quarter])
        last = statistics.median(values[-quarter:])
        slope = statistics.linear_regression([each.at for each in counted], values).slope * 3600
        good = last - first <= margin
        flat = flat and good
        print(f"  {name}: {first:.1f} → {last:.1f}, {slope:+.2f} an hour: {verdict(good)}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
