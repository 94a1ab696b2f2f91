"""What the beats of many pods cost one that is served as operators serve it, on a real broker."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import attrs
import trio
from _brokers import broker_server

from deployd.actors.cluster.beat_maker import HEARD_AGAIN
from deployd.config import Broker as BrokerSettings
from deployd.transport import BrokerError
from deployd.transport.brokers import Beat, Signer, beat
from deployd.transport.brokers.contract import EVERYONE, Channel
from deployd.transport.brokers.loading import load_broker
from support.outages import STANDARD, broker_settings
from support.processes import serving

__all__ = ["served_beside"]

SETTLED: Final = 12.0
"""Seconds until a pod that begins has done what only begins, and knows the others."""
MEASURED: Final = 20.0
SECRET: Final = "a secret for the benches, of 32 bytes and more"


async def served_beside(kind: str, others: int, spread: float, *, signed: bool = False) -> float:
    """Return the processor time, a share of a core, of a pod beside so many that only beat.

    Nobody is connected to it. One connection speaks for all the others, within `spread` seconds
    from each full one on, which stands for their clocks.
    """
    secret = SECRET if signed else ""
    server: Any
    with broker_server(kind) as (server, where), tempfile.TemporaryDirectory() as folder:
        settings = broker_settings(kind, server, attrs.evolve(STANDARD, secret=secret))
        async with (
            serving(Path(folder), {"broker": {**where, "secret": secret}}) as pod,
            trio.open_nursery() as nursery,
        ):
            if others:
                nursery.start_soon(_beat_for, settings, others, spread)
            await trio.sleep(SETTLED)
            before, began = _processor_time(pod.pid), time.monotonic()
            await trio.sleep(MEASURED)
            used, seconds = _processor_time(pod.pid) - before, time.monotonic() - began
            nursery.cancel_scope.cancel()
    return used / seconds


class _Deaf:
    """An inbox of somebody who only speaks."""

    def deliver(self, channel: Channel, payload: bytes) -> None: ...

    def lost(self, error: BrokerError) -> None:
        raise error

    def unheard(self, channels: Sequence[Channel]) -> None: ...

    def full(self, resume: Callable[[], object]) -> bool:
        return False


async def _beat_for(settings: BrokerSettings, pods: int, spread: float) -> None:
    """Say a beat a second for each of so many pods."""
    make = load_broker(settings, 60.0)
    assert make is not None
    broker, epoch = make(), int(time.time() * 1000)
    names = tuple(f"{number:08x}" for number in range(pods))
    seals = [Signer.of(settings, name, epoch, time.time) for name in names]
    async with trio.open_nursery() as nursery:
        await broker.connect(_Deaf(), nursery)
        try:
            for number in count(1):
                full = trio.current_time() + 1 - time.time() % 1
                moments = sorted(random.uniform(0, spread) for _ in names)
                for name, seal, moment in zip(names, seals, moments, strict=True):
                    hears = names if number % HEARD_AGAIN == 1 else None
                    said = beat(Beat(name, epoch, "here", number, name=f"pod-{name}", hears=hears))
                    payload = said if seal is None else seal.sign(EVERYONE, said)
                    await trio.sleep_until(full + moment)
                    # Each has a connection of its own, and does not wait for the others.
                    nursery.start_soon(broker.publish, [(EVERYONE, payload)])
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()


def _processor_time(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
