"""What one writes: a room of members, with hooks to override and calls to make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from structlog.typing import FilteringBoundLogger

from ...transport import JSON, Problem
from ..cluster import Degraded, Gap, Healed
from ..runtime import ActorDefinitionError, ActorRef, Exit, Handling, Timer
from .handlers.answering import EventHandler, data_of, event_handlers, params_of
from .handlers.hooks import check_hooks, check_numbers
from .handlers.payloads import Build
from .member import EVERYONE, D, Member, Whom
from .presence import Presence, check_presence
from .roster import S, StatePolicy
from .turn import Occasion

if TYPE_CHECKING:
    from .host import Host

__all__ = ["Room"]

_NUMBERS = ("attempts", "stop_deadline", "max_members", "message_rate", "grace")
"""What a class sets, and is a number."""


class Room(Handling, Generic[S, D]):
    """A room of members, supervised: subclass it, override hooks, bind it to a pattern.

    Everything in a room runs one at a time: hooks, timers, typed handlers (`@handles`). One that
    raises has said nothing since it last waited, and loses the one message it was about: whoever
    asked is told, the room restarts, with a new object of this class, and keeps its members. One
    that waits holds up its own room only.

    `state` is whatever `initial_state` returns; `state_policy` names what a crash does to it. Of
    `Room[State, Data]` the second is what `member.data` is; either may be left out.

    Everything that is offered stands in this file: all other names are yours. A method that begins
    with `on_` is a hook or refused when the class is written, and so are a hook that is not `async`
    and one that takes something else than it is given.
    """

    attempts: ClassVar[int] = 1  # half of a broadcast may be out already: never repeat it
    """How often in all a message may be begun."""
    stop_deadline: ClassVar[float] = 5.0
    """Seconds that `on_stop` may take."""
    state_policy: ClassVar[StatePolicy] = StatePolicy.KEEP
    keep_alive: ClassVar[bool] = False
    """Whether the room stays when nobody is in it; else it stops after `roomCleanupInterval`.

    What it has set itself to do once (`after`) it does before.
    """

    listed: ClassVar[bool] = False
    """Whether the directory shows the room, with its name, to those who may see it there."""
    max_members: ClassVar[int] = 0
    """How many may be in on one pod; 0 is no limit. A lower one of `access.rules` counts."""
    message_rate: ClassVar[float] = 0.0
    """Messages a second that each member may say, a second's worth at once; 0 is no limit but
    `limits.messageRateLimit`. A lower one of `access.rules` counts."""

    presence: Presence = Presence()
    """Write `presence = True` (`Presence()` to a type checker) and the room tracks who is in."""

    grace: ClassVar[float] = 0.0
    """Seconds that a member's place is kept whose connection is lost without its leaving."""

    __host__: Host | None = None
    __answers__: ClassVar[Mapping[str, EventHandler]] = {}
    __params__: ClassVar[Build | None] = None
    __data__: ClassVar[Build | None] = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Collect the handlers of events (`@on`), and refuse what would never be called.

        Raises `ActorDefinitionError`.
        """
        super().__init_subclass__(**kwargs)
        wish: object = cls.__dict__.get("presence")
        if isinstance(wish, bool):
            cls.presence = Presence() if wish else Room.presence
        check_hooks(cls, Room)
        check_numbers(cls, _NUMBERS)
        cls.__answers__ = event_handlers(cls)
        check_presence(cls, Room.presence)
        if cls.authorize_join is not Room.authorize_join:
            cls.__params__ = params_of(cls, cls.authorize_join)
        if cls.grace:
            cls.__data__ = data_of(cls, Room)

    # What you may call ------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The room's name."""
        return _host_of(self).name

    @property
    def members(self) -> Mapping[str, Member[D]]:
        """Who is in, by client id. It changes between hooks and never while one waits.

        Who has left meanwhile stands in it, and hears nothing, until `on_leave` has its turn.
        """
        return _host_of(self).members

    @property
    def state(self) -> S:
        """The room's state: what `initial_state` built, or what was set since."""
        return cast(S, _host_of(self).state)

    @state.setter
    def state(self, value: S) -> None:
        _host_of(self).state = value

    @property
    def ref(self) -> ActorRef[Any]:
        """The room's own address."""
        return _host_of(self).ref

    @property
    def log(self) -> FilteringBoundLogger:
        """A logger that names the room."""
        return _host_of(self).log

    @property
    def waiting(self) -> int:
        """How many messages wait for the room, beside the one it handles."""
        return _host_of(self).waiting

    @property
    def asked(self) -> Occasion:
        """What the hook under way is about: the ids of what was said, and which pod said it."""
        return _host_of(self).asked

    def broadcast(
        self,
        event: str,
        data: JSON,
        *,
        to: Member[D] | Iterable[Member[D]] | Whom = EVERYONE,
        exclude: Member[D] | Iterable[Member[D]] | None = None,
        local: bool = False,
    ) -> str:
        """Tell every member, on all pods, but perhaps some, and return the event's id.

        With `local` only this pod's members are told, with `to` only those: they are of this pod.
        Synchronous: the data is encoded once, now, and written when the room has no more to do or
        is about to wait. Raises `WireError` when `data` is not JSON, or larger than what may wait
        for a client (`limits.maxBufferBytes`), and `NotAMember`, telling nobody, when one of `to`
        does not stand in `members`; who is excluded need not.
        """
        return _host_of(self).broadcast(event, data, to, exclude, local=local)

    def relay(self, event: str, data: JSON) -> str:
        """Let the rooms of this name on the other pods tell their members, and nobody here.

        What comes from another pod is not sent on: two pods would echo each other for ever.
        """
        return _host_of(self).relay(event, data)

    def send_to(self, member: Member[D], event: str, data: JSON) -> str:
        """Tell one member, in order with the broadcasts, and return the event's id.

        Raises `NotAMember` for whoever does not stand in `members`, None included.
        """
        return _host_of(self).send(member, event, data)

    def tell_problem(self, member: Member[D], problem: Problem) -> None:
        """Tell one member that something went wrong, in order with what else it is told.

        Whoever a hook is about may be told too, before it is a member or when it is none. Raises
        `NotAMember` for anybody else.
        """
        _host_of(self).tell_problem(member, problem)

    def describe(self, **meta: JSON) -> None:
        """Say what the directory shows of the room beside its name; each call says all of it.

        It outlives a crash of the room, and says nothing where the class is not `listed`. Raises
        `WireError` for what is not JSON, or more than 1 KiB of it.
        """
        _host_of(self).describe(meta)

    def lose(self, events: int = 1) -> None:
        """Count events that members will not hear (`lost` of the room's figures)."""
        _host_of(self).lose(events)

    def after(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back once in so many seconds, unless the room has crashed or stopped by then.

        Until then the room stays, also when nobody is in it.
        """
        return _host_of(self).after(seconds, callback)

    def every(self, seconds: float, callback: Callable[[], Awaitable[None]]) -> Timer:
        """Call back every so many seconds until cancelled or the room has crashed or stopped.

        This keeps no room: one that nobody is in stops after `roomCleanupInterval`.
        """
        return _host_of(self).every(seconds, callback)

    def cancel(self, timer: Timer) -> None:
        """Cancel a timer. Harmless when it is over."""
        timer.cancel()

    def stop(self, reason: str = "") -> None:
        """End the room for good, after the current message. Its members are told `room_closed`."""
        _host_of(self).stop(reason)

    # What you may override --------------------------------------------------------------------

    def initial_state(self) -> S:
        """Return the room's state when it starts, and after a crash under `REBUILD`."""
        return cast(S, None)

    async def on_start(self) -> None:
        """Get ready, before the first message."""

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        """Clean up, within `stop_deadline`. Called after every start, even one that crashed.

        What this raises is logged and never hides why the room ended.
        """

    async def on_idle(self) -> None:
        """Act when nothing waits for the room any more, after what it said was written."""

    def on_lost(self, message: object, error: Exception) -> None:
        """Learn that the room before this one crashed on a message; who said it has been told."""

    # To the checker what follows `member` is anything, so a room may name and type its own.
    async def authorize_join(self, member: Member[D], *params: Any, **more: Any) -> bool:
        """Say whether a member may come in; the configured access rules have already agreed.

        Take one argument more, `params`, and you are told what the client says of its wish, built
        and checked as the annotation says, as for handlers (`@on`). Raise `Refuse` to say why not.

        Occasion again of a member whose identity has changed: who is refused then is out. And of a
        client whom the rules let speak without joining, each time it does; its params are None.
        """
        return True

    async def authorize_emit(self, member: Member[D], event: str, data: JSON) -> bool:
        """Say whether a client may say this; the configured access rules have already agreed."""
        return True

    async def on_join(self, member: Member[D]) -> None:
        """React to a member who comes in; the acknowledgement goes before what is said here.

        When this raises, the member is out again and its join answered with an error, or it is
        told that it is out, when this had waited and so let the acknowledgement go. `on_leave` is
        not called for it (as `__exit__` is not when `__enter__` raises).
        """

    async def on_identity(self, member: Member[D]) -> None:
        """React to a member who is somebody else now, and whom `authorize_join` lets stay.

        It has signed in, signed in as somebody else, or its token has expired.
        """

    async def on_drop(self, member: Member[D]) -> None:
        """React to a member whose connection is lost, and whose place is kept (`grace`).

        It stands in `members`, is `away` and hears nothing. It comes back (`on_return`), or it
        leaves when its time is over, with the reason `did not come back`.
        """

    async def on_return(self, member: Member[D]) -> None:
        """React to a member that is back in its place: the same object, with the same `data`.

        It has been told what was answered meanwhile, and how many of the room's events it missed.
        """

    async def on_leave(self, member: Member[D], reason: str) -> None:
        """React to a member who has gone; it is no longer in `members`.

        Called once for each whose `on_join` has returned, also when the room was busy or had
        crashed as it went, or stops meanwhile; not when the room is given up, or killed.
        """

    async def on_message(self, member: Member[D], event: str, data: JSON) -> None:
        """React to what a client said, and no handler (`@on`) takes.

        As it stands: tell everyone, the sender included; a room that has handlers refuses it.

        Who speaks is a member, or was one when it said this. Only where an access rule lets
        others speak (`"emit": "anyone"`) it may be none: ask whether it stands in `members`.
        """
        self.broadcast(event, data)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        """React to an emit of the pod's own code. As it stands: tell everyone."""
        self.broadcast(event, data)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """React to what the room of this name said on another pod. As it stands: tell everyone.

        What is broadcast meanwhile stays on this pod: the others have heard it too.
        """
        self.broadcast(event, data)

    async def on_degraded(self, outage: Degraded) -> None:
        """React to being cut off from the other pods; members are told without it."""

    async def on_healed(self, healed: Healed) -> None:
        """React to hearing the other pods again; members are told without it."""

    async def on_gap(self, gap: Gap) -> None:
        """React to events of other pods that have not come here; members are told without it.

        Called when a hole is found, with all that this gap has missed so far, and once more, with
        `whole_at`, when the room is known to hear everything again.
        """

    async def on_drain(self) -> None:
        """Hand over what must not end with this pod, before its clients are sent to others.

        What is broadcast still reaches the members here, what is relayed the rooms of this name on
        other pods. The pod waits for all its rooms, 2 seconds at most.
        """


def _host_of(room: Room[Any]) -> Host:
    if room.__host__ is None:
        raise ActorDefinitionError(
            f"{type(room).__name__} has no place in the tree before it is started; "
            "do this in on_start, not in __init__."
        )
    return room.__host__
