"""The clients of a pod: their connections, what they may do, and at what rate."""

from .access import AccessPolicy, Listening
from .audience import Audience
from .connection import ConnectionActor, connection_cell
from .environment import ConnectionEnvironment
from .heartbeat import Heartbeat
from .notices import Notices

__all__ = [
    "AccessPolicy",
    "Audience",
    "ConnectionActor",
    "ConnectionEnvironment",
    "Heartbeat",
    "Listening",
    "Notices",
    "connection_cell",
]
