"""Who may have how much, how fast, and who is next. Pure: times are passed in."""

from .attempts import Attempts, network_of
from .connection_slots import ConnectionSlot, ConnectionSlots
from .fair_queue import FairQueue, TooManyWaiting
from .shares import NOBODY, POD, Asker, Grant, Shares, reserve_of, share_of
from .token_bucket import TokenBucket

__all__ = [
    "NOBODY",
    "POD",
    "Asker",
    "Attempts",
    "ConnectionSlot",
    "ConnectionSlots",
    "FairQueue",
    "Grant",
    "Shares",
    "TokenBucket",
    "TooManyWaiting",
    "network_of",
    "reserve_of",
    "share_of",
]
