"""What goes to the broker over one connection: packed, signed, and within its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from ...config import get_logger
from ...transport import BrokerUnavailable, MessagesRefused, MessageTooLarge
from ...transport.brokers import ENVELOPE_BYTES, EVENT_BYTES, MOST_EVENTS, SIGNATURE_BYTES
from ...transport.brokers.contract import Broker, Message
from .awake_timeout import AwakeTimeouts
from .handoff import Hint
from .link import Link
from .packing import Packer
from .publication import Publication

__all__ = ["Outbound"]

_log = get_logger("realtime")

OVERHEAD: Final = ENVELOPE_BYTES + EVENT_BYTES + 1024
"""Bytes of a message that are not an event's data: its envelope, and a long name."""


class Outbound:
    """Says things on a broker that is connected. `joined` is whether events share messages."""

    def __init__(
        self, link: Link, broker: Broker, timeouts: AwakeTimeouts, *, joined: bool
    ) -> None:
        self._link = link
        self.broker = broker
        self._timeouts = timeouts
        self._joined = joined
        self._look_at_the_limit()

    async def publish(
        self, publications: Sequence[Publication], *, replayed: bool = False
    ) -> tuple[list[Publication], list[Publication], list[Publication]]:
        """Hand events over; return what the broker took, what is too large for it, what it denies.

        Raises `BrokerError` when that is not certain.
        """
        denied: list[Publication] = []
        for _ in range(2):  # a limit may have been lowered since it was last looked at
            fit = [one for one in publications if self._packer.fits(one)]
            try:
                if fit:
                    packed = self._packer.pack(fit, replayed=replayed)
                    await self.say_in_time([message for message, _ in packed])
                break
            except MessagesRefused as error:
                denied = [one for index in error.indexes for one in packed[index][1]]
                _log.warning("the broker lets this pod not say events", reason=str(error))
                break
            except MessageTooLarge as error:
                if self.broker.max_payload >= self._limited_by:
                    raise BrokerUnavailable(
                        f"{self.broker.endpoint} confused us: {error}"
                    ) from error
                self._look_at_the_limit()
        else:
            raise BrokerUnavailable(f"{self.broker.endpoint} lowers its limit again and again.")
        if len(fit) == len(publications) and not denied:
            return fit, [], []
        taken = [one for one in fit if one not in denied] if denied else fit
        return taken, [one for one in publications if not self._packer.fits(one)], denied

    async def hand_on(self, hint: Hint, publications: Sequence[Publication]) -> int:
        """Say what an earlier life of this pod left; return how many the broker took."""
        packer = evolve(self._packer, origin=hint.origin, epoch=hint.epoch)
        fit = [one for one in publications if packer.fits(one)]
        for start in range(0, len(fit), MOST_EVENTS):
            packed = packer.pack(fit[start : start + MOST_EVENTS], replayed=True)
            await self.say_in_time([message for message, _ in packed])
        return len(fit)

    async def say_in_time(self, messages: Sequence[Message]) -> None:
        """Hand messages to the broker; raise `BrokerUnavailable` when it takes too long."""
        await self._timeouts.answer_of(self.broker, self.say(messages))

    async def say(self, messages: Sequence[Message]) -> None:
        """Hand messages to the broker: the one place where they are signed."""
        seal = self._link.seal
        if seal is not None:
            messages = [(channel, seal.sign(channel, payload)) for channel, payload in messages]
        await self.broker.publish(messages)

    def _look_at_the_limit(self) -> None:
        link, nbytes = self._link, self.broker.max_payload
        self._limited_by = nbytes
        if link.seal is not None:
            nbytes -= SIGNATURE_BYTES
        counts = link.acknowledgements.counts if link.settings.receipts else None
        self._packer = Packer(link.pod_id, link.epoch, nbytes, self._joined, counts)
        link.state.limit = nbytes - OVERHEAD
