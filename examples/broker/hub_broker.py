"""A broker of one's own: pods that find each other through the hub of `hub.py`."""

from base64 import b64decode, b64encode
from collections.abc import Sequence

import trio
from hub import HOST, PORT, Wire

from deployd.config import BrokerSettings
from deployd.transport import BrokerUnavailable
from deployd.transport.brokers.contract import Broker, Channel, Inbox, Message, refuse_too_large


class HubBroker(Broker):
    """Says `sub C`, `unsub C` or `pub C DATA`, then `ok`; the hub's `ok` means: taken."""

    def __init__(self, host: str = HOST, port: str = str(PORT)) -> None:
        self._address, self.endpoint = (host, int(port)), f"{host}:{port}"
        self._wire = Wire()
        self._asked: list[trio.Event] = []

    @classmethod
    def from_settings(cls, settings: BrokerSettings) -> "HubBroker":  # noqa: D102 - see `Broker`
        return cls(**settings.options)

    async def connect(self, inbox: Inbox, nursery: trio.Nursery) -> None:  # noqa: D102
        if not await self._wire.connect(*self._address):
            raise BrokerUnavailable(f"No hub is at {self.endpoint}: start hub.py there.")
        nursery.start_soon(self._listen, inbox)

    async def _listen(self, inbox: Inbox) -> None:
        async for line in self._wire.lines():
            verb, *words = line.split(b" ")
            if verb == b"pub":
                inbox.deliver(words[0].decode(), b64decode(words[1]))
            else:
                self._asked.pop(0).set()
        if self._wire.open:  # else we have closed it ourselves
            inbox.lost(BrokerUnavailable(f"The hub at {self.endpoint} has gone."))

    async def subscribe(self, channels: Sequence[Channel]) -> None:  # noqa: D102
        await self._ask([f"sub {channel}".encode() for channel in channels])

    async def unsubscribe(self, channels: Sequence[Channel]) -> None:  # noqa: D102
        await self._ask([f"unsub {channel}".encode() for channel in channels])

    async def publish(self, batch: Sequence[Message]) -> None:  # noqa: D102
        refuse_too_large(batch, self.max_payload)
        await self._ask([f"pub {channel} ".encode() + b64encode(data) for channel, data in batch])

    async def close(self) -> None:  # noqa: D102
        await self._wire.close()

    async def _ask(self, requests: Sequence[bytes]) -> None:
        if not self._wire.open:
            raise BrokerUnavailable(f"{self.endpoint}: not connected.")
        self._asked.append(asked := trio.Event())
        await self._wire.send([*requests, b"ok"])
        await asked.wait()
