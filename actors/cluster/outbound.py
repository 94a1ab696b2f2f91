"""What goes to the broker over one connection: packed, signed, and within its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...transport import BrokerUnavailable, MessageTooLarge
from ...transport.brokers import ENVELOPE_BYTES, EVENT_BYTES, SIGNATURE_BYTES
from ...transport.brokers.contract import Broker, Message
from .awake_timeout import AwakeTimeouts
from .link import Link
from .packing import Packer
from .publication import Publication

__all__ = ["Outbound"]

OVERHEAD: Final = ENVELOPE_BYTES + EVENT_BYTES + 1024
"""Bytes of a message that are not an event's data: its envelope, and a long name."""


class Outbound:
    """Says things on a broker that is connected. `joined` is whether events share messages."""

    def __init__(
        self, link: Link, broker: Broker, timeouts: AwakeTimeouts, *, joined: bool
    ) -> None:
        self._link = link
        self._broker = broker
        self._timeouts = timeouts
        self._joined = joined
        self._look_at_the_limit()

    async def publish(
        self, publications: Sequence[Publication], *, replayed: bool = False
    ) -> tuple[list[Publication], list[Publication]]:
        """Hand events over; return those that the broker took, and those too large for it.

        Raises `BrokerError` when that is not certain.
        """
        for _ in range(2):  # a limit may have been lowered since it was last looked at
            fit = [one for one in publications if self._packer.fits(one)]
            try:
                if fit:
                    await self.say_in_time(self._packer.pack(fit, replayed=replayed))
                break
            except MessageTooLarge as error:
                if self._broker.max_payload >= self._limited_by:
                    raise BrokerUnavailable(
                        f"{self._broker.endpoint} confused us: {error}"
                    ) from error
                self._look_at_the_limit()
        else:
            raise BrokerUnavailable(f"{self._broker.endpoint} lowers its limit again and again.")
        if len(fit) == len(publications):
            return fit, []
        return fit, [one for one in publications if not self._packer.fits(one)]

    async def say_in_time(self, messages: Sequence[Message]) -> None:
        """Hand messages to the broker; raise `BrokerUnavailable` when it takes too long."""
        await self._timeouts.answer_of(self._broker, self.say(messages))

    async def say(self, messages: Sequence[Message]) -> None:
        """Hand messages to the broker: the one place where they are signed."""
        seal = self._link.seal
        if seal is not None:
            messages = [(channel, seal.sign(channel, payload)) for channel, payload in messages]
        await self._broker.publish(messages)

    def _look_at_the_limit(self) -> None:
        link, nbytes = self._link, self._broker.max_payload
        self._limited_by = nbytes
        if link.seal is not None:
            nbytes -= SIGNATURE_BYTES
        self._packer = Packer(link.pod_id, link.epoch, nbytes, self._joined)
        link.state.limit = nbytes - OVERHEAD
