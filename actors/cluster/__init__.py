"""The link to the other pods: what is said to them, what comes, and what becomes of both."""

from .actor import LinkActor
from .breaker import Breaker, BreakerState
from .inbound import Listeners
from .link import Link
from .outage import DEGRADED, HEALED, Degraded, Healed, OutageCode
from .publication import CHARACTER, Settle, weight
from .uplink import Uplink

__all__ = [
    "CHARACTER",
    "DEGRADED",
    "HEALED",
    "Breaker",
    "BreakerState",
    "Degraded",
    "Healed",
    "Link",
    "LinkActor",
    "Listeners",
    "OutageCode",
    "Settle",
    "Uplink",
    "weight",
]
