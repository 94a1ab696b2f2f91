"""Messages as AMQP's frames, and the confirms that come back."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from aio_pika import DeliveryMode
from aiormq import spec
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from ..bridge import Future

__all__ = ["NotTaken", "Publication", "Publications"]

Publication: TypeAlias = tuple[str, str, bytes]
"""Exchange, routing key and payload."""

_BODY: Final = 3
_END: Final = b"\xce"


class NotTaken(Exception):
    """The server has refused a message (basic.nack)."""


class Publications:
    """The messages of one channel: numbered from 1, confirmed by number.

    A batch's future is done when its last number is confirmed, in whatever order they are.
    """

    def __init__(self, channel: int, frame_size: int) -> None:
        self._channel = channel
        self._frame_size = frame_size
        self._last = 0
        self._waiting: OrderedDict[int, _UnconfirmedBatch] = OrderedDict()

    def written(self, publications: Sequence[Publication], confirmed: Future[None]) -> bytes:
        """Give the messages their numbers, and return their bytes."""
        batch = _UnconfirmedBatch(len(publications), confirmed)
        for tag in range(self._last + 1, self._last + 1 + len(publications)):
            self._waiting[tag] = batch
        self._last += len(publications)
        return b"".join(part for publication in publications for part in self._frames(publication))

    def confirm(self, tag: int, multiple: bool, taken: bool) -> None:
        """Note what the server says of a message, or of all up to it."""
        if not multiple:
            batch = self._waiting.pop(tag, None)
            if batch is not None:
                batch.confirm(taken)
            return
        # A server that says 0 means all; the oldest are the first.
        while self._waiting and (not tag or next(iter(self._waiting)) <= tag):
            self._waiting.popitem(last=False)[1].confirm(taken)

    def _frames(self, publication: Publication) -> Iterator[bytes]:
        exchange, key, payload = publication
        yield _method(self._channel, exchange, key)
        yield _header(self._channel, len(payload))
        for start in range(0, len(payload), self._frame_size):
            part = payload[start : start + self._frame_size]
            yield struct.pack(">BHI", _BODY, self._channel, len(part))
            yield part
            yield _END


class _UnconfirmedBatch:
    def __init__(self, missing: int, confirmed: Future[None]) -> None:
        self._missing = missing
        self._confirmed = confirmed

    def confirm(self, taken: bool) -> None:
        self._missing -= 1
        if self._confirmed.done():
            return
        if not taken:
            self._confirmed.set_exception(NotTaken())
        elif not self._missing:
            self._confirmed.set_result(None)


@lru_cache(maxsize=4096)
def _method(channel: int, exchange: str, key: str) -> bytes:
    return bytes(marshal(spec.Basic.Publish(exchange=exchange, routing_key=key), channel))


@lru_cache(maxsize=1024)
def _header(channel: int, nbytes: int) -> bytes:
    properties = spec.Basic.Properties(delivery_mode=DeliveryMode.NOT_PERSISTENT.value)
    return bytes(marshal(ContentHeader(properties=properties, body_size=nbytes), channel))
