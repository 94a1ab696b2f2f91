"""Who may have how much, how fast, and who is next. Pure: times are passed in."""

from .attempts import Attempts, network_of
from .seats import Seat, Seats
from .shares import NOBODY, POD, Asker, Grant, Shares, reserve_of, share_of
from .token_bucket import TokenBucket
from .turns import TooManyWaiting, Turns

__all__ = [
    "NOBODY",
    "POD",
    "Asker",
    "Attempts",
    "Grant",
    "Seat",
    "Seats",
    "Shares",
    "TokenBucket",
    "TooManyWaiting",
    "Turns",
    "network_of",
    "reserve_of",
    "share_of",
]
