"""What a stress test does: how many clients, how much they say, for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import attrs

from ...config import redact_text
from ..common import BadAddress

__all__ = ["ARRIVAL", "LAST_WORDS", "OVERTIME", "Plan"]

ARRIVAL: Final = 40.0
"""Seconds for all clients to get into their rooms."""
OVERTIME: Final = 5.0
"""Seconds after the schedule's end for what could not be sent when it was due."""
LAST_WORDS: Final = 3.0
"""Seconds that deliveries may take after the last message."""


@attrs.frozen
class Plan:
    """A stress test. `rate` is messages a second of all clients together, `duration` seconds.

    Clients are spread over `rooms` evenly; each message is of `size` bytes and goes to the room
    of who says it. `token` signs them in, empty is nobody. `arrival` are the seconds in which they
    have to get into their rooms; what comes after begins without those who have not.
    """

    url: str
    connections: int = 100
    rate: float = 100.0
    duration: float = 30.0
    rooms: int = 10
    size: int = 64
    token: str = attrs.field(default="", repr=False)
    prefix: str = "stress"
    arrival: float = ARRIVAL

    @property
    def longest(self) -> float:
        """Seconds within which the test ends, whatever the pod does or leaves undone."""
        return self.arrival + self.duration + OVERTIME + LAST_WORDS

    @property
    def messages(self) -> int:
        """How many messages are said in all."""
        return int(self.rate * self.duration)

    @property
    def shown_url(self) -> str:
        """The URL without what it carries of secrets: reports are shown to others."""
        return redact_text(self.url)

    @property
    def endpoint(self) -> tuple[str, int, bool]:
        """Where the WebSocket is: host, port, whether it is encrypted. Raises `BadAddress`."""
        try:
            parts = urlsplit(self.url if "://" in self.url else f"ws://{self.url}")
            port = parts.port
        except ValueError:
            raise BadAddress(f"{self.shown_url} is no URL; write ws://HOST:PORT.") from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            raise BadAddress(f"{self.shown_url} is not the URL of a pod; write ws://HOST:PORT.")
        encrypted = parts.scheme in ("wss", "https")
        return parts.hostname, port or (443 if encrypted else 80), encrypted

    @property
    def host(self) -> str:
        """What the header Host says (RFC 9110, section 7.2)."""
        name, port, _ = self.endpoint
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"

    def room(self, client: int) -> str:
        """Return the room of a client, by its number."""
        return f"{self.prefix}-{client % self.rooms}"

    def schedule(self) -> Iterator[tuple[float, int]]:
        """Yield when each message is due, in seconds from the start, and whose turn it is."""
        for number in range(self.messages):
            yield number / self.rate, number % self.connections
