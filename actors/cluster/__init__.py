"""The link to the other pods: what is said to them, what comes, and what becomes of both."""

from ...transport.protocols import DEGRADED, HEALED, Degraded, Gap, Healed, OutageCode
from .actor import LinkActor
from .breaker import Breaker, BreakerState
from .handoff import Handoff, Hint, read_hints, write_hints
from .hearing import Tell
from .inbound import Listeners
from .link import About, Link
from .publication import CHARACTER, Settle, weight
from .uplink import Uplink

__all__ = [
    "CHARACTER",
    "DEGRADED",
    "HEALED",
    "About",
    "Breaker",
    "BreakerState",
    "Degraded",
    "Gap",
    "Handoff",
    "Healed",
    "Hint",
    "Link",
    "LinkActor",
    "Listeners",
    "OutageCode",
    "Settle",
    "Tell",
    "Uplink",
    "read_hints",
    "weight",
    "write_hints",
]
