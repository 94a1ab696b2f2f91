"""Brokers that the tool starts, seen by drivers of pods: what is said on one, and heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from deployd.config.brokers import Nats, RabbitMQ, Redis
from deployd.tools.chaos.servers import Deployment, brokers
from deployd.transport import BrokerError
from deployd.transport.brokers.bridge.bridged import Bridged
from deployd.transport.brokers.contract import room_channel
from deployd.transport.brokers.nats.driver import NatsDriver
from deployd.transport.brokers.rabbitmq.driver import RabbitDriver
from deployd.transport.brokers.redis.driver import redis_driver

from .inboxes import Heard, hearing
from .servers import where_installed

__all__ = ["PLAIN", "Trouble", "linked", "refusal", "regained", "served", "started"]

PLAIN: Final = room_channel("plain")
COMES: Final = 20.0
"""Seconds until something comes about on a busy machine, once more."""


@attrs.frozen
class Trouble:
    """What scenarios call a fault, with all the details that any of them has."""

    name: str
    servers: tuple[int, ...] = (0,)
    pods: tuple[int, ...] = (0,)
    room: str = "plain"
    server: int = 0
    other: int = 1
    size: int = 2000
    of: str = "rooms"
    how: str = "replica"
    error: str = ""
    share: float = 0.5


@asynccontextmanager
async def started(
    kind: str, topology: str, folder: Path, count: int = 3
) -> AsyncIterator[Deployment]:
    """Start a broker, where it is installed."""
    with where_installed():
        async with brokers(kind, topology, count, folder) as deployment:
            yield deployment


def driver_of(settings: dict[str, Any]) -> Bridged:
    """Make a pod's driver with its section of settings."""
    kind = settings["type"]
    own: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings[kind].items()
    }
    if kind == "nats":
        return Bridged(NatsDriver(Nats(**own)))
    if kind == "redis":
        return Bridged(redis_driver(Redis(**own)))
    return Bridged(RabbitDriver(RabbitMQ(**own), 60))


@asynccontextmanager
async def linked(
    deployment: Deployment, pod: int, channels: Sequence[str] = (PLAIN,), **how: Any
) -> AsyncIterator[tuple[Bridged, Heard]]:
    """Be a pod's link that hears a room, or more."""
    async with hearing(driver_of(deployment.settings(pod, **how)), channels, COMES) as both:
        yield both


async def refusal(deployment: Deployment, pod: int) -> BrokerError:
    """Return why a pod does not get a link."""
    broker, heard = driver_of(deployment.settings(pod)), Heard()
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(COMES):
                await broker.connect(heard, nursery)
                await heard.until_lost(COMES)
        except BrokerError as error:
            return error
        finally:
            with trio.CancelScope(shield=True):
                await broker.close()
            nursery.cancel_scope.cancel()
    return heard.losses[0]


async def served(deployment: Deployment, speaker: int = 0, hearer: int = 1) -> None:
    """Return when what one pod says another hears, with links that are made for it."""
    with trio.fail_after(COMES):
        async with linked(deployment, speaker) as (broker, _), linked(deployment, hearer) as two:
            number = 0
            while not two[1].messages:  # NATS's servers tell each other late what is subscribed
                number += 1
                await broker.publish([(PLAIN, b"%d" % number)])
                with trio.move_on_after(0.1):
                    await two[1].until_heard(1)


async def regained(do: Callable[[], Any]) -> Any:
    """Try again until it is done, for a broker that comes back by and by."""
    with trio.fail_after(2 * COMES):
        while True:
            try:
                with trio.fail_after(COMES):
                    return await do()
            except* (BrokerError, trio.TooSlowError, OSError):
                await trio.sleep(0.1)
