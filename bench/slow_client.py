"""One client of many never reads: what the others notice, and what becomes of it.

The server says at a steady rate when each message was said; all processes of a machine share
that clock. The run with the deaf client and the one without alternate, and medians are compared.
Exits with 1 when anybody but the deaf client was closed, or that one was not, or anything was lost.
"""

from __future__ import annotations

import json
import math
import select
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from _clients import Client, open_clients
from _dialects import DEPLOYD, ROOM
from _frames import TEXT, FrameReader
from _report import machine, percentile, quick, verdict
from _server import Server, Settings, raise_file_limit, running
from attrs import frozen

CLIENTS = 500
RATE = 50
SIZE = 1_000
"""What the kernel and the pod hold for a deaf client is full after some 7 of 10 seconds."""

HASTE: Settings = {"limits.messageBufferSize": 32}
"""What makes it 3 of 4."""

GRACE = 5.0
"""Seconds after the last emit until what has not come counts as lost."""

READ_BYTES = 16 * 1024
"""What is read at a time: for larger pieces malloc would ask the kernel, each time."""

SLOW_CONSUMER = 4000
PROMISED = 2.0
"""Times the p99 of the run in which everybody reads."""


@frozen
class Run:
    """What those who read got: p99 in milliseconds, messages lost, and how many lost the pod.

    `closings` are the close codes of the clients that the pod says it closed.
    """

    deaf: bool
    p99: float
    lost: int
    disconnected: int
    closings: list[int]

    @property
    def good(self) -> bool:
        """Whether only the deaf client, if there was one, has noticed anything."""
        expected = [SLOW_CONSUMER] if self.deaf else []
        return self.lost == self.disconnected == 0 and self.closings == expected


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("What a client that never reads costs the others.")
    seconds, rounds = (4.0, 1) if hasty else (10.0, 2)
    raise_file_limit(2 * CLIENTS)
    print(machine())
    print(f"{CLIENTS} clients, {RATE} messages/s of {SIZE} bytes, {rounds} rounds of {seconds:g} s")
    order = (False, True) * rounds
    runs = [_run(seconds, HASTE if hasty else {}, deaf=deaf) for deaf in order]
    p99 = [_print([run for run in runs if run.deaf is deaf]) for deaf in (False, True)]
    ratio = p99[1] / p99[0]
    print(f"\n{ratio:.2f} ×, promised at most {PROMISED:g} ×: {verdict(ratio <= PROMISED)}")
    print(f"closed the deaf client and nobody else: {verdict(all(run.good for run in runs))}")
    return 0 if all(run.good for run in runs) else 1


def _print(runs: Sequence[Run]) -> float:
    p99 = statistics.median(run.p99 for run in runs)
    print(
        f"{'one never reads' if runs[0].deaf else 'all read':16}"
        f" p99 of the others {p99:8.2f} ms  lost {sum(run.lost for run in runs)}"
        f"  disconnected {sum(run.disconnected for run in runs)}"
        f"  close codes {[run.closings for run in runs]}"
    )
    return p99


def _run(seconds: float, settings: Settings, *, deaf: bool) -> Run:
    with ExitStack() as stack:
        server = stack.enter_context(running(DEPLOYD.name, settings))
        if deaf:
            stack.enter_context(open_clients(server.port, DEPLOYD, 1, room=ROOM, deaf=True))
        readers = stack.enter_context(open_clients(server.port, DEPLOYD, CLIENTS - deaf, room=ROOM))
        listeners = [_Listener(client) for client in readers]
        total = int(seconds * RATE)
        server.order("pace", first=0, seconds=seconds, rate=RATE, size=SIZE)
        _listen(listeners, total, time.monotonic() + seconds + GRACE)
        taken = sorted(each for listener in listeners for each in listener.taken)
        return Run(
            deaf=deaf,
            p99=percentile(taken, 99) if taken else math.inf,
            lost=total * len(listeners) - len(taken),
            disconnected=sum(not listener.open for listener in listeners),
            closings=_closings(server),
        )


class _Listener:
    """One client that reads: the milliseconds that each message took to it."""

    __slots__ = ("open", "reader", "sock", "taken")

    def __init__(self, client: Client) -> None:
        self.sock, self.reader = client.sock, FrameReader()
        self.taken: list[float] = []
        self.open = True

    def read(self) -> None:
        try:
            data = self.sock.recv(READ_BYTES)
        except ConnectionError:
            data = b""
        self.open = bool(data)
        now = time.monotonic_ns()
        for frame in self.reader.feed(data):
            if frame.opcode == TEXT and b"@" in frame.payload:
                said = int(frame.payload.partition(b"@")[2].partition(b".")[0])
                self.taken.append((now - said) / 1e6)


def _listen(listeners: Sequence[_Listener], total: int, deadline: float) -> None:
    """Read until everyone has heard everything, or time is up."""
    with select.epoll() as poll:
        waiting = {listener.sock.fileno(): listener for listener in listeners}
        for fd in waiting:
            poll.register(fd, select.EPOLLIN)
        while waiting and time.monotonic() < deadline:
            for fd, _ in poll.poll(max(0.0, deadline - time.monotonic())):
                listener = waiting[fd]
                listener.read()
                if not listener.open or len(listener.taken) == total:
                    poll.unregister(fd)
                    del waiting[fd]


def _closings(server: Server) -> list[int]:
    """Find in the pod's log whom it closed: a client that never reads cannot be told."""
    lines = (line for line in server.log().splitlines() if "closing a client" in line)
    return [json.loads(line)["code"] for line in lines]


if __name__ == "__main__":
    sys.exit(main())
