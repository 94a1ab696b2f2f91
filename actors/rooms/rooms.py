"""The rooms of a pod by name: found, opened when first needed, forgotten when gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import trio

from ...config import ClassNotFound, Limits, PatternMap, ReceiptPolicy, Rule, load_class
from ...transport import Asker, Event, Grant, Problem, Shares, is_reserved_room
from ..cluster import Degraded, Gap, Healed
from ..runtime import (
    ActorCell,
    ActorDefinitionError,
    ActorRef,
    DeadLetters,
    Draining,
    Exit,
    Mailbox,
    Overflow,
    RoomImportError,
    TooManyRooms,
)
from .openings import Openings
from .room import Room
from .room_actor import RoomActor
from .room_kind import kind_of
from .roster import LimitsChanged, PodsCounted, RemoteEmits, RoomEnvironment, Roster

__all__ = [
    "RoomFactory",
    "RoomRef",
    "Rooms",
    "StartRoom",
    "hand_over",
    "hand_over_in_turn",
    "load_room_classes",
    "own_up",
]

RoomRef = ActorRef[Any]
"""A room's address. Subclasses add typed handlers of their own, hence no narrower type."""

RoomFactory: TypeAlias = Callable[[], Room[Any]]
"""What makes a room for each incarnation: a class, or whatever gives it what it needs."""

StartRoom = Callable[[str, Callable[[str], ActorCell[Any]]], None]
"""How a supervisor is asked to start a room: its name, and what makes its cell at a path."""


