"""NATS, one server or a cluster."""

from .driver import NatsDriver

__all__ = [
    "NatsDriver",
]
