"""permessage-deflate (RFC 7692): a large message is compressed once for all who take it.

Nobody's context is taken over, so a message is the same bytes for every client, and an idle
connection holds neither a compressor nor what it would remember: zlib's take some 300 KB a client.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from ...config import Config
from ..errors import FrameViolation
from ..protocols.close_codes import CloseCode
from .frames import deflated, payload_of

__all__ = ["Deflater", "Inflater", "agreed_deflate", "too_big"]

NAME: Final = "permessage-deflate"
WINDOW_BITS: Final = 12
"""Of what we send: 4 KiB. Clients may ask for as little; half of the gain is within it anyway."""
LEVEL: Final = 1
"""zlib's fastest: the loop stands still meanwhile."""
MOST_LAST_BLOCKS: Final = 8
"""Of one message: each makes a new inflater, and takes two bytes to send."""
_TAIL: Final = b"\x00\x00\xff\xff"  # of an empty block, which is left out (section 7.2.1)
_PARAMETER: Final = re.compile(
    r"(client_no_context_takeover|server_no_context_takeover)"
    r"|(client_max_window_bits)(?:=\"?(?:8|9|1[0-5])\"?)?"
    r"|(server_max_window_bits)=\"?(8|9|1[0-5])\"?"
)


@frozen
class Deflater:
    """Compresses messages of at least `threshold` bytes, for those whose sockets take it."""

    threshold: int

    @classmethod
    def of(cls, config: Config) -> Deflater | None:
        """Return what is configured: None where nothing is to be compressed."""
        if not config.performance.compression_enabled:
            return None
        return cls(config.network.compression_threshold)

    def pack(self, frames: Iterable[bytes]) -> bytes:
        """Return whole data frames joined, with those compressed that are large enough to gain."""
        return b"".join(map(self._packed, frames))

    def _packed(self, frame: bytes) -> bytes:
        payload = payload_of(frame)
        if len(payload) < self.threshold:
            return frame
        squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS)
        small = squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        packed = deflated(frame, small.removesuffix(_TAIL))
        return packed if len(packed) < len(frame) else frame


class Inflater:
    """Inflates one message, never to more bytes than it may have. Raises `FrameViolation`s."""

    __slots__ = ("_inflater", "_last_blocks", "_most", "inflated")

    def __init__(self, most: int) -> None:
        self._most = most
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._last_blocks = 0
        self.inflated = 0
        """Bytes so far."""

    def inflate(self, data: bytes) -> bytes:
        """Return the next part of the message."""
        room = self._most - self.inflated
        inflated = b""
        try:
            while data:
                inflated += self._inflater.decompress(data, room + 1 - len(inflated))
                if len(inflated) > room:
                    raise too_big(self._most)
                data = self._inflater.unused_data  # behind a last block (section 7.2.3.4)
                if self._inflater.eof:
                    self._last_blocks += 1
                    self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
                if self._last_blocks > MOST_LAST_BLOCKS:
                    raise FrameViolation(CloseCode.POLICY_VIOLATION, "Deflate a message in one go.")
        except zlib.error:
            raise FrameViolation(CloseCode.INVALID_PAYLOAD, "That is not deflated.") from None
        self.inflated += len(inflated)
        return inflated

    def end(self) -> bytes:
        """Return the last part of the message, whose last frame has come."""
        return self.inflate(_TAIL)


def too_big(most: int) -> FrameViolation:
    """Return what to raise for a message of more bytes than it may have."""
    return FrameViolation(CloseCode.MESSAGE_TOO_BIG, f"A message may have at most {most} bytes.")


def agreed_deflate(offers: Iterable[str]) -> str | None:
    """Return the first offer that can be met, as it is met: the client prefers it (section 7.1)."""
    for offer in offers:
        if offer.partition(";")[0].strip() == NAME:
            parameters = _answer(offer)
            if parameters is not None:
                return f"{NAME}; {parameters}"
    return None


def _answer(offer: str) -> str | None:
    names = set[str]()
    for text in offer.split(";")[1:]:
        parameter = _PARAMETER.fullmatch(text.strip())
        if parameter is None:
            return None
        name = parameter[1] or parameter[2] or parameter[3]
        if name in names or (parameter[4] and int(parameter[4]) < WINDOW_BITS):
            return None
        names.add(name)
    agreed = ["server_no_context_takeover", "client_no_context_takeover"]
    if "server_max_window_bits" in names:
        agreed.append(f"server_max_window_bits={WINDOW_BITS}")
    return "; ".join(agreed)
