"""What a room says: held back until the hook that says it has returned, or is about to wait.

A hook that raises without having waited has said nothing: what it told the members, the other pods
and the one who asked is discarded with it. What a hook said before it waits is out, whatever
becomes of the hook.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import trio

from ...config import get_logger, tracing
from ...transport import (
    JSON,
    Event,
    PodMessage,
    Problem,
    Scope,
    WireError,
    encode_data,
    encode_inner,
)
from ..cluster import CHARACTER, Tell
from ..runtime import Affinity, on_suspend
from .bounds import size_of_event, too_large
from .fanout import Batch
from .headcount import Headcount, here_alone
from .member import Member
from .roster import RoomEnvironment, Roster
from .turn import Turn, Unpublished

__all__ = ["CONGESTION_GRACE", "Speech"]

SLICE: Final = 1000
"""Members that are written to before the loop has another turn: some 4 ms."""
CONGESTION_GRACE: Final = 0.25
"""Seconds a room gives its members to catch up when more than half of them lag."""

SMALL: Final = 512
"""Bytes, about, of what is no event, and of an event beside its data."""

R = TypeVar("R")

_log = get_logger("realtime")


class Speech:
    """The voice of one incarnation of a room; `turn` is what it is about."""

    def __init__(self, roster: Roster[Any], environment: RoomEnvironment) -> None:
        self._roster = roster
        self._env = environment
        self._affinity = Affinity()
        self._batch = Batch(environment.batching, environment.meters.fan_out)
        self._born: list[float] = []
        self._answers: list[Callable[[], None]] = []
        self._largest = environment.limits.max_buffer_bytes
        # What an event takes beside its data and its name: each is measured, and no room renamed.
        self._overhead = size_of_event(roster.name, "", b"")
        self.turn: Turn = Turn()
        self.live = True
        """Whether there will be another turn to write what is said."""
        self.turn.begin_hook(self._mark())

    # A turn ---------------------------------------------------------------------------------

    def begin(self, turn: Turn, born: float | None = None) -> None:
        """Turn to something; `born` is when it came from a client (trio's seconds)."""
        self.turn = turn
        if born is not None:
            self._born.append(born)

    def end(self) -> None:
        """Be done with it; answer what was not said to the other pods."""
        settle = self.turn.end()
        if settle is not None:
            self._answers.append(partial(self._stays, settle))

    async def hook(self, hook: Coroutine[object, object, R]) -> R:
        """Run code of the room: what it says is out when it returns or waits, else never."""
        self.turn.begin_hook(self._mark())
        result = await on_suspend(hook, self._pause)
        self.let_out()
        return result

    async def alone(self, hook: Coroutine[object, object, R]) -> R:
        """Run code of the room in a turn of its own, in which nobody waits for anything."""
        self.begin(Turn())
        return await self.hook(hook)

    async def timed(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Run a timer's callback, and write what it says."""
        await self.alone(_awaiting(callback()))
        await self.settle()

    def let_out(self) -> None:
        """Say what was held back: the hook went well, or waits."""
        for unpublished in self.turn.take_held():
            self._hand_over(unpublished)

    def _pause(self) -> None:
        """Say and write what the hook has said so far, for it is about to wait."""
        self.let_out()
        self.flush()
        self.turn.pause(self._mark())

    def say_now(self) -> None:
        """Say and write what waits, before something happens that cannot be taken back."""
        if self.turn.held is None:
            self.flush()
        else:
            self._pause()

    def discard(self) -> None:
        """Forget what the hook has said since it last waited."""
        if self.turn.held is not None:
            entries, nbytes, self._roster.sequence = self.turn.mark
            self._batch.rewind(entries, nbytes)
        self.turn.discard()

    def _mark(self) -> tuple[int, int, int]:
        return (*self._batch.mark(), self._roster.sequence)

    # Saying ---------------------------------------------------------------------------------

    def broadcast(
        self,
        name: str,
        data: JSON,
        exclude: Member | None,
        *,
        local: bool,
        to: Sequence[Member] | None = None,
    ) -> str:
        """Tell everyone here, but perhaps one, or some, and unless `local` the other pods."""
        self._affinity.check("Room.broadcast")
        return self.broadcast_encoded(name, encode_inner(data), exclude, local=local, to=to)

    def broadcast_encoded(
        self,
        name: str,
        encoded: bytes,
        exclude: Member | None = None,
        *,
        local: bool = False,
        to: Sequence[Member] | None = None,
    ) -> str:
        """Do so with what is JSON already."""
        turn = self.turn
        local = local or self._env.uplink is None or turn.origin is not None
        event_id = turn.take_event_id(published=not local) or self._env.event_ids()
        event = self._event(name, encoded, event_id, turn.origin)
        self._put(event, len(encoded) + SMALL, to=to, but=exclude)
        if not local:
            self.publish(event)
        return event_id

    def say(self, event: Event) -> None:
        """Tell everyone, here and on the other pods, what was measured (`excess`)."""
        here = self._numbered(event.name, event.encoded, event.id)
        self._put(here, len(event.encoded) + SMALL)
        self.publish(here)

    def repeat(self, event: Event) -> None:
        """Tell everyone here what another pod said; the link has measured it."""
        here = self._numbered(event.name, event.encoded, event.id, event.replayed)
        self._put(here, len(event.encoded) + SMALL)

    def relay(self, name: str, data: JSON) -> str:
        """Tell the other pods alone, and not what comes from one of them."""
        self._affinity.check("Room.relay")
        encoded = encode_data(data)
        self.demand_room_for(name, encoded)
        turn = self.turn
        event_id = turn.relayed_as() or self._env.event_ids()
        if turn.origin is None:
            self.say_elsewhere(name, encoded, event_id)
        return event_id

    def say_elsewhere(self, name: str, encoded: bytes, event_id: str = "") -> None:
        """Tell the rooms of this name on the other pods, and nobody here."""
        event_id = event_id or self._env.event_ids()
        self.publish(Event(self._roster.name, name, encoded, event_id, 0, self._env.wall()))

    def send(self, members: Sequence[Member], name: str, data: JSON) -> str:
        """Tell some members the same, encoded once."""
        self._affinity.check("Room.send_to")
        event_id = self.turn.take_event_id(published=False) or self._env.event_ids()
        event = self._event(name, encode_inner(data), event_id, self.turn.origin)
        self._put(event, len(event.encoded) + SMALL, to=members)
        return event_id

    def answer(self, client: Member, message: PodMessage) -> None:
        """Tell one client, in order with what else is said."""
        self._affinity.check("Room.tell_problem")
        self._put(message, SMALL, to=(client,))

    def announce(self, message: PodMessage) -> None:
        """Tell everyone here something of the pod's own."""
        self._put(message, SMALL)

    def publish(self, event: Event) -> None:
        """Tell the other pods alone."""
        if self._env.uplink is None:
            return
        unpublished = (event, self.turn.take_settle())
        held = self.turn.held
        if held is None or not self.live:
            self._hand_over(unpublished)
        else:
            held.append(unpublished)

    def then(self, act: Callable[[], None]) -> None:
        """Do something, such as to answer, when what was said is written."""
        self._answers.append(act)

    def excess(self, name: str, encoded: bytes) -> Problem | None:
        """Say why nobody could be told this, or None. Raises `WireError` for what is no name."""
        try:
            if not name.isascii():
                name.encode()
        except (AttributeError, UnicodeEncodeError) as error:
            sentence = f"The name of an event is a text, not {name!a}."
            raise WireError("not_json", sentence) from error
        nbytes = self._overhead + CHARACTER * len(name) + len(encoded)
        return None if nbytes <= self._largest else too_large(nbytes, self._largest)

    def demand_room_for(self, name: str, encoded: bytes) -> None:
        """Raise `WireError` for what nobody could be told."""
        problem = self.excess(name, encoded)
        if problem is not None:
            raise WireError(problem.code, problem.message, room=self._roster.name)

    # Writing --------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return self._batch.full

    def flush(self) -> None:
        """Write what was said; then give the answers that it was said."""
        if len(self._batch):
            entries, nbytes = self._batch.mark()
            self._count(self._batch.write(self._roster.members.values()), nbytes / entries)
        self._answer_what_is_written()

    async def _flush_in_slices(self) -> None:
        """Do so for a crowd, and let all else have its turn meanwhile.

        Ten thousand members take 40 ms. Whatever ends the room, all have been told the same.
        """
        entries, nbytes = self._batch.mark()
        slices = self._batch.slices(self._roster.members.values(), SLICE)
        try:
            for deliveries in slices:
                self._count(deliveries, nbytes / entries)
                await trio.lowlevel.checkpoint()
        finally:
            for deliveries in slices:
                self._count(deliveries, nbytes / entries)
        self._answer_what_is_written()

    def _count(self, deliveries: int, nbytes: float) -> None:
        self._roster.deliveries += deliveries
        self._roster.delivered_bytes += int(deliveries * nbytes)

    def _answer_what_is_written(self) -> None:
        if self._answers:
            answers, self._answers = self._answers, []
            for give in answers:
                give()
        if self._born:
            now, latency = trio.current_time(), self._env.meters.local_latency
            for born in self._born:
                latency.observe(now - born)
            self._born.clear()

    async def settle(self) -> None:
        """Write; when most members lag, slow the room down for a bounded time.

        One slow client never holds a room up, its outbox overflows and it is closed. When more
        than half lag at once the pod or the network is the bottleneck: the room pauses, its
        mailbox fills and the emitters are slowed, instead of everyone being disconnected.
        """
        members = self._roster.members
        if len(members) > SLICE and len(self._batch):
            await self._flush_in_slices()
        else:
            self.flush()
        lagging = [member for member in members.values() if member.sink.lagging]
        if len(lagging) * 2 > len(members):
            with trio.move_on_after(CONGESTION_GRACE):
                for member in lagging:
                    await member.sink.flushed()

    # Inside ---------------------------------------------------------------------------------

    def _event(self, name: str, encoded: bytes, event_id: str, origin: Event | None) -> Event:
        """Make an event of what is said. Raises `WireError` for what cannot be said."""
        self.demand_room_for(name, encoded)
        return self._numbered(name, encoded, event_id, 0 if origin is None else origin.replayed)

    def _numbered(self, name: str, encoded: bytes, event_id: str, replayed: int = 0) -> Event:
        """Give what is said its number in the room; its size is known to be none too large."""
        roster, room = self._roster, self._roster.name
        roster.sequence = sequence = roster.sequence + 1
        # Past the generated constructor, which takes twice as long: each event that is told is one.
        numbered = (room, name, encoded, event_id, sequence, self._env.wall(), "", 0, replayed)
        event = tuple.__new__(Event, numbered)
        if tracing():
            members = len(roster.members)
            _log.debug("room says", room=room, event_id=event_id, seq=sequence, members=members)
        return event

    def _put(
        self,
        message: PodMessage,
        nbytes: int,
        *,
        to: Sequence[Member] | None = None,
        but: Member | None = None,
    ) -> None:
        self._batch.add(message, nbytes, to=to, but=but)
        if not self.live:
            self.flush()

    def _hand_over(self, unpublished: Unpublished) -> None:
        uplink, (event, settle) = self._env.uplink, unpublished
        if uplink is None:
            return
        if settle is not None and self._roster.counted:
            headcount = Headcount(settle)
            scope = uplink.publish_counted(event, headcount.elsewhere)
            self._answers.append(partial(self._told, headcount, scope))
            return
        scope = uplink.publish(event, settle)
        if scope is not None and settle is not None:
            self._answers.append(partial(settle, scope))

    def _told(self, headcount: Headcount, scope: Scope | None) -> None:
        """Count who is told here, now that it is written; and what is known of the others."""
        headcount.here(self._roster.present)
        if scope is not None:
            headcount.elsewhere(scope)

    def _stays(self, settle: Tell) -> None:
        """Tell that an event has stayed on this pod."""
        roster = self._roster
        settle(here_alone(roster.present) if roster.counted else Scope.LOCAL)


async def _awaiting(awaited: Awaitable[R]) -> R:
    return await awaited
