"""A thundering herd: a pod dies with thousands of clients, comes back, and all of them want in.

Each client does what the system's own does: it waits `retry_after` where it was told one, and
otherwise backs off with full jitter. What must not happen is a handshake that fails, once the pod
is up, without a word of when to try again.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import time
from collections import Counter
from typing import Final

import trio
from _dialects import DEPLOYD
from _frames import retry_after, upgrade_request
from _report import machine, percentile, verdict
from _server import raise_file_limit, running
from attrs import field, mutable

CLIENTS: Final = 5_000
PATIENCE: Final = 120.0
"""Seconds after which a client is given up."""
BACKOFF: Final = (0.5, 20.0)
"""Seconds: the first wait at most, and the longest."""
GREETING: Final = b'"type":"connect"'


@mutable
class Herd:
    """What happened: attempts by outcome, and when each client was in again (seconds)."""

    outcomes: Counter[str] = field(factory=Counter)
    back: list[float] = field(factory=list)
    untold: Counter[str] = field(factory=Counter)


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rate", type=float, nargs="*", default=[500.0, 1000.0, 0.0])
    options = parser.parse_args()
    raise_file_limit(options.clients)
    print(machine())
    good = True
    for rate in options.rate:
        good = stampede(options.clients, rate) and good
    return 0 if good else 1


def stampede(count: int, rate: float) -> bool:
    """Connect all, kill the pod, start it again, and wait until all are back."""
    settings = {"limits.acceptRate": rate, "limits.acceptBurst": max(1, int(rate))}
    with running(DEPLOYD.name, {"limits.acceptRate": 0.0}) as first:
        port = first.port
        socks = trio.run(gather, port, count)
    for sock in socks:
        sock.close()
    began = time.monotonic()
    with running(DEPLOYD.name, {**settings, "server.port": port}) as server:
        up = time.monotonic()
        herd = trio.run(come_back, port, count)
        cpu = server.cpu
    back = sorted(moment - up for moment in herd.back)
    complete = len(back) == count and not herd.untold
    limit = f"{rate:g}/s" if rate else "no limit"
    print(f"\nacceptRate {limit}: {count:,} clients, the pod was up again after {up - began:.1f} s")
    if back:
        print(
            f"  back {len(back):,}: half in {percentile(back, 50):.2f} s, 99 % in "
            f"{percentile(back, 99):.2f} s, all in {back[-1]:.2f} s; processor {cpu:.1f} s"
        )
    told = ", ".join(f"{name} {n:,}" for name, n in sorted(herd.outcomes.items()))
    print(f"  attempts: {told}")
    print(f"  failed without a word: {dict(herd.untold)}: {verdict(complete)}")
    return complete


async def gather(port: int, count: int) -> list[socket.socket]:
    """Connect so many clients, a few hundred at a time."""
    herd, limit = Herd(), trio.CapacityLimiter(200)
    socks: list[socket.socket] = []

    async def one() -> None:
        async with limit:
            stream = await attempt(port, herd)
            assert isinstance(stream, trio.SocketStream), herd
            socks.append(socket.socket(fileno=os.dup(stream.socket.fileno())))
            stream.socket.close()

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return socks


async def come_back(port: int, count: int) -> Herd:
    """Let all come at once, and again, until each is in."""
    herd = Herd()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(persist, port, herd)
    return herd


async def persist(port: int, herd: Herd) -> None:
    """Try until the pod has greeted us; then stay until all others are in."""
    tries = 0
    with trio.move_on_after(PATIENCE):
        while True:
            outcome = await attempt(port, herd)
            if isinstance(outcome, trio.SocketStream):
                herd.back.append(time.monotonic())
                STAYING.append(outcome)
                return
            tries += 1
            longest = min(BACKOFF[1], BACKOFF[0] * 2**tries)
            await trio.sleep(outcome + random.random() if outcome else random.uniform(0, longest))


STAYING: list[trio.SocketStream] = []


async def attempt(port: int, herd: Herd) -> trio.SocketStream | float:
    """Try once; return the connection, or the seconds that we were told to wait, or 0."""
    kind = "timeout"
    try:
        with trio.move_on_after(15):
            kind, result = await handshake(port)
            if isinstance(result, trio.SocketStream):
                herd.outcomes[kind] += 1
                return result
            if result:
                herd.outcomes[kind] += 1
                return result
    except ConnectionRefusedError:
        herd.outcomes["refused while down"] += 1
        return 0.0
    except (OSError, trio.BrokenResourceError) as error:
        kind = type(error.__cause__ or error).__name__
    herd.outcomes[kind] += 1
    herd.untold[kind] += 1
    return 0.0


async def handshake(port: int) -> tuple[str, trio.SocketStream | float]:
    """Connect and ask; return the outcome, and the connection or the seconds to wait."""
    sock = trio.socket.socket()
    try:
        await sock.connect(("127.0.0.1", port))
        stream = trio.SocketStream(sock)
        await stream.send_all(upgrade_request(DEPLOYD.target, port))
        heard = b""
        while GREETING not in heard:
            data = await stream.receive_some(4096)
            heard += data
            if not data:
                break
    except BaseException:
        sock.close()
        raise
    status = heard[9:12].decode()
    if GREETING in heard:
        return "in", stream
    sock.close()
    wait = retry_after(heard)
    return f"{status or 'nothing'} {'with' if wait else 'without'} Retry-After", wait


if __name__ == "__main__":
    sys.exit(main())