class Rooms:
    """The directory of the rooms that run on this pod.

    `start` is the supervisor's: this class knows which room there should be, not how it lives.
    Rooms whose names match no binding are plain `Room`s. Clients may open up to
    `limits.maxClientRooms` rooms, each address and each user a share of them; rooms that stand
    empty make place for others. The pod's own code may always open one.
    """

    def __init__(
        self,
        bindings: Mapping[str, RoomFactory],
        environment: RoomEnvironment,
        dead_letters: DeadLetters,
        start: StartRoom,
    ) -> None:
        for pattern, room_class in bindings.items():
            _check_factory(pattern, room_class)
        self._bindings = PatternMap(bindings)
        self._environment = environment
        self._dead_letters = dead_letters
        self._start = start
        self._refs: dict[str, RoomRef] = {}
        self._rosters: dict[str, Roster[Any]] = {}
        self._cells: dict[str, ActorCell[Any]] = {}
        self._handing_over: dict[str, None] = {}
        self._handed_over = trio.Event()
        self._limits = environment.limits
        self._openings = Openings(Shares.of(self._limits.max_client_rooms, self._limits))

    def adopt(self, limits: Limits, rules: Mapping[str, Rule]) -> None:
        """Let clients open as many rooms as these limits say, from now on, and keep these rules."""
        self._limits = limits
        self._environment.rules.adopt(rules)
        for ref in self._refs.values():
            ref.signal(LimitsChanged())
        self._openings.resize(Shares.of(limits.max_client_rooms, limits))

    def __len__(self) -> int:
        return len(self._refs)

    @property
    def wall(self) -> Callable[[], float]:
        """The clock of the pod's rooms (unix seconds)."""
        return self._environment.wall

    def find(self, name: str) -> RoomRef | None:
        """Return the room of that name if it runs."""
        return self._refs.get(name)

    def bind(self, pattern: str, room_class: RoomFactory) -> None:
        """Let rooms whose names match the pattern be of this class; the last binding comes first.

        Rooms that run already stay what they are. Raises `ActorDefinitionError` for what makes no
        rooms.
        """
        _check_factory(pattern, room_class)
        self._bindings = self._bindings.preceded_by(pattern, room_class)

    def is_bound(self, name: str) -> bool:
        """Whether a room class is bound to that name."""
        return self._bindings.match(name) is not None

    def pattern_of(self, name: str) -> str | None:
        """Return the pattern that the class of such a room is bound to, or None."""
        return self._bindings.pattern_of(name)

    @property
    def rosters(self) -> Mapping[str, Roster[Any]]:
        """Who is in each room that runs, by its name; to look at."""
        return self._rosters

    def roster(self, name: str) -> Roster[Any] | None:
        """Return who is in the room of that name, if it runs."""
        return self._rosters.get(name)

    def doing(self, name: str) -> tuple[str, float]:
        """Return what a room's code has been doing and for how many seconds; nothing for none."""
        cell = self._cells.get(name)
        return ("", 0.0) if cell is None else cell.doing

    def open(self, name: str, asker: Asker | None = None) -> RoomRef:
        """Return the room of that name, started if need be: for a client, or for the pod itself.

        Raises `TooManyRooms` when a client would open more than the limits allow.
        """
        ref = self._refs.get(name)
        if ref is not None:
            return ref
        if asker is not None:
            self._admit(name, asker)
        room_class = self._bindings.match(name) or Room
        try:
            self._start(name, lambda path: self._opened(name, path, room_class))
        except Exception:
            self._forget(name)
            raise
        return self._refs[name]

    def counts(self, name: str) -> bool:
        """Whether the receipts of such a room say who has heard."""
        return self._environment.receipts.match(name) is ReceiptPolicy.HEARD

    def deliver(self, name: str, events: Sequence[Event], nbytes: int) -> int:
        """Hand what other pods said to the room of that name; return how many it has no room for.

        They are the last. Where no such room runs nobody here is in it, and nothing is lost.
        """
        ref, roster = self._refs.get(name), self._rosters.get(name)
        return 0 if ref is None or roster is None else hand_over(ref, roster, events, nbytes)

    async def deliver_in_turn(self, name: str, events: Sequence[Event], nbytes: int) -> int:
        """Hand the first of them to that room when it has place; return how many are left."""
        ref, roster = self._refs.get(name), self._rosters.get(name)
        if ref is None or roster is None:
            return 0
        return await hand_over_in_turn(ref, roster, events, nbytes)

    def missed(self, name: str, count: int, since: float = math.inf) -> None:
        """Have the room of that name tell its members of events that were not let in."""
        ref, roster = self._refs.get(name), self._rosters.get(name)
        if ref is not None and roster is not None:
            own_up(ref, roster, count, since)

    def gap(self, name: str, gap: Gap) -> None:
        """Have the room of that name tell its members of what has not come from other pods."""
        ref, roster = self._refs.get(name), self._rosters.get(name)
        if ref is not None and roster is not None:
            tell_gap(ref, roster, gap)

    def tell_all(self, message: Degraded | Healed) -> None:
        """Tell every room, whatever else waits for it."""
        for ref in self._refs.values():
            ref.signal(message)

    def count_pods(self, pods: frozenset[str]) -> None:
        """Tell the rooms that track who is in them which other pods are taken to be there."""
        for name, roster in self._rosters.items():
            if roster.people is not None:
                self._refs[name].signal(PodsCounted(pods))

    async def drain(self, seconds: float) -> None:
        """Let every room hand over what it wants to; wait for them so long at most."""
        self._handing_over = dict.fromkeys(self._refs, None)
        self._handed_over = trio.Event()
        for name, ref in list(self._refs.items()):
            ref.signal(Draining(partial(self._has_handed_over, name)))
        with trio.move_on_after(seconds):
            if self._handing_over:
                await self._handed_over.wait()

    def _has_handed_over(self, name: str) -> None:
        self._handing_over.pop(name, None)
        if not self._handing_over:
            self._handed_over.set()

    def cell(self, path: str, room_class: RoomFactory, roster: Roster[Any]) -> ActorCell[Any]:
        """Make the cell of a room of a class on a roster, without noting it in the directory."""
        environment = self._environment

        def incarnation() -> RoomActor:
            return RoomActor(room_class(), roster, environment)

        mailbox: Mailbox[Any] = Mailbox(
            max_messages=environment.limits.room_mailbox_size,
            max_bytes=environment.limits.room_mailbox_bytes,
            overflow=Overflow.BLOCK,
        )
        return ActorCell(
            path,
            incarnation,
            mailbox=mailbox,
            dead_letters=self._dead_letters,
            on_false_start=partial(_turn_away, roster),
            on_terminated=partial(self._ended, roster),
        )

    def _opened(self, name: str, path: str, room_class: RoomFactory) -> ActorCell[Any]:
        attended = partial(self._attended, name)
        roster: Roster[Any] = Roster(
            name=name, attended=attended, counted=self.counts(name), opened_at=self.wall()
        )
        if self._environment.uplink is not None:
            roster.pod = self._environment.uplink.pod_id
        if isinstance(room_class, type) and issubclass(room_class, Room):
            roster.listens = kind_of(room_class).hears_the_pod
        cell = self.cell(path, room_class, roster)
        roster.ref = cell.ref
        self._cells[name] = cell
        self._refs[name] = cell.ref
        self._rosters[name] = roster
        return cell

    def _admit(self, name: str, asker: Asker) -> None:
        reserved = is_reserved_room(name)
        grant = self._openings.admit(name, asker, reserved=reserved)
        if not grant and self._evict_for(asker):
            grant = self._openings.admit(name, asker, reserved=reserved)
        if not grant:
            raise TooManyRooms(_no_place(grant, self._limits))

    def _evict_for(self, asker: Asker) -> bool:
        """End a room that stands empty, unless somebody knocks or it has something to do."""
        for name in self._openings.to_give_up(asker):
            cell = self._cells[name]
            if cell.idle and not cell.promised:
                cell.end(Exit.normal("idle"))
                self._openings.forget(name)
                return True
        return False

    def _attended(self, name: str, by_anybody: bool) -> None:
        (self._openings.is_in_use if by_anybody else self._openings.is_empty)(name)

    def _ended(self, roster: Roster[Any], exit_: Exit) -> None:
        """Forget a room, and then tell those who are in it or knock: they may open another."""
        roster.farewell()
        self._forget(roster.name)
        if roster.name is not None:
            for seat in roster.seats():
                seat.end(exit_)
            roster.ref = None  # it holds the cell, and that the roster

    def _forget(self, name: str | None) -> None:
        if name is not None:
            self._has_handed_over(name)
            self._refs.pop(name, None)
            self._rosters.pop(name, None)
            self._cells.pop(name, None)
            self._openings.forget(name)
            if self._environment.uplink is not None:
                self._environment.uplink.leave(name)


