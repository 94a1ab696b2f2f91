"""A room that fails on purpose, to show what supervision does."""

from deployd.actors import JSON, Member, Room, StatePolicy


class CrashRoom(Room[int]):
    """Repeats what it hears, and fails on "boom".

    With each line it says how many it has heard, which a crash does not change (`KEEP`), and
    which incarnation of the room speaks, which every restart does.
    """

    state_policy = StatePolicy.KEEP

    def initial_state(self) -> int:
        """Begin with nothing heard."""
        return 0

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Fail on "boom", repeat everything else."""
        if data == "boom":
            raise RuntimeError("boom: this room fails on purpose")
        self.state += 1
        incarnation = self.ref.incarnation
        self.broadcast("heard", {"text": data, "lines": self.state, "incarnation": incarnation})
