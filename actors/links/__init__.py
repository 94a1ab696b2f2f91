"""The link to the other pods: what rooms say to it, what it does while it is broken."""

from .breaker import Breaker, BreakerState
from .inbound import Listeners
from .link import LinkActor
from .notices import Notices
from .outage import DEGRADED, HEALED, Degraded, Healed, OutageCode
from .parcel import CHARACTER, Settle, weight
from .uplink import Uplink

__all__ = [
    "CHARACTER",
    "DEGRADED",
    "HEALED",
    "Breaker",
    "BreakerState",
    "Degraded",
    "Healed",
    "LinkActor",
    "Listeners",
    "Notices",
    "OutageCode",
    "Settle",
    "Uplink",
    "weight",
]
