"""Why a server closes a channel, where the rest of the connection is well: pure.

AMQP answers what it refuses with the end of the channel, never of the request alone. These are the
refusals that are the fault of one exchange or one message; whatever else it says is the link's.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused
from attrs import frozen

__all__ = ["Denied", "Missing", "TooLarge", "Trouble", "trouble_of"]

_EXCHANGE: Final = re.compile(r"exchange '([^']*)'")
_LIMIT: Final = re.compile(r"message size \d+ is larger than\D+(\d+)")


@frozen
class Missing:
    """404: somebody has deleted the exchange, and with it all that was bound to it."""

    exchange: str


@frozen
class Denied:
    """403: the user may not write to the exchange, read from it or declare it."""

    exchange: str


@frozen
class TooLarge:
    """406: a message is above the server's `max_message_size` (bytes)."""

    limit: int


Trouble: TypeAlias = Missing | Denied | TooLarge


def trouble_of(reason: BaseException | None) -> Trouble | None:
    """Return whose trouble it is that a channel was closed; None when it is the link's."""
    said = str(reason.args[-1]) if reason is not None and reason.args else ""
    if isinstance(reason, ChannelPreconditionFailed):
        limit = _LIMIT.search(said)
        return TooLarge(int(limit[1])) if limit else None
    exchange = _EXCHANGE.search(said)
    if exchange is None:
        return None
    if isinstance(reason, ChannelNotFoundEntity):
        return Missing(exchange[1])
    return Denied(exchange[1]) if isinstance(reason, ChannelAccessRefused) else None
