"""A whiteboard: everybody draws, and sees who else is there, on whatever pods."""

from attrs import frozen

from deployd.actors import JSON, Member, Presence, Room, on

COLOURS = ("crimson", "royalblue", "seagreen", "darkorange", "purple", "teal")
MOST_STROKES = 2_000


@frozen
class Stroke:
    """A line through points, each `[x, y]` from 0 to 1000."""

    points: list[list[int]]
    colour: str


class Whiteboard(Room[list[JSON]]):
    """Emit `draw` and `wipe`; hear `board` at first, then `drawn`, `wiped` and `presence`."""

    presence = Presence()

    def initial_state(self) -> list[JSON]:
        """Begin with nothing on it."""
        return []

    async def on_join(self, member: Member) -> None:
        """Give a colour, and show what is on the board."""
        self.presence.track(member, colour=COLOURS[(len(self.presence) - 1) % len(COLOURS)])
        self.send_to(member, "board", self.state)

    @on("draw")
    def draw(self, member: Member, stroke: Stroke) -> None:
        """Show it to the others, here and on other pods."""
        points: list[JSON] = [[*point] for point in stroke.points]
        drawn: JSON = {"points": points, "colour": stroke.colour}
        self._keep("drawn", drawn)
        self.broadcast("drawn", drawn, exclude=member)

    @on("wipe")
    def wipe(self, member: Member) -> None:
        """Begin anew."""
        self._keep("wiped", None)
        self.broadcast("wiped", None)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Draw what was drawn on another pod: what is said is what keeps the boards equal."""
        self._keep(event, data)
        self.broadcast(event, data)

    def _keep(self, event: str, data: JSON) -> None:
        if event == "wiped":
            self.state.clear()
        else:
            self.state.append(data)
            del self.state[:-MOST_STROKES]
