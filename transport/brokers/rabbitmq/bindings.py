"""What a pod hears on RabbitMQ: exchanges that are declared, and its queue's bindings to them.

All requests go over a channel of their own, one at a time: the server closes it for what it
refuses, and then it is opened again. The queue belongs to the connection and never notices. Only
when it moves (`Renewals`) the channel that consumes asks: what it lets go and takes is in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from aiormq import spec
from pamqp.base import Frame

from ...errors import BrokerUnavailable
from ..bridge import Lock
from ..contract import Channel
from .client import ConsumingChannel, RabbitConnection, RequestChannel
from .errors import LIBRARY_ERRORS
from .topology import Topology, kind_of
from .troubles import Denied, Missing, trouble_of

__all__ = ["Bindings", "ExchangeDenied"]

_REQUESTS: Final = 256
"""Requests that are sent before answers are read."""

_TRIES: Final = 3
"""Times that a deleted exchange is declared again in one call: somebody else may delete it."""


class ExchangeDenied(Exception):
    """The server does not let this user do what was asked with the exchange of a kind."""

    def __init__(self, kind: str, reason: BaseException) -> None:
        super().__init__(kind)
        self.kind = kind
        self.reason = reason


class Bindings:
    """The bindings of the queue. `unheard` learns of channels that were deaf, and are not now."""

    def __init__(
        self,
        connection: RabbitConnection,
        topology: Topology,
        unheard: Callable[[Sequence[Channel]], None],
    ) -> None:
        self._connection = connection
        self._topology = topology
        self._unheard = unheard
        self._channel: RequestChannel | None = None
        self._declared: set[str] = set()
        self._bound: set[Channel] = set()
        self._changing, self._asking = Lock(), Lock()

    def __contains__(self, channel: Channel | None) -> bool:
        return channel in self._bound

    @property
    def reason(self) -> BaseException | None:
        """Why the server has closed the channel of requests, or None."""
        return None if self._channel is None else self._channel.reason

    async def add(self, channels: Sequence[Channel], again: bool = False) -> list[ExchangeDenied]:
        """Bind the queue, and wait until it is; `again` also where it should be bound already.

        Returns what the server denies; nothing of those kinds is bound.
        """
        denied: list[ExchangeDenied] = []
        async with self._changing:
            wanted = dict.fromkeys(channels)
            for kind, group in _by_kind(wanted if again else self._new(wanted)).items():
                if again:
                    self._declared.discard(kind)
                new = self._new(group)
                # From now on, for what was published meanwhile may arrive before the answer does.
                self._bound.update(new)
                try:
                    await self._bind(kind, group)
                except ExchangeDenied as error:
                    self._bound.difference_update(new)
                    denied.append(error)
        return denied

    async def remove(self, channels: Sequence[Channel]) -> None:
        """Unbind the queue, and wait until it is."""
        async with self._changing:
            old = [channel for channel in dict.fromkeys(channels) if channel in self._bound]
            self._bound.difference_update(old)
            for kind, group in _by_kind(old).items():
                binding = self._topology.binding
                try:
                    await self._ask(kind, [spec.Queue.Unbind(**binding(each)) for each in group])
                except _ExchangeMissing:
                    continue  # with it went its bindings
                except ExchangeDenied:
                    continue  # what still comes is dropped

    async def move(
        self, consuming: ConsumingChannel, until_said: Callable[[str], Awaitable[None]]
    ) -> None:
        """Have another queue take the place of the one that is bound, with what it is bound to.

        `until_said` says the last word to the old one, and waits until it has come.
        """
        async with self._changing:
            succession = self._topology.successors(sorted(self._bound))
            frames = succession.prepare
            for start in range(0, len(frames), _REQUESTS):
                await consuming.request(frames[start : start + _REQUESTS])
            await until_said(succession.last_word)
            await consuming.request(succession.take_over)

    async def declare(self, kinds: Iterable[str]) -> None:
        """Declare the exchanges of these kinds, where it was not done; raises `ExchangeDenied`."""
        for kind in kinds:
            if kind not in self._declared:
                await self._ask(kind, [])

    async def restore(self, kind: str) -> None:
        """Declare a deleted exchange again, and bind what was bound to it."""
        async with self._changing:
            await self._restore(kind, ())

    def _new(self, channels: Iterable[Channel]) -> list[Channel]:
        return [channel for channel in channels if channel not in self._bound]

    async def _bind(self, kind: str, channels: Sequence[Channel]) -> None:
        try:
            await self._ask(kind, self._binds(channels))
        except _ExchangeMissing:
            await self._restore(kind, channels)

    async def _restore(self, kind: str, new: Sequence[Channel]) -> None:
        lost = [channel for channel in self._bound if kind_of(channel) == kind]
        for _ in range(_TRIES):
            self._declared.discard(kind)
            try:
                await self._ask(kind, self._binds(lost))
            except _ExchangeMissing:
                continue
            deaf = set(lost).difference(new)
            if deaf:
                self._unheard(sorted(deaf))
            return
        where = self._topology.exchange(kind)["exchange"]
        raise BrokerUnavailable(f"Somebody deletes the exchange {where} again and again.")

    def _binds(self, channels: Iterable[Channel]) -> list[Frame]:
        return [spec.Queue.Bind(**self._topology.binding(channel)) for channel in channels]

    async def _ask(self, kind: str, frames: Sequence[Frame]) -> None:
        """Declare the kind's exchange where that was not done, and make requests of it.

        Raises `ExchangeDenied`, `_ExchangeMissing`, and what the library does.
        """
        async with self._asking:
            channel = await self._opened()
            try:
                if kind not in self._declared:
                    declare = spec.Exchange.Declare(**self._topology.exchange(kind))
                    await channel.request([declare])
                    self._declared.add(kind)
                for start in range(0, len(frames), _REQUESTS):
                    await channel.request(frames[start : start + _REQUESTS])
            except LIBRARY_ERRORS as error:
                reason = channel.reason
                trouble = trouble_of(reason)
                if trouble is not None:
                    self._channel = None  # its reason explains nothing that comes later
                match trouble:
                    case Missing():
                        raise _ExchangeMissing from error
                    case Denied():
                        raise ExchangeDenied(kind, reason or error) from error
                raise

    async def _opened(self) -> RequestChannel:
        if self._channel is None or not self._channel.is_good:
            self._channel = RequestChannel(self._connection)
            await self._channel.open()
        return self._channel


class _ExchangeMissing(Exception):
    """Somebody has deleted the exchange that was asked for."""


def _by_kind(channels: Iterable[Channel]) -> dict[str, list[Channel]]:
    kinds: dict[str, list[Channel]] = {}
    for channel in channels:
        kinds.setdefault(kind_of(channel), []).append(channel)
    return kinds
