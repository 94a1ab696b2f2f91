"""The room that the self-test page crashes, so that one sees it come back."""

from collections.abc import Mapping
from typing import Any, Final

from ..actors import Member, Room, StatePolicy
from ..transport import JSON

__all__ = ["DEMO_ROOMS", "DemoRoom"]


class DemoRoom(Room[int]):
    """Fails on the event `crash` and repeats every other.

    It counts what it heard. Whoever joins is told the count as `welcome`; after a crash all
    members, who are still in it, are told as `back`. Both name the incarnation that speaks.
    """

    state_policy = StatePolicy.KEEP

    def initial_state(self) -> int:
        """Begin with nothing heard."""
        return 0

    async def on_start(self) -> None:
        """Tell those who were in it before the crash."""
        if self.members:
            self.broadcast("back", self._figures())

    async def on_join(self, member: Member) -> None:
        """Tell who comes in what there is."""
        self.send_to(member, "welcome", self._figures())

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Fail on `crash`, count and repeat everything else."""
        if event == "crash":
            raise RuntimeError("somebody pressed the button that crashes this room")
        self.state += 1
        self.broadcast(event, data)

    def _figures(self) -> JSON:
        return {
            "incarnation": self.ref.incarnation,
            "members": len(self.members),
            "heard": self.state,
        }


DEMO_ROOMS: Final[Mapping[str, type[Room[Any]]]] = {"self-test-*": DemoRoom}
"""What `deployd serve --dev` binds."""
