"""Acknowledgements between pods: what was decided in `hearing` and `listening` is said and done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

import trio

from ...config import Broker as BrokerSettings
from ...config import PatternMap, ReceiptPolicy, get_logger
from ...transport import Event, InDoubt, MessagesRefused, MessageTooLarge, Scope
from ...transport.brokers import Acks, AskHeard, Envelope, Got, Noted, acks
from ...transport.brokers.contract import Message, pod_channel, room_channel
from .hearing import PATIENCE, Reached, Receipts, Tell, Waiting
from .listening import Listening
from .membership import Peers
from .publication import Settle
from .subscriptions import Subscriptions
from .unsaid import Unsaid

__all__ = ["Acknowledgements"]

TICK: Final = 0.25
"""Seconds between looks at who is awaited, as long as anybody is."""

_log = get_logger("realtime")


class Acknowledgements:
    """Of one pod, over all its connections; `run` is for each of these.

    `patience` is how long (seconds) an emit waits for other pods. `clock` is steady seconds.
    """

    def __init__(
        self,
        pod_id: str,
        settings: BrokerSettings,
        peers: Peers,
        subscriptions: Subscriptions,
        clock: Callable[[], float],
        patience: float = PATIENCE,
    ) -> None:
        self._pod_id = pod_id
        self._policies = PatternMap(settings.receipts)
        self._peers = peers
        self._clock = clock
        self._subscriptions = subscriptions
        self._receipts = Receipts(peers, patience)
        self._listening = Listening(peers, self.counts, self._attends)
        self._unsaid = Unsaid(pod_id)
        self._numbers: dict[str, int] = {}
        self._wake = trio.Event()
        self._noted: dict[str, trio.Event] = {}
        self._denied = 0

    def counts(self, room: str) -> bool:
        """Whether receipts of a room say who has heard."""
        return self._policies.match(room) is ReceiptPolicy.HEARD

    # Of what is said here --------------------------------------------------------------------

    def waiting(self, tell: Tell) -> tuple[Waiting, Settle]:
        """Return an emit that is to wait, and what learns how far the link has brought it."""
        waiting = Waiting(tell)
        return waiting, partial(self._taken, waiting)

    def begin(self, waiting: Waiting, room: str, number: int) -> None:
        """Have it wait: the link has it, under this number."""
        self._receipts.begin(waiting, room, number, self._clock())
        if self._receipts.asks:
            self._wake.set()

    def _taken(self, waiting: Waiting, link: Scope | InDoubt) -> None:
        self._settle(self._receipts.taken(waiting, link, self._clock()))

    # Of what others say ----------------------------------------------------------------------

    def wanted(self, envelope: Envelope, fresh: Sequence[Event]) -> None:
        """Note events of which a pod wants to know who hears them; say so where nobody does."""
        room, origin = envelope.room, envelope.origin
        if room is None or origin not in self._peers.known:
            return
        numbers = [event.sequence for event in fresh]
        if self._attends(room):
            self._listening.wants(origin, room, numbers)
        else:
            self._answer(origin, [AskHeard(room, min(numbers), max(numbers))])

    def told(self, room: str, events: Sequence[Event], members: int) -> None:
        """Note that a room has told events of other pods to so many members."""
        for pod, got in self._listening.told(room, events, members):
            self._unsaid.got(pod, got)
        self._look_soon()

    def hears(self, said: Acks) -> bool:
        """Take what another pod says of it; False when that is no pod that is known."""
        pod = said.origin
        if pod not in self._peers.known:
            return False
        if said.number <= self._numbers.get(pod, 0):
            return True  # it has come before
        self._remember(pod, said.number)
        self._settle(self._receipts.hears(said, self._clock()))
        for room in said.coming:
            self._unsaid.noted(pod, Noted(room, said.number))
        for room, number in said.noted:
            if self._listening.noted(pod, room, number):
                self._let_in(room)
        self._answer(pod, said.asked)
        self._look_soon()
        return True

    # Of who is in ----------------------------------------------------------------------------

    def enters(self, room: str) -> None:
        """Tell those who rely on it that a room's first member comes."""
        if self._listening.enters(room, self._clock()):
            self._wake.set()

    async def until_noted(self, room: str) -> None:
        """Return when they have noted that, or need not be waited for any more.

        Who has just come is not known to all of them, and has promised nothing: it waits until it
        is known.
        """
        while self._listening.owes(room, now := self._clock()) or self._receipts.is_strange(now):
            noted = self._noted.setdefault(room, trio.Event())
            with trio.move_on_after(TICK):
                await noted.wait()

    def entered(self, room: str) -> None:
        """Note that it is let in, or not."""
        self._listening.entered(room)
        self._noted.pop(room, None)

    def left(self, room: str) -> None:
        """Note that nobody is in a room any more."""
        self._listening.left(room)

    # The connection --------------------------------------------------------------------------

    async def run(self, say: Callable[[Sequence[Message]], Awaitable[None]]) -> None:
        """Say what is to be said, all of it together, and look after it until cancelled.

        `say` hands messages to the broker in time and raises `BrokerError`.
        """
        self._unsaid.clear()
        self._receipts.connected(self._clock())
        look_at = self._clock()
        while True:
            now = self._clock()
            if now >= look_at:
                look_at = now + TICK
                self._settle(self._receipts.look(now))
            for pod, room in self._listening.to_say(now):
                self._unsaid.coming(pod, room)
            for pod, questions in self._receipts.take_questions().items():
                self._unsaid.asked(pod, questions)
            await self._say(say)
            idle = self._receipts.idle and self._listening.idle
            with trio.move_on_at(float("inf") if idle else look_at):
                await self._wake.wait()
            self._wake = trio.Event()

    def lost(self) -> None:
        """Settle what waits: nobody is heard over a link that is gone."""
        self._unsaid.clear()
        self._settle(self._receipts.lost())

    # Inside ----------------------------------------------------------------------------------

    def _attends(self, room: str) -> bool:
        return self._subscriptions.wants(room_channel(room))

    def _answer(self, pod: str, asked: Iterable[AskHeard]) -> None:
        for question in asked:
            for line in self._listening.answer(pod, question):
                if isinstance(line, Got):
                    self._unsaid.got(pod, line)
                else:
                    self._unsaid.nobody(pod, line)
        self._look_soon()

    def _look_soon(self) -> None:
        if self._unsaid or self._receipts.asks:
            self._wake.set()

    def _let_in(self, room: str) -> None:
        noted = self._noted.pop(room, None)
        if noted is not None:
            noted.set()

    def _remember(self, pod: str, number: int) -> None:
        known = self._peers.known
        if len(self._numbers) > 2 * len(known):
            self._numbers = {one: n for one, n in self._numbers.items() if one in known}
        self._numbers[pod] = number

    @staticmethod
    def _settle(reached: Iterable[Reached]) -> None:
        for tell, outcome in reached:
            tell(outcome)

    async def _say(self, say: Callable[[Sequence[Message]], Awaitable[None]]) -> None:
        taken = self._unsaid.take()
        if not taken:
            return
        for pod, said in taken:
            for room in said.coming:
                self._listening.is_said(pod, room, said.number)
        try:
            await say([(pod_channel(pod), acks(said)) for pod, said in taken])
        except (MessagesRefused, MessageTooLarge) as error:
            # What is not said is asked for again: no trouble of the link's.
            self._denied += 1
            if self._denied.bit_count() == 1:  # the first, and each time the number doubles
                _log.warning("the broker lets this pod not acknowledge events", reason=str(error))
