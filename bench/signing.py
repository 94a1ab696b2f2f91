"""What a signature costs: messages between pods packed, signed, proven, read and admitted.

    python bench/signing.py

One process, no broker: the pods' own work for each message alone. Events have some 115 bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson

from deployd.actors.cluster.reception import Reception
from deployd.transport.brokers import Envelope, Signer, pack, unpack
from deployd.transport.brokers.contract import room_channel

ROUNDS: Final = 7
EVENTS: Final = 20_000
TEXT: Final = orjson.dumps({"n": 1, "text": "x" * 90})
CHANNEL: Final = room_channel("tea")


def messages(size: int) -> list[bytes]:
    """Pack all events, so many in a message."""
    made = []
    for first in range(1, EVENTS + 1, size):
        events = [
            (n, f"9f3c21aa-{n}", "said", orjson.Fragment(TEXT), 1764072000.5 + n, 0, 0)
            for n in range(first, first + size)
        ]
        made.append(pack("9f3c21aa", 1764072000123, "tea", events))
    return made


def best(work: Callable[[], None]) -> float:
    """Return the seconds of the fastest round."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def read(payloads: list[bytes], reception: Reception) -> None:
    """Do what a hearing pod does without a secret."""
    for payload in payloads:
        message = unpack(payload)
        assert isinstance(message, Envelope)
        reception.admit(message)


def signer(pod: str) -> Signer:
    """Make the signer of a pod that all share the secret with."""
    return Signer(pod, 1764072000123, [b"s" * 32], 60.0, time.time)


def main() -> None:
    """Print a line for each size of message."""
    print("events  bytes  sign µs  prove µs  read µs  of an event  events/s  events/s signed")
    for size in (1, 16, 64, 1024):
        payloads = messages(size)
        count = len(payloads)

        def sign(payloads: list[bytes] = payloads) -> None:
            one = signer("one")
            for payload in payloads:
                one.sign(CHANNEL, payload)

        signing = best(sign)
        proving = []
        for _ in range(ROUNDS):
            one, other = signer("one"), signer("other")
            signed = [one.sign(CHANNEL, payload) for payload in payloads]
            began = time.perf_counter()
            for payload in signed:
                other.verify(CHANNEL, payload)
            proving.append(time.perf_counter() - began)
        reading = best(lambda payloads=payloads: read(payloads, Reception("me")))  # type: ignore[misc]
        cost = signing + min(proving)
        events = count * size
        print(
            f"{size:6} {len(payloads[0]):6} {signing / count * 1e6:8.2f} "
            f"{min(proving) / count * 1e6:9.2f} {reading / count * 1e6:8.1f} "
            f"{cost / events * 1e6:12.3f} {events / reading:9.0f} "
            f"{events / (reading + min(proving)):10.0f}"
        )


if __name__ == "__main__":
    main()
