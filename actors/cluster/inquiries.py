"""Asking all pods for the rooms that they list, and answering those who ask.

A question goes to the channel that all hear, an answer to who asked. Neither is said again: who
has not answered in time is not waited for, and the one who asked says how many have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import orjson
import trio
from attrs import define, field

from ...config import get_logger
from ...transport import MessagesRefused, MessageTooLarge, TokenBucket
from ...transport.brokers import AskRooms, RoomAnswer, RoomEntry, RoomQuery, ask_rooms, room_answer
from ...transport.brokers.contract import EVERYONE, Message, pod_channel
from .membership import Peers

__all__ = ["Inquiries", "RoomsOf"]

MOST_ASKED: Final = 64
"""Questions of this pod, and of others, that may wait at a time; those beyond get no answer."""
SHARED: Final = 0.1
"""Seconds in which who asks the same waits for the same answers."""
ANSWERED: Final = 200.0
"""Questions of others that are answered a second: each looks through all rooms here."""

RoomsOf: TypeAlias = Callable[[RoomQuery], tuple[Sequence[RoomEntry], bool]]
"""What this pod lists, and whether there is more."""

_log = get_logger("realtime")


@define(eq=False)
class _Asking:
    """A question for whose answers somebody waits."""

    number: int
    began: float
    awaited: set[str]
    answers: dict[str, RoomAnswer] = field(factory=dict)
    waiting: int = 0
    done: trio.Event = field(factory=trio.Event)


class Inquiries:
    """Of one pod, over all its connections; `run` is for each of these. `clock` is steady s."""

    def __init__(self, pod_id: str, peers: Peers, clock: Callable[[], float]) -> None:
        self._pod_id = pod_id
        self._peers = peers
        self._clock = clock
        self._number = 0
        self._asking: dict[int, _Asking] = {}
        self._latest: dict[bytes, _Asking] = {}
        self._questions: list[AskRooms] = []
        self._asked: list[AskRooms] = []
        self._pace = TokenBucket(ANSWERED, ANSWERED, clock())
        self._wake = trio.Event()
        self._denied = 0

    async def ask(self, query: RoomQuery, timeout: float) -> Sequence[RoomAnswer]:
        """Return what the pods that are heard answer within `timeout` seconds."""
        key = orjson.dumps((query.pattern, query.where, query.after), option=orjson.OPT_SORT_KEYS)
        asking = self._latest.get(key)
        if asking is None or self._clock() - asking.began > SHARED:
            awaited = set(self._peers.heard)
            if not awaited or len(self._asking) >= MOST_ASKED:
                return []
            asking = self._begin(query, awaited)
            self._latest[key] = asking
        asking.waiting += 1
        try:
            with trio.move_on_after(timeout):
                await asking.done.wait()
        finally:
            asking.waiting -= 1
            if not asking.waiting:
                self._asking.pop(asking.number, None)
                if self._latest.get(key) is asking:
                    del self._latest[key]
        return list(asking.answers.values())

    def _begin(self, query: RoomQuery, awaited: set[str]) -> _Asking:
        self._number += 1
        asking = self._asking[self._number] = _Asking(self._number, self._clock(), awaited)
        self._questions.append(AskRooms(self._pod_id, asking.number, query))
        self._wake.set()
        return asking

    # What comes ----------------------------------------------------------------------------

    def hears(self, said: AskRooms | RoomAnswer) -> bool:
        """Take a question or an answer; False when it is of no pod that is known."""
        if said.origin == self._pod_id:
            return True  # its own question, on the channel that all hear
        if said.origin not in self._peers.known:
            return False
        if isinstance(said, RoomAnswer):
            self._note(said)
        elif len(self._asked) < MOST_ASKED and self._pace.take(self._clock()):
            self._asked.append(said)
            self._wake.set()
        return True

    def _note(self, answer: RoomAnswer) -> None:
        asking = self._asking.get(answer.number)
        if asking is None:
            return  # nobody waits for it any more
        asking.answers[answer.origin] = answer
        asking.awaited.discard(answer.origin)
        if not asking.awaited:
            asking.done.set()

    # The connection --------------------------------------------------------------------------

    async def run(
        self, say: Callable[[Sequence[Message]], Awaitable[None]], rooms_of: RoomsOf
    ) -> None:
        """Ask and answer until cancelled.

        `say` hands messages to the broker in time and raises `BrokerError`.
        """
        while True:
            questions, self._questions = self._questions, []
            asked, self._asked = self._asked, []
            messages = [(EVERYONE, ask_rooms(question)) for question in questions]
            for question in asked:
                answer = RoomAnswer(self._pod_id, question.number, *rooms_of(question.query))
                messages.append((pod_channel(question.origin), room_answer(answer)))
            if messages:
                await self._say(say, messages)
            await self._wake.wait()
            self._wake = trio.Event()

    def lost(self) -> None:
        """Wait for nobody any more: no answer comes over a link that is gone."""
        self._questions.clear()
        self._asked.clear()
        for asking in self._asking.values():
            asking.done.set()

    async def _say(
        self, say: Callable[[Sequence[Message]], Awaitable[None]], messages: Sequence[Message]
    ) -> None:
        try:
            await say(messages)
        except (MessagesRefused, MessageTooLarge) as error:
            # Who asked says how many have answered: no trouble of the link's.
            self._denied += 1
            if self._denied.bit_count() == 1:  # the first, and each time the number doubles
                _log.warning("the broker lets this pod not list rooms", reason=str(error))
