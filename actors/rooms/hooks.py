"""What an application overrides in a room."""

from __future__ import annotations

from typing import ClassVar, Generic, cast

from ...transport import JSON
from ..cluster import Degraded, Healed
from ..runtime import Actor
from .member import Member
from .roster import S

__all__ = ["RoomHooks"]


class RoomHooks(Actor, Generic[S]):
    """The hooks of a room, each a no-op or the plain thing to do: `Room` has all that they call."""

    _plain_join: ClassVar[bool] = True
    _plain_emit: ClassVar[bool] = True
    _plain_server_emit: ClassVar[bool] = True
    _plain_remote_emit: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Note which hooks are overridden, so that those which are not cost nothing."""
        super().__init_subclass__(**kwargs)
        base = RoomHooks
        cls._plain_join = cls.authorize_join is base.authorize_join
        cls._plain_emit = (
            cls.on_message is base.on_message and cls.authorize_emit is base.authorize_emit
        )
        cls._plain_server_emit = cls.on_server_emit is base.on_server_emit
        cls._plain_remote_emit = cls.on_remote_emit is base.on_remote_emit

    @classmethod
    def hears_the_pod(cls) -> bool:
        """Say whether a hook hears what the pod says, though nobody is in the room."""
        return not cls._plain_server_emit

    def initial_state(self) -> S:
        """Return the room's state when it starts, and after a crash under `REBUILD`."""
        return cast(S, None)

    async def authorize_join(self, member: Member) -> bool:
        """Say whether a member may come in; the configured access rules have already agreed.

        Asked again of a member whose identity has changed: who is refused then is out. And of a
        client whom the rules let speak without joining, each time it does.
        """
        return True

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        """Say whether a client may say this; the configured access rules have already agreed."""
        return True

    async def on_join(self, member: Member) -> None:
        """React to a member who comes in; the acknowledgement goes before what is said here.

        When this raises, the member is out again and its join answered with an error, or it is
        told that it is out, when this had waited and so let the acknowledgement go. `on_leave` is
        not called for it (as `__exit__` is not when `__enter__` raises).
        """

    async def on_identity(self, member: Member) -> None:
        """React to a member who is somebody else now, and whom `authorize_join` lets stay.

        It has signed in, signed in as somebody else, or its token has expired.
        """

    async def on_leave(self, member: Member, reason: str) -> None:
        """React to a member who has gone; it is no longer in `members`.

        Called once for each whose `on_join` has returned, also when the room was busy or had
        crashed as it went, or stops meanwhile; not when the room is given up, or killed.
        """

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """React to what a client said. As it stands: tell everyone, the sender included.

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

    async def on_drain(self) -> None:
        """Hand over what must not end with this pod, before its clients are sent to others.

        What is broadcast still reaches the members here, what is relayed the rooms of this name on
        other pods. The pod waits for all its rooms, 2 seconds at most.
        """

    def broadcast(
        self, event: str, data: JSON, *, exclude: Member | None = None, local: bool = False
    ) -> str:
        """Tell every member; see `Room.broadcast`."""
        raise NotImplementedError
