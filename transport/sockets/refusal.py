"""An error that ends a connection: the answer that says why, in one sentence."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import orjson
from attrs import frozen

__all__ = ["STATUSES", "Refusal", "http_date", "reason_of", "response_bytes"]

STATUSES: Final = (400, 403, 404, 408, 413, 421, 426, 429, 431, 500, 503, 505)
"""What connections are refused with."""


@frozen
class Refusal:
    """A request that is answered with an error and closed; `sentence` tells the remedy."""

    status: int
    sentence: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        """The name of the status in HTTP, as it is counted: `not_found`."""
        return reason_of(self.status)


def reason_of(status: int) -> str:
    """Return the name of a status in HTTP, as refusals are counted: `not_found`."""
    return HTTPStatus(status).name.lower()


def response_bytes(refusal: Refusal, *, only_head: bool = False) -> bytes:
    """Return the whole HTTP/1.1 response to a refused request; the connection closes after it.

    `only_head` is for a HEAD, whose answer has no body (RFC 9110 section 9.3.2).
    """
    body = orjson.dumps({"error": refusal.sentence})
    fields = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Date", http_date()),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
        *refusal.headers,
    )
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if only_head else head + body


class _Clock:
    """The time as HTTP writes it, written anew each second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def date(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


http_date = _Clock().date
"""Return the time of an answer (RFC 9110 section 6.6.1)."""
