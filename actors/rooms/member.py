"""A client as rooms and application code see it."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, cast

from typing_extensions import TypeVar

from ...transport import Asker, ClientProtocol, Identity, PodMessage, binary_frame, text_frame
from ..runtime import ActorRef, Down, RoomError

if TYPE_CHECKING:
    from .seat import Seat

__all__ = ["EVERYONE", "D", "FrameSink", "Member", "Whom", "frame_of"]


D = TypeVar("D", default=Any)
"""What a room keeps of each of its members."""


class Whom(Enum):
    """Whom something is for where nobody is named: no None could be taken for it by mistake."""

    EVERYONE = "everyone"


EVERYONE: Final = Whom.EVERYONE


class FrameSink(Protocol):
    """Where a member's encoded frames go: the outbox of its socket."""

    @property
    def deflates(self) -> bool:
        """Whether the client takes compressed messages."""

    @property
    def lagging(self) -> bool:
        """Whether more than half of what may wait for this client waits."""

    @property
    def written(self) -> tuple[int, int]:
        """Messages and bytes that the kernel has taken."""

    @property
    def waiting(self) -> tuple[int, int]:
        """Messages and bytes that the kernel has not taken yet."""

    def write(self, data: bytes, messages: int = 1) -> None:
        """Take whole WebSocket frames; never waits and never raises."""

    async def flushed(self) -> None:
        """Return when nothing waits any more, or the client is gone."""


class Member(Generic[D]):
    """One connected client; in each room that it has joined it has a `Seat`, which is one too.

    `identity` is None until the client has authenticated, and again after its token expired. What
    a room's hooks are given keeps its identity until the room is told of another
    (`Room.on_identity`): it is the same before and after a hook has waited. `local` is whether it
    is a developer's own: of this machine, and the pod runs for development. `seats` are its
    places in rooms by their names, those it has only asked for included. `protocol` is what it
    speaks: nobody who says something to it need know. `data` is what a room keeps of this member,
    None until the room sets it: it is that room's alone, outlives a crash and ends with the seat.
    """

    __slots__ = (
        "address",
        "client_id",
        "data",
        "identity",
        "local",
        "protocol",
        "ref",
        "seats",
        "sink",
    )

    def __init__(
        self,
        client_id: str,
        ref: ActorRef[Down],
        sink: FrameSink,
        address: str,
        protocol: ClientProtocol,
        *,
        local: bool = False,
    ) -> None:
        self.client_id = client_id
        self.ref = ref
        self.sink = sink
        self.address = address
        self.protocol = protocol
        self.local = local
        self.identity: Identity | None = None
        self.data = cast("D", None)
        self.seats: dict[str, Seat] = {}

    def say(self, message: PodMessage) -> None:
        """Tell this client something, in its own protocol; never waits and never raises."""
        self.sink.write(frame_of(self.protocol, message))

    @property
    def away(self) -> bool:
        """Whether its connection is lost and the room keeps its place (`Room.grace`)."""
        return False

    @property
    def rooms(self) -> Collection[str]:
        """The names of the rooms it is in."""
        return [name for name, seat in self.seats.items() if seat.taken]

    @property
    def authenticated(self) -> bool:
        """Whether the client has shown a token that is still good."""
        return self.identity is not None

    @property
    def user_id(self) -> str | None:
        """The authenticated user, or None."""
        return self.identity.user_id if self.identity else None

    @property
    def username(self) -> str:
        """The authenticated user's name, or the client's id: something to show."""
        return (self.identity.username if self.identity else "") or self.client_id

    @property
    def is_root(self) -> bool:
        """Whether the client's token says root."""
        return self.identity is not None and self.identity.is_root

    def kick(self, code: str, sentence: str) -> None:
        """Put this member out of the room, and tell it why: `code` for programs.

        It is out at once and hears nothing that is said from here on; what was said before is out
        now, as when a hook waits. `on_leave` runs in its turn. Harmless for one that has gone. It
        may join again, unless `authorize_join` refuses it. Raises `ActorDefinitionError` for a code
        that `Refuse` would not take, `RoomError` for a client that is not in.
        """
        raise RoomError(f"{self!r} has not joined, so there is nothing to put it out of.")

    def asker(self) -> Asker:
        """Return on whose account it opens rooms."""
        return Asker.of(self.address, self.user_id, root=self.is_root)

    def as_it_is(self) -> Member:
        """Return the client as it is now, whoever it becomes: one that speaks without joining."""
        now: Member[D] = Member(
            self.client_id, self.ref, self.sink, self.address, self.protocol, local=self.local
        )
        now.identity, now.seats = self.identity, self.seats
        return now

    def __repr__(self) -> str:
        return f"<Member {self.client_id} user={self.user_id}>"


def frame_of(protocol: ClientProtocol, message: PodMessage) -> bytes:
    """Return a message as a whole WebSocket frame, as those who speak the protocol read it."""
    payload = protocol.encode(message)
    return binary_frame(payload) if protocol.binary else text_frame(payload)
