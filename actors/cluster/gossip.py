"""What pods say of themselves over one connection, and what they do about what they hear."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from ...config import get_logger
from ...transport import MessagesRefused
from ...transport.brokers import (
    AskEcho,
    AskSince,
    Beat,
    Mark,
    ask_since,
    beat,
    probe,
)
from ...transport.brokers.contract import EVERYONE, Channel, Message, pod_channel, room_channel
from .beat_maker import BeatMaker, MarkedBeat
from .effects import perform, write_down_name
from .inbound import Listeners
from .link import Link
from .pace import until_next
from .sequences import Hole
from .witnesses import witnesses

__all__ = ["Gossip"]

FIRST_HELLO: Final = 0.05
"""Seconds, doubled each time, after which a pod that nobody answers says hello again."""
HELLO_AGAIN: Final = 0.5
"""Seconds after which a pod whose words wait for others says hello again."""
LISTENED: Final = 1.25
"""Seconds after which a pod that nobody answers is alone: the others beat once in them."""
TICK: Final = 0.25
"""Seconds between looks at who is silent and what is missing."""
RENEWED: Final = 2.5
"""Seconds after which a pod that misses others makes anew what it hears all by."""
MOST_ASKED: Final = 64
"""Questions of other pods that may wait for their answer; those beyond are asked again."""
MOST_ECHOED: Final = 1000
"""Probes that a pod says for others between two looks."""

_log = get_logger("realtime")

Say = Callable[[Sequence[Message]], Awaitable[None]]


class Gossip:
    """Says beats, answers questions, looks after the subscriptions: of one connection.

    `say` hands messages to the broker in time, `renew` makes subscriptions anew; both raise
    `BrokerError`. `node` is the broker's server that this pod is with.
    """

    def __init__(
        self,
        link: Link,
        listeners: Listeners,
        say: Say,
        renew: Callable[[Sequence[Channel]], Awaitable[None]],
        node: str,
    ) -> None:
        self._link = link
        self._listeners = listeners
        self._say = say
        self._renew = renew
        self._asked: list[AskSince | AskEcho] = []
        self._questions: list[AskSince] = []
        self._echoed = self._denied = 0
        self._renew_at = 0.0
        self._counted: frozenset[str] | None = None
        self._beats = BeatMaker(link, node)
        self._wake = trio.Event()
        self._news = trio.Event()
        self._reunited = trio.Event()
        self._all_proven = trio.Event()

    # What comes ----------------------------------------------------------------------------

    def hears(self, said: Beat, channel: Channel) -> None:
        """Take a beat, of whomever."""
        link, state = self._link, self._link.state
        now, wall = link.clock(), link.wall()
        answers = channel == pod_channel(link.pod_id)
        news = state.peers.note(said, now, wall, answers=answers)
        if state.peers.owed or (news is not None and news.came):
            self._wake.set()
            self._news.set()
        if state.peers.complete:
            self._reunited.set()
        if news is None:
            return
        lacking = link.sequences.marked(said, now, wall, news.late)
        if lacking:
            link.proofs.doubt(room_channel(room) for room in lacking)
            self._wake.set()
        if news.after is not None and (news.after or len(link.subscriptions.wanted) > 1):
            self._want(AskSince(said.origin, news.after))

    def asked(self, question: AskSince | AskEcho) -> None:
        """Take a question of another pod."""
        if question.origin != self._link.pod_id and len(self._asked) < MOST_ASKED:
            self._asked.append(question)
            self._wake.set()

    def proven(self, channel: Channel, origin: str, nonce: str) -> None:
        """Take a probe that came on a channel."""
        self._proved(self._link.proofs.hears(channel, origin, nonce))

    def _proved(self, channels: Sequence[Channel]) -> None:
        if channels:
            self._link.heard(channels)
            self._note_proven()
            self._wake.set()

    def wake(self) -> None:
        """Look at what is to be done, soon."""
        self._wake.set()

    # What goes -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer and prove subscriptions until cancelled."""
        link = self._link
        while True:
            await self._answer()
            await self._prove()
            self._echoed = 0
            now = link.clock()
            with trio.move_on_at(min(now + TICK, max(link.proofs.next_step(), now))):
                await self._wake.wait()
            self._wake = trio.Event()

    async def speak(self) -> None:
        """Say hello, and beat until cancelled, whatever the broker keeps an answer waiting."""
        link = self._link
        self._beats.begin()
        await self._tell([(EVERYONE, beat(self._beats.plain("hello")))])
        # The first at once: what was said while there was no link is lost, and others are to know.
        while True:
            next_beat = link.clock() + until_next(link.wall(), self._beats.interval)
            await self._beat()
            await trio.sleep_until(next_beat)

    async def watch(self) -> None:
        """See who is silent and what is missing until cancelled, whatever the broker keeps waiting.

        What the loop was late is held against nobody.
        """
        link = self._link
        last_look = link.clock()
        while True:
            self._news = trio.Event()
            with trio.move_on_after(TICK):
                await self._news.wait()
            now = link.clock()
            late = now - last_look - 2 * TICK
            if late > 0:
                link.state.peers.excuse(late, now)
            last_look = now
            self._look()

    async def said(self, marked: MarkedBeat) -> None:
        """Say a beat that stood in line: all before it has been said."""
        await self._tell([(EVERYONE, beat(self._beats.said(marked)))])

    async def bye(self) -> None:
        """Tell the others that this pod goes."""
        await self._tell([(EVERYONE, beat(self._beats.plain("bye")))])

    async def acquaint(self) -> None:
        """Find out who is there, where other servers do not know yet what is heard on this one.

        Says hello until somebody answers, and everybody whom they hear: the first answers may find
        no way here. Who hears nobody for `LISTENED` is taken to be alone.
        """
        peers, wait = self._link.state.peers, FIRST_HELLO
        with trio.move_on_after(LISTENED):
            while not peers.acquainted:
                await self._tell([(EVERYONE, beat(self._beats.plain("hello")))])
                self._wake = trio.Event()
                with trio.move_on_after(wait):
                    await self._wake.wait()
                wait *= 2

    async def reunion(self, seconds: float) -> int:
        """Return when all that were known hear this pod again; or how many do not, in that time.

        Whom this pod hears may be deaf to it, and whoever is not answers a hello.
        """
        peers = self._link.state.peers
        with trio.move_on_after(seconds):
            while not peers.complete:
                self._reunited = trio.Event()
                await self._tell([(EVERYONE, beat(self._beats.plain("hello")))])
                with trio.move_on_after(HELLO_AGAIN):
                    await self._reunited.wait()
        return peers.give_up()

    async def until_proven(self, seconds: float) -> None:
        """Return when all that was subscribed is proven to be heard, or after so long."""
        self._all_proven = trio.Event()
        self._note_proven()
        with trio.move_on_after(seconds):
            await self._all_proven.wait()

    def _note_proven(self) -> None:
        if self._link.proofs.done:
            self._all_proven.set()

    async def _tell(self, messages: Sequence[Message]) -> None:
        """Say messages; what the broker denies of them is not said, and no trouble of the link."""
        try:
            await self._say(messages)
        except MessagesRefused as error:
            self._denied += len(error.indexes)
            if self._denied.bit_count() == 1:  # the first, and each time the number doubles
                _log.warning("the broker lets this pod not speak to pods", reason=str(error))
            channels = [messages[index][0] for index in error.indexes]
            self._proved(self._link.proofs.unsayable(channels))

    async def _beat(self) -> None:
        beats = self._beats
        if beats.waiting is not None:  # the broker is slow: who we are is said at once
            await self._tell([(EVERYONE, beat(beats.plain("here")))])
            return
        marked = beats.next()
        self._doubt_own(marked.said.marks)
        if not self._link.stand_in_line(marked):
            beats.waiting = None  # who misses this beat asks for what it told

    def _doubt_own(self, marks: Sequence[Mark]) -> None:
        """Doubt the rooms in which this pod has spoken and does not hear itself."""
        link, now = self._link, self._link.clock()
        sounds = link.proofs.sounds
        link.proofs.doubt(
            channel
            for channel, mark in ((room_channel(mark.room), mark) for mark in marks)
            if sounds.get(channel, now) < now - mark.last_age - TICK
        )

    async def _answer(self) -> None:
        peers = self._link.state.peers
        for other in peers.take_owed():
            await self._tell([(pod_channel(other), beat(self._beats.plain("here")))])
        questions, self._questions = self._questions, []
        for wanted in questions:
            asking = ask_since(self._link.pod_id, wanted.number)
            await self._tell([(pod_channel(wanted.origin), asking)])
        asked, self._asked = self._asked, []
        for question in asked:
            if isinstance(question, AskSince):
                await self._tell_since(question)
            else:
                await self._echo(question)

    async def _tell_since(self, question: AskSince) -> None:
        for said in self._beats.since(question):
            await self._tell([(pod_channel(question.origin), beat(said))])

    async def _echo(self, asked: AskEcho) -> None:
        self._echoed += len(asked.channels)
        if self._echoed <= MOST_ECHOED:
            own = probe(self._link.pod_id, asked.nonce)
            await self._tell([(channel, own) for channel in asked.channels])

    def _want(self, question: AskSince) -> None:
        if len(self._questions) < MOST_ASKED:
            self._questions.append(question)
            self._wake.set()

    def _look(self) -> None:
        link = self._link
        now, wall = link.clock(), link.wall()
        # What is still on its way here is no silence.
        effects = link.state.peers.look(now - link.round_trips.usual, wall)
        if link.state.peers.complete:
            self._reunited.set()
        perform(effects, link.state, self._listeners)
        counted = link.state.peers.counted
        if counted != self._counted:
            self._counted = counted
            self._listeners.pods(counted)
        renamed = link.name.look(link.state.peers.known)
        if renamed is not None:
            write_down_name(renamed)
        # Its own beats come back on it: where they do not, this pod hears nobody's.
        if link.proofs.sounds.get(EVERYONE, now) < now - 1.5 * self._beats.interval:
            link.proofs.doubt([EVERYONE])
        # A pod that misses others may be deaf to them, and not to itself: a server of the broker
        # has forgotten what is subscribed on another.
        if link.state.peers.partition is not None and now >= self._renew_at:
            self._renew_at = now + RENEWED
            link.proofs.renew([EVERYONE, pod_channel(link.pod_id)])
        for hole in link.sequences.due(now):
            self.missing(hole)
        for gap in link.gaps.whole(wall, self._is_whole):
            self._listeners.gap(gap)

    def missing(self, hole: Hole) -> None:
        """Tell a room of what it has missed, and find out whether it hears anything."""
        link = self._link
        gap, channel = link.gaps.found(hole), room_channel(hole.room)
        self._listeners.gap(gap)
        if gap.missed == hole.missed:  # a new one: it may be deaf to some pods, and not to itself
            link.proofs.renew([channel])
        link.proofs.doubt([channel])
        self._wake.set()

    def _is_whole(self, room: str | None) -> bool:
        link, channel = self._link, room_channel(room)
        if channel not in link.subscriptions.wanted:
            return True
        # A hole puts its channel under proof, so this is a proof that came after it.
        return not link.proofs.under_proof(channel) and not link.sequences.doubts(room)

    async def _prove(self) -> None:
        steps = self._link.proofs.step(self._link.clock(), self.witnesses())
        if steps.renew:
            await self._renew(steps.renew)
        if steps.messages:
            await self._tell(steps.messages)

    def witnesses(self) -> list[str]:
        """Return a pod on each other server of the broker."""
        return witnesses(self._link.pod_id, self._beats.node, self._link.state.peers.known)
