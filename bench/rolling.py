"""A rolling restart of three pods under load, behind HAProxy and joined by NATS.

What is owed: an event whose receipt says `cluster` is heard, once, by every client that was in the
room from before it was said until two seconds after its receipt, whichever pods were restarted
meanwhile. A client between two connections hears nothing, for there is no history; what it misses
is counted, and how long it was away.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import trio
from _brokers import broker_server
from _haproxy import balanced
from _report import machine, percentile, verdict
from _rolling_clients import Resident
from _rolling_pod import RollingPod

from deployd.tools.chaos.servers import free_port

PODS: Final = 3
CLIENTS: Final = 300
ROOMS: Final = 10
SPEAKERS: Final = 20
RATE: Final = 5.0
"""Events a second of each who speaks."""
DELIVERY: Final = 2.0
"""Seconds after its receipt within which an event must have been heard."""
PATIENCE: Final = 60.0


def main() -> int:
    """Restart all pods in turn, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=1, help="times that each pod is restarted")
    options = parser.parse_args()
    print(machine())
    with broker_server("nats") as (_, broker), running_pods(broker) as pods:
        port = free_port()
        with balanced(port, [pod.port for pod in pods]):
            return trio.run(restart_all, pods, port, options.clients, options.rounds)


@contextmanager
def running_pods(broker: dict[str, Any]) -> Iterator[list[RollingPod]]:
    """Start the pods; they are killed at the end."""
    settings = {
        "broker": {**broker, "policies": {"*": "buffer"}, "ready": "started", "linger": 0.0},
        "limits": {"messageRateLimit": 0, "byteRateLimit": 0},
        "drain": {
            "delay": 1.0, "window": 3.0, "deadline": 10.0,
            "retryAfterMin": 0.2, "retryAfterMax": 1.0,
        },
        "server": {"apiEnabled": False, "trustedProxies": ["127.0.0.1"]},
    }  # fmt: skip
    with ExitStack() as stack:
        pods = []
        for _ in range(PODS):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            pods.append(RollingPod(folder, settings))
            stack.callback(pods[-1].kill)
            pods[-1].start()
        yield pods


async def restart_all(pods: Sequence[RollingPod], port: int, count: int, rounds: int) -> int:
    """Let clients chat while one pod after the other is drained and started."""
    clients = [Resident(f"c{n}", f"room-{n % ROOMS}", port) for n in range(count)]
    drained = []
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.live)
        with trio.fail_after(PATIENCE):
            while not all(client.joined_at for client in clients):  # noqa: ASYNC110
                await trio.sleep(0.05)
        began = trio.current_time()
        async with trio.open_nursery() as speakers:
            for client in clients[:SPEAKERS]:
                speakers.start_soon(client.say, 10**9, 1 / RATE)
            await trio.sleep(2)
            for pod in list(pods) * rounds:
                drained.append(await trio.to_thread.run_sync(pod.drain))
                await trio.to_thread.run_sync(pod.start)
                await trio.sleep(2)
            speakers.cancel_scope.cancel()
        await trio.sleep(DELIVERY + 1)
        ended = trio.current_time()
        nursery.cancel_scope.cancel()
    return report(clients, drained, ended - began)


def report(clients: Sequence[Resident], drained: Sequence[float], seconds: float) -> int:
    """Judge the histories and print."""
    said = {event: (client, at) for client in clients for event, at in client.said.items()}
    scopes = Counter(
        client.receipts.get(event, ("none", 0.0))[0] for event, (client, _) in said.items()
    )
    owed = violations = missed = 0
    for event, (speaker, at) in said.items():
        scope, told = speaker.receipts.get(event, ("none", 0.0))
        if scope != "cluster":
            continue
        for client in clients:
            if client.room != speaker.room:
                continue
            covered = any(j <= at and told + DELIVERY <= left for j, left in client.stays)
            owed += covered
            violations += covered and event not in client.heard
            missed += not covered and event not in client.heard
    away = sorted(
        after[0] - before[1]
        for client in clients
        for before, after in zip(client.stays, client.stays[1:], strict=False)
    )
    endings = sum((client.endings for client in clients), Counter[str]())
    problems = sum((client.problems for client in clients), Counter[str]())
    twice = sum(client.twice for client in clients)
    lost = [client.name for client in clients if not client.stays]
    good = not violations and not twice and not lost and bool(away)
    print(
        f"{len(drained)} restarts in {seconds:.0f} s, {len(clients)} clients, "
        f"{len(said):,} events; a drain took {max(drained):.1f} s at most"
    )
    print(f"  receipts: {dict(scopes)}; problems told: {dict(problems)}")
    print(f"  connections ended: {dict(endings)}")
    if away:
        print(
            f"  away: p50 {percentile(away, 50):.2f} s, p99 {percentile(away, 99):.2f} s, "
            f"longest {away[-1]:.2f} s ({len(away)} times)"
        )
    print(f"  missed while away: {missed:,} deliveries; heard twice: {twice}")
    print(f"  owed {owed:,} deliveries, not made {violations}: {verdict(good)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
