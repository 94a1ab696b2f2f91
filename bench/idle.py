"""Ten thousand connections that say nothing, and a thousand more that chat, on one pod.

The chat is paced: each client of a hundred rooms of ten speaks in turn, and a delivery's time
counts from the moment at which it was due, so that a pod that falls behind cannot hide it.
"""

from __future__ import annotations

import json
import selectors
import sys
import time
from contextlib import ExitStack
from typing import Final

from _clients import Client, Disconnected, converse, open_clients
from _dialects import DEPLOYD, EVENT
from _report import machine, percentile, quick, verdict
from _scrapes import Looks, looking
from _server import Server, raise_file_limit, running
from attrs import field, mutable

ROOMS: Final = 100
TALKERS: Final = 1_000
RATE: Final = 200
"""Messages a second of all who chat; each has ten deliveries."""
QUICK_ENOUGH: Final = 0.05
"""Seconds that a look at a busy pod may hold it up."""
METRICS, REALTIME = "/metrics", "/_dashboard/api/metrics/realtime"


@mutable
class Chat:
    """What came of the chat; `taken` are the seconds of each delivery."""

    sent: int = 0
    taken: list[float] = field(factory=list)
    errors: list[str] = field(factory=list)


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("A pod with 10,000 idle connections and 1,000 that chat.")
    idle, seconds = (2_000, 5.0) if hasty else (10_000, 30.0)
    raise_file_limit(idle + TALKERS)
    print(machine())
    with ExitStack() as stack:
        server = stack.enter_context(running(DEPLOYD.name))
        empty = server.rss
        began = time.monotonic()
        stack.enter_context(open_clients(server.port, DEPLOYD, idle))
        arrival = idle / (time.monotonic() - began)
        with_idle = server.rss
        talkers = stack.enter_context(open_clients(server.port, DEPLOYD, TALKERS))
        for number in range(ROOMS):
            converse(talkers[number::ROOMS], DEPLOYD.join(f"room-{number}"))
        looks = stack.enter_context(looking(server.port, METRICS, REALTIME))
        before = server.cpu
        chat = talk(talkers, seconds)
        cpu = (server.cpu - before) / seconds
        return report(server, chat, looks, idle, (empty, with_idle), arrival, cpu)


def talk(talkers: list[Client], seconds: float) -> Chat:
    """Let one after the other speak to its room, and hear what comes, for so long."""
    chat, selector = Chat(), selectors.DefaultSelector()
    for client in talkers:
        client.sock.setblocking(False)
        selector.register(client.sock, selectors.EVENT_READ, client)
    began = time.monotonic()
    total = int(seconds * RATE)
    while len(chat.taken) < total * (TALKERS // ROOMS) and time.monotonic() < began + 2 * seconds:
        due = began + chat.sent / RATE
        if chat.sent < total and time.monotonic() >= due:
            speaker = chat.sent % len(talkers)
            message = {"room": f"room-{speaker % ROOMS}", "event": EVENT, "data": due}
            talkers[speaker].send(json.dumps({"type": "emit", **message}))
            chat.sent += 1
            continue
        for key, _ in selector.select(max(0.0, min(due - time.monotonic(), 0.1))):
            hear(key.data, chat, selector)
    return chat


def hear(client: Client, chat: Chat, selector: selectors.BaseSelector) -> None:
    """Take what has come for one client."""
    try:
        client.pull()
    except BlockingIOError:
        return
    except (Disconnected, OSError) as error:
        chat.errors.append(str(error))
        selector.unregister(client.sock)
        return
    now = time.monotonic()
    while client.has_texts:
        message = json.loads(client.receive())
        if message["type"] == "emit":
            chat.taken.append(now - message["data"])
        else:
            chat.errors.append(str(message)[:200])


def report(
    server: Server,
    chat: Chat,
    looks: Looks,
    idle: int,
    memory: tuple[int, int],
    arrival: float,
    cpu: float,
) -> int:
    """Print and judge."""
    empty, with_idle = memory
    taken = sorted(chat.taken)
    expected = chat.sent * (TALKERS // ROOMS)
    whole = len(taken) == expected and not chat.errors
    print(f"{idle:,} idle connections, {arrival:,.0f} a second; {TALKERS:,} chat, {RATE}/s in all")
    print(
        f"  memory {server.rss / 2**20:.0f} MB; empty {empty / 2**20:.0f} MB; "
        f"{(with_idle - empty) / idle / 1024:.1f} KB an idle connection; "
        f"processor {cpu:.0%} of one core"
    )
    print(
        f"  {len(taken):,} deliveries of {expected:,}, errors {len(chat.errors)}"
        f"{' ' + chat.errors[0] if chat.errors else ''}: {verdict(whole)}"
    )
    if taken:
        p50, p99 = (percentile(taken, percent) * 1e3 for percent in (50, 99))
        print(f"  delivery p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {taken[-1] * 1e3:.2f} ms")
    quick_enough = not looks.failed
    for path, times in looks.taken.items():
        median, slowest = percentile(sorted(times), 50), max(times)
        # Each scrape has to be quick; a page may now and then be drawn a little later.
        soon = (slowest if path == METRICS else median) < QUICK_ENOUGH
        quick_enough = quick_enough and soon
        print(
            f"  GET {path}: {len(times)} looks, p50 {median * 1e3:.1f} ms, "
            f"max {slowest * 1e3:.1f} ms: {verdict(soon)}"
        )
    if looks.failed:
        print(f"  failed looks: {looks.failed[:3]}")
    return 0 if whole and quick_enough else 1


if __name__ == "__main__":
    sys.exit(main())
