"""From the settings to what makes a broker, one for each incarnation of the link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...config import BrokerSettings, ClassNotFound, load_class
from ..errors import BrokerImportError
from .bridge import Bridged
from .contract import Broker

__all__ = ["load_broker"]

MEMORY: Final = "memory"


def load_broker(settings: BrokerSettings, message_ttl: float) -> Callable[[], Broker] | None:
    """Return what makes the configured broker, or None for a pod that is alone.

    `message_ttl` is how long (seconds) a broker that keeps messages may keep one. The client
    libraries are imported when they are needed, for each takes a tenth of a second. Raises
    `BrokerImportError` when a class of one's own cannot be had.
    """
    if not settings.enabled or settings.type == MEMORY:
        return None
    if settings.type == "redis":
        from .redis import redis_driver

        return lambda: Bridged(redis_driver(settings.redis))
    if settings.type == "rabbitmq":
        from .rabbitmq import RabbitDriver

        return lambda: Bridged(RabbitDriver(settings.rabbitmq, message_ttl))
    if settings.type == "nats":
        from .nats import NatsDriver

        return lambda: Bridged(NatsDriver(settings.nats))
    return _own(settings)


def _own(settings: BrokerSettings) -> Callable[[], Broker]:
    called = "deployd.transport.brokers.Broker"
    try:
        own: type[Broker]
        own = load_class("broker.type", settings.type, Broker, called)  # type: ignore[type-abstract]
    except ClassNotFound as error:
        raise BrokerImportError(str(error)) from error
    return lambda: own.from_settings(settings)
