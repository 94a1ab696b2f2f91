"""One client of many never reads: what the others notice, and what becomes of it.

The server says at a steady rate when each message was said; all processes of a machine share
that clock. The run with the deaf client and the one without alternate, and medians are compared.
"""

from __future__ import annotations

import selectors
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from _clients import Client, open_clients
from _dialects import DEPLOYD, ROOM
from _frames import CLOSE, TEXT, FrameReader
from _report import machine, percentile, quick, verdict
from _server import Server, raise_file_limit, running

CLIENTS = 500
RATE = 40
SIZE = 8_000
"""Enough to fill what the kernel holds for a deaf client (some 3 MB) before a run is over."""
PROMISED = 2.0
"""Times the p99 of the run in which everybody reads."""

Sample = tuple[float, int, int]


def main() -> int:
    """Measure, print, and return the exit code."""
    hasty = quick("What a client that never reads costs the others.")
    seconds, rounds = (14.0, 1) if hasty else (14.0, 2)
    raise_file_limit(2 * CLIENTS)
    print(machine())
    print(f"{CLIENTS} clients, {RATE} messages/s of {SIZE} bytes, {rounds} rounds of {seconds:g} s")
    runs: dict[bool, list[Sample]] = {False: [], True: []}
    for _ in range(rounds):
        for deaf in (False, True):
            runs[deaf].append(_run(seconds, deaf=deaf))
    p99 = {deaf: statistics.median(sample[0] for sample in done) for deaf, done in runs.items()}
    for deaf, done in runs.items():
        name = "one never reads" if deaf else "all read"
        lost, closed = sum(sample[1] for sample in done), sum(sample[2] for sample in done)
        print(
            f"{name:16} p99 of the others {p99[deaf]:8.2f} ms  lost {lost}  disconnected {closed}"
        )
    ratio = p99[True] / p99[False]
    print(f"\n{ratio:.2f} ×, promised at most {PROMISED:g} ×: {verdict(ratio <= PROMISED)}")
    whole = all(sample[1:] == (0, 0) for done in runs.values() for sample in done)
    return 0 if whole else 1


def _run(seconds: float, *, deaf: bool) -> Sample:
    """Return p99 in milliseconds, messages lost, and clients disconnected, of those who read."""
    with ExitStack() as stack:
        server = stack.enter_context(running(DEPLOYD.name))
        readers = stack.enter_context(
            open_clients(server.port, DEPLOYD, CLIENTS - int(deaf), room=ROOM)
        )
        asleep: Sequence[Client] = ()
        if deaf:  # with a small window, or the kernel would read for it for minutes
            asleep = stack.enter_context(
                open_clients(server.port, DEPLOYD, 1, room=ROOM, receive_buffer=4096)
            )
        sample = _listen(server, readers, seconds)
        for client in asleep:
            print(f"  the deaf one was closed with {_last_words(client)}")
        return sample


def _listen(server: Server, readers: list[Client], seconds: float) -> Sample:
    total = int(seconds * RATE)
    server.order("pace", first=0, seconds=seconds, rate=RATE, size=SIZE)
    taken: list[float] = []
    heard = dict.fromkeys(range(len(readers)), 0)
    gone: set[int] = set()
    with selectors.DefaultSelector() as selector:
        for number, client in enumerate(readers):
            client.sock.setblocking(False)
            selector.register(client.sock, selectors.EVENT_READ, (number, client))
        deadline = time.monotonic() + seconds + 5
        while time.monotonic() < deadline and len(taken) < total * (len(readers) - len(gone)):
            for key, _ in selector.select(timeout=0.1):
                number, client = key.data
                data = client.sock.recv(256 * 1024)
                if not data:
                    gone.add(number)
                    selector.unregister(client.sock)
                    continue
                heard[number] += _note(client.reader, data, taken)
    taken.sort()
    lost = sum(total - count for count in heard.values())
    return percentile(taken, 99), lost, len(gone)


def _note(reader: FrameReader, data: bytes, taken: list[float]) -> int:
    """Note how long each message took, and return how many there were."""
    now, count = time.monotonic_ns(), 0
    for frame in reader.feed(data):
        if frame.opcode == TEXT and b"@" in frame.payload:
            said = int(frame.payload.partition(b"@")[2].partition(b".")[0])
            taken.append((now - said) / 1e6)
            count += 1
    return count


def _last_words(client: Client) -> str:
    """Read what is left for the deaf client, to the close frame or the end."""
    client.sock.setblocking(True)
    client.sock.settimeout(5)
    try:
        while data := client.sock.recv(65536):
            for frame in client.reader.feed(data):
                if frame.opcode == CLOSE:
                    return str(frame.close_code)
    except OSError as error:
        return f"a reset ({error.strerror or error})"
    return "no close frame"


if __name__ == "__main__":
    sys.exit(main())
