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
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from ...config import Config
from .frames import deflated, payload_of
from .guard import FrameGuard

__all__ = ["DeflateGuard", "Deflater"]

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


class DeflateGuard(FrameGuard):
    """Judges frames and inflates messages, never to more bytes than a message may have."""

    name = "permessage-deflate"

    _inflater: zlib._Decompress | None = None  # while a compressed message comes in
    _inflated = _last_blocks = 0  # of that message

    def accept(self, offer: str) -> str | None:
        """Return what is agreed on, or None where an offer cannot be met (section 7.1)."""
        agreed = _answer(offer)
        self.deflates = self.deflates or agreed is not None
        return agreed

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Return the reserved bits that may be set: that of a message's first frame."""
        verdict = super().frame_inbound_header(proto, opcode, rsv, payload_length)
        if isinstance(verdict, CloseReason) or opcode is not self.expected or not self.deflates:
            return verdict
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if rsv.rsv1 else None
        self._inflated = self._last_blocks = 0
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Return the data inflated, or a close code."""
        if self._inflater is None or self.opcode.iscontrol():
            return data
        return self._inflate(self._inflater, data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Count the frame; after the last of a message return the rest of it."""
        verdict = super().frame_inbound_complete(proto, fin)
        if verdict is not None or self._inflater is None or self.opcode.iscontrol() or not fin:
            return verdict
        rest = self._inflate(self._inflater, _TAIL)
        self._inflater = None
        self.message_bytes = self._inflated
        return rest

    def _inflate(self, inflater: zlib._Decompress, data: bytes) -> bytes | CloseReason:
        room = self.max_message_bytes - self._inflated
        inflated = b""
        try:
            while data:
                inflated += inflater.decompress(data, room + 1 - len(inflated))
                if len(inflated) > room:
                    return self.too_big()
                data = inflater.unused_data  # behind a last block (section 7.2.3.4)
                if inflater.eof:
                    self._last_blocks += 1
                    self._inflater = inflater = zlib.decompressobj(-zlib.MAX_WBITS)
                if self._last_blocks > MOST_LAST_BLOCKS:
                    return self.refuse(CloseReason.POLICY_VIOLATION, "Deflate a message in one go.")
        except zlib.error:
            return self.refuse(CloseReason.INVALID_FRAME_PAYLOAD_DATA, "That is not deflated.")
        self._inflated += len(inflated)
        return inflated


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
