"""The clients of a pod: their connections, what they may do, and at what rate."""

from .access import AccessPolicy, Listening
from .audience import Audience
from .backpressure import Backpressure
from .connection import ConnectionActor, connection_cell
from .environment import ConnectionEnvironment
from .heartbeat import Heartbeat
from .http_rates import HttpRates
from .lobby import Lobby
from .notices import Notices
from .publisher import Publisher
from .session import Session
from .socket import RulesChanged

__all__ = [
    "AccessPolicy",
    "Audience",
    "Backpressure",
    "ConnectionActor",
    "ConnectionEnvironment",
    "Heartbeat",
    "HttpRates",
    "Listening",
    "Lobby",
    "Notices",
    "Publisher",
    "RulesChanged",
    "Session",
    "connection_cell",
]
