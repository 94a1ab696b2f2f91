"""RabbitMQ."""

from .driver import RabbitDriver

__all__ = [
    "RabbitDriver",
]
