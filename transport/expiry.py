"""When certificates end: of X.509 (RFC 5280 section 4.1) as much as tells that."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

__all__ = ["expires_at"]

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_VALIDITY: Final = 3
"""Its place among the fields, the version left out."""


def expires_at(pem: bytes) -> float | None:
    """Return when the first of a chain's certificates ends (unix seconds); None where none is one.

    A chain is worth nothing any more as soon as one of it has ended.
    """
    ends = list[float]()
    for found in _PEM.findall(pem.decode("ascii", "replace")):
        with suppress(ValueError, IndexError, StopIteration):
            ends.append(_end(ssl.PEM_cert_to_DER_cert(found)))
    return min(ends, default=None)


def _end(der: bytes) -> float:
    (_, certificate) = next(_items(der))
    (_, signed) = next(_items(certificate))
    fields = [content for tag, content in _items(signed) if tag != _VERSION]
    _, (tag, text) = _items(fields[_VALIDITY])
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what follows one another in DER: tags and contents."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        yield tag, der[at : at + length]
        at += length