def _check_factory(pattern: str, room_class: object) -> None:
    no_room = isinstance(room_class, type) and not issubclass(room_class, Room)
    if no_room or isinstance(room_class, Room) or not callable(room_class):
        raise ActorDefinitionError(
            f"'{pattern}' is bound to {room_class!a}, which makes no rooms; bind a subclass of "
            "Room, or a function that returns a new one: `lambda: Auction(database)`."
        )


def _turn_away(roster: Roster[Any]) -> None:
    """Answer those who knock at a room that has failed to start."""
    for seat in list(roster.knocking):
        sentence = f"The room '{roster.name}' cannot start: its code fails. Join it again later."
        seat.withdraw(Problem("room_crashed", sentence))


def _no_place(grant: Grant, limits: Limits) -> str:
    if grant is Grant.OVER_SHARE:
        return (
            "Your address or your user has opened its share of this pod's rooms already; leave "
            "rooms that are not needed, or raise limits.addressShare or limits.userShare."
        )
    return (
        f"This pod holds its {limits.max_client_rooms} client rooms already; "
        "leave rooms that are not needed, or raise limits.maxClientRooms."
    )


def hand_over(ref: RoomRef, roster: Roster[Any], events: Sequence[Event], nbytes: int) -> int:
    """Leave what other pods said in a room's mailbox; return how many of the last find no place.

    None overtakes one that finds none.
    """
    if roster.takes_batches:
        return 0 if ref.tell(RemoteEmits(events, nbytes)) else len(events)
    weight = nbytes // len(events)
    for place, event in enumerate(events):
        if not ref.tell(RemoteEmits([event], weight)):
            return len(events) - place
    return 0


async def hand_over_in_turn(
    ref: RoomRef, roster: Roster[Any], events: Sequence[Event], nbytes: int
) -> int:
    """Leave the first of them in a room's mailbox, in turn with all who wait for place in it.

    Returns how many are left: all of them where the first never finds any.
    """
    if roster.takes_batches:
        return 0 if await ref.send(RemoteEmits(events, nbytes)) else len(events)
    first = RemoteEmits([events[0]], nbytes // len(events))
    return len(events) - bool(await ref.send(first))


def own_up(ref: RoomRef, roster: Roster[Any], missed: int, since: float = math.inf) -> None:
    """Have a room tell its members how many events of other pods they will not hear.

    One signal waits at most, however much is missed: a flood of it costs a number. `since` (unix
    seconds, of the clock of who said it) is when the first of them was said, if that is known.
    """
    roster.undelivered += missed
    roster.undelivered_since = min(since, roster.undelivered_since)
    roster.call_to_own_up(ref)


def tell_gap(ref: RoomRef, roster: Roster[Any], gap: Gap) -> None:
    """Have a room tell of a gap, whatever else waits for it; one signal waits at most."""
    roster.gaps.append(gap)
    roster.call_to_own_up(ref)


def load_room_classes(bindings: Mapping[str, str]) -> dict[str, type[Room[Any]]]:
    """Import the classes bound in the configuration: pattern to `"package.module:Class"`.

    Raises `RoomImportError` with one sentence that names the pattern and the remedy.
    """
    return {pattern: _load(pattern, target) for pattern, target in bindings.items()}


def _load(pattern: str, target: str) -> type[Room[Any]]:
    try:
        room_class: type[Room[Any]]
        room_class = load_class(f"rooms.'{pattern}'", target, Room, "deployd.actors.Room")
    except ClassNotFound as error:
        raise RoomImportError(str(error)) from error
    return room_class
