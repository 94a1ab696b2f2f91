"""Channels: what rooms and pods are called on a broker.

A room's name may hold anything printable, and `*`, `>`, `.`, `#` and `{}` mean something to one
broker or another. On a channel only letters, digits, `_`, `-` and `=` occur: every other byte of
the name (UTF-8) is written `=XX`, as in MIME's quoted-printable, so that people can still read it.
Names that would become too long for AMQP's routing keys (255 bytes, the prefix included) are
hashed; envelopes carry the real name and receivers compare it.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

from .broker import Channel

__all__ = ["EVERYONE", "pod_channel", "room_channel"]

EVERYONE: Final[Channel] = "all.pods"
"""What every pod hears: emits to all clients, and what pods tell each other."""

_LONGEST: Final = 160
_SPECIAL: Final = re.compile(rb"[^A-Za-z0-9_-]")


@lru_cache(maxsize=16_384)
def room_channel(name: str | None) -> Channel:
    """Return the channel of a room: different for different names. None is everyone's."""
    if name is None:
        return EVERYONE
    raw = name.encode("utf-8", "surrogatepass")
    key = _SPECIAL.sub(lambda match: f"={match[0].hex().upper()}".encode(), raw).decode()
    # No key begins with `=-`: an escape is two hexadecimal digits.
    return f"room.{key if len(key) <= _LONGEST else '=-' + hashlib.sha256(raw).hexdigest()}"


def pod_channel(pod_id: str) -> Channel:
    """Return the channel that only this pod hears."""
    return f"pod.{room_channel(pod_id).partition('.')[2]}"
