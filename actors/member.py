"""A client as rooms and application code see it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ..transport import Identity
from .messages import Down
from .ref import ActorRef

__all__ = ["FrameSink", "Member"]


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


class Member:
    """One connected client. The same object stands in every room the client has joined.

    `identity` is None until the client has authenticated, and again after its token expired.
    `rooms` are the names of those it is in. `local` is whether it is a developer's own: of this
    machine, and the pod runs for development.
    """

    __slots__ = ("address", "client_id", "identity", "local", "ref", "rooms", "sink")

    def __init__(
        self,
        client_id: str,
        ref: ActorRef[Down],
        sink: FrameSink,
        address: str,
        *,
        local: bool = False,
    ) -> None:
        self.client_id = client_id
        self.ref = ref
        self.sink = sink
        self.address = address
        self.local = local
        self.identity: Identity | None = None
        self.rooms: Collection[str] = ()

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

    def __repr__(self) -> str:
        return f"<Member {self.client_id} user={self.user_id}>"
