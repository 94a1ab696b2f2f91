"""What a room says: held back until the hook that says it has returned, or is about to wait.

A hook that raises without having waited has said nothing: what it told the members, the other pods
and the one who asked is discarded with it. What a hook said before it waits is out, whatever
becomes of the hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import orjson
import trio

from ...config import get_logger, tracing
from ...transport import JSON, Problem, Scope, WireError, encode_data, encode_emit, text_frame
from ...transport.brokers import Event
from ..runtime import Affinity
from .bounds import excess, too_large
from .fanout import Batch
from .member import Member
from .replies import Answer, settle_unheard
from .roster import RoomEnvironment, Roster

__all__ = ["Speech"]

_log = get_logger("realtime")


class _Publication(NamedTuple):
    """An event for the other pods that waits for its hook."""

    event: str
    encoded: bytes
    event_id: str
    settle: Callable[[Scope], None] | None


class _Outcome:
    """Answers an emit when both are known: how far it has got, and that its hook went well."""

    __slots__ = ("_answer", "_done", "_scope")

    def __init__(self, answer: Callable[[Scope], None]) -> None:
        self._answer = answer
        self._scope: Scope | None = None
        self._done = False

    def settle(self, scope: Scope) -> None:
        """Note how far it has got; the first that is known counts."""
        if self._scope is None:
            self._scope = scope
            if self._done:
                self._answer(scope)

    def done(self) -> None:
        """Note that the hook has returned."""
        self._done = True
        if self._scope is not None:
            self._answer(self._scope)


class Speech:
    """The voice of one incarnation of a room.

    `remote` is the event of another pod that is being handled: what is said meanwhile stays here.
    """

    def __init__(self, roster: Roster[Any], environment: RoomEnvironment) -> None:
        self._roster = roster
        self._env = environment
        self._affinity = Affinity()
        self._batch = Batch(environment.batching, environment.meters.fan_out)
        self._born: list[float] = []
        self._event_id: str | None = None
        self._relayed = False
        self.remote: Event | None = None
        self._answers: list[Callable[[], None]] = []
        self._settle: Callable[[Scope], None] | None = None
        self._outcome: _Outcome | None = None
        # What the hook that runs has said, since its start or since it last waited.
        self._held: list[_Publication] | None = []
        self._mark = (0, 0, roster.sequence)
        self.waited = False
        """Whether something that the hook said may be out already."""
        self.live = True
        """Whether there will be another turn to write what is said."""

    # One thing that the room handles --------------------------------------------------------

    def about(
        self, event_id: str, answer: Answer | None, born: float | None = None, *, nobody: bool
    ) -> None:
        """Handle an emit: the first event that is told has its id, and `answer` learns its end.

        With `nobody` there is none here who could hear it.
        """
        self._event_id, self._relayed = event_id, False
        if answer is None:
            self._settle = None
        else:
            self._settle = partial(settle_unheard, answer) if nobody else answer.settle
        if born is not None:
            self._born.append(born)

    def about_remote(self, event: Event) -> None:
        """Handle what another pod said."""
        self._event_id, self.remote = event.id, event

    def settled(self) -> None:
        """Be done with an emit; answer what was not said to the other pods."""
        # A hook that said nothing leaves these, and nothing else may use them.
        settle, self._settle, self._event_id = self._settle, None, None
        if settle is not None:
            self._answers.append(partial(settle, Scope.LOCAL))
        if self._outcome is not None:
            outcome, self._outcome = self._outcome, None
            outcome.done()

    def over(self) -> None:
        """Be done with what other pods said."""
        self._event_id = self.remote = None

    # A hook ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Hold back what is said from here on."""
        self._mark = (*self._batch.mark(), self._roster.sequence)
        self._held, self.waited = [], False
        if self._settle is not None and self._outcome is None:
            self._outcome = _Outcome(self._settle)
            self._settle = self._outcome.settle

    def let_out(self) -> None:
        """Say what was held back: the hook went well, or waits."""
        held, self._held = self._held, None
        for publication in held or ():
            self._hand_over(publication)

    def pause(self) -> None:
        """Say and write what the hook has said so far, for it is about to wait."""
        self.let_out()
        self.flush()
        self.waited = True
        self._held = []
        self._mark = (*self._batch.mark(), self._roster.sequence)

    def discard(self) -> None:
        """Forget what the hook has said since it last waited."""
        if self._held is not None:
            entries, nbytes, self._roster.sequence = self._mark
            self._batch.rewind(entries, nbytes)
        self._held = self._outcome = None

    # Saying ---------------------------------------------------------------------------------

    def broadcast(self, event: str, data: JSON, exclude: Member | None, *, local: bool) -> str:
        """Tell everyone here, but perhaps one, and unless `local` the other pods."""
        self._affinity.check("Room.broadcast")
        local = local or self._env.uplink is None or self.remote is not None
        event_id = self._take_event_id(published=not local)
        if local:
            self._put(self._frame(event, data, event_id), but=exclude)
            return event_id
        encoded = encode_data(data)
        self._put(self._frame(event, orjson.Fragment(encoded), event_id), but=exclude)
        self._publish(event, encoded, event_id)
        return event_id

    def broadcast_encoded(self, event: str, encoded: bytes) -> None:
        """Tell everyone, here and on the other pods, what is JSON already."""
        event_id = self._take_event_id()
        self._put(self._frame(event, orjson.Fragment(encoded), event_id))
        self._publish(event, encoded, event_id)

    def excess(self, event: str, encoded: bytes) -> Problem | None:
        """Say why nobody could be told this, or None."""
        return excess(self._env.limits.max_buffer_bytes, self._roster.name, event, encoded)

    def miss(self, event: str, encoded: bytes, event_id: str) -> None:
        """Leave out what nobody could be told: the other pods learn by its number that it was."""
        self._roster.undelivered += 1
        self._publish(event, encoded, event_id)

    def repeat(self, event: Event) -> None:
        """Tell everyone here what another pod said."""
        self._put(self._frame(event.name, orjson.Fragment(event.encoded), event.id))

    def relay(self, event: str, data: JSON) -> str:
        """Tell the other pods alone, and not what comes from one of them."""
        self._affinity.check("Room.relay")
        encoded = encode_data(data)
        problem = self.excess(event, encoded)
        if problem is not None:
            raise WireError(problem.code, problem.message, room=self._roster.name)
        event_id = self._event_id
        if event_id is None or (self._relayed and self.remote is None):
            event_id = self._env.event_ids()
        self._relayed = True
        if self.remote is None:
            self._publish(event, encoded, event_id)
        return event_id

    def send(self, members: Iterable[Member], event: str, data: JSON) -> str:
        """Tell some members the same, encoded once."""
        self._affinity.check("Room.send_to")
        event_id = self._take_event_id()
        frame = self._frame(event, data, event_id)
        for member in members:
            self._put(frame, to=member)
        return event_id

    def answer(self, client: Member, payload: bytes) -> None:
        """Tell one client, in order with what else is said."""
        self._affinity.check("Room.tell_problem")
        self._put(text_frame(payload), to=client)

    def then(self, act: Callable[[], None]) -> None:
        """Do something, such as to answer, when what was said is written."""
        self._answers.append(act)

    def announce(self, payload: bytes) -> None:
        """Tell everyone here something of the pod's own."""
        self._put(text_frame(payload))

    # Writing --------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return self._batch.full

    def flush(self) -> None:
        """Write what was said; then give the answers that it was said."""
        roster = self._roster
        if len(self._batch):
            roster.deliveries += self._batch.write(roster.members.values())
        if self._answers:
            answers, self._answers = self._answers, []
            for give in answers:
                give()
        if self._born:
            now, latency = trio.current_time(), self._env.meters.local_latency
            for born in self._born:
                latency.observe(now - born)
            self._born.clear()

    # Inside ---------------------------------------------------------------------------------

    def _put(self, frame: bytes, *, to: Member | None = None, but: Member | None = None) -> None:
        self._batch.add(frame, to=to, but=but)
        if not self.live:
            self.flush()

    def _publish(self, event: str, encoded: bytes, event_id: str) -> None:
        if self._env.uplink is None:
            return
        settle, self._settle = self._settle, None
        publication = _Publication(event, encoded, event_id, settle)
        if self._held is None or not self.live:
            self._hand_over(publication)
        else:
            self._held.append(publication)

    def _hand_over(self, publication: _Publication) -> None:
        uplink = self._env.uplink
        if uplink is None:
            return
        event, encoded, event_id, settle = publication
        scope = uplink.publish(self._roster.name, event, encoded, event_id, settle)
        if scope is not None and settle is not None:
            self._answers.append(partial(settle, scope))

    def _frame(self, event: str, data: JSON | orjson.Fragment, event_id: str) -> bytes:
        roster, sequence = self._roster, self._roster.sequence + 1
        frame = text_frame(
            encode_emit(
                event,
                data,
                roster.name,
                self._env.wall(),
                event_id=event_id,
                seq=sequence,
                replayed=self.remote is not None and self.remote.replayed != 0,
            )
        )
        largest = self._env.limits.max_buffer_bytes
        if len(frame) > largest:
            problem = too_large(len(frame), largest)
            raise WireError(problem.code, problem.message, room=roster.name)
        roster.sequence = sequence
        if tracing():
            members = len(roster.members)
            _log.debug(
                "room says",
                room=roster.name,
                event_id=event_id,
                seq=sequence,
                members=members,
            )
        return frame

    def _take_event_id(self, *, published: bool = False) -> str:
        event_id, self._event_id = self._event_id, None
        if published and self._relayed:  # other pods drop a second event of one id
            event_id = None
        return event_id or self._env.event_ids()
