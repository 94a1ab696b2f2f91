"""Redis: one server, behind sentinels, or a cluster."""

from .driver import redis_driver

__all__ = [
    "redis_driver",
]
