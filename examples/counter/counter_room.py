"""A game of counting: a clock that ticks, a score for each, and questions from outside."""

from attrs import define, field

from deployd.actors import JSON, Member, Request, Room, StatePolicy, handles

ROUND = 5
"""Ticks of one round."""

TICK = 1.0
"""Seconds from one tick to the next."""


class Score(Request[dict[str, int]]):
    """Ask a counter room who has counted how far in this round, by client id."""


@define
class Round:
    """One round of the game: the ticks left and how far each has counted, by client id."""

    left: int = ROUND
    counts: dict[str, int] = field(factory=dict)

    @property
    def winner(self) -> str | None:
        """Who has counted furthest; whoever counted first when two are equal."""
        return max(self.counts, key=lambda client_id: self.counts[client_id], default=None)


class CounterRoom(Room[Round]):
    """Emit `count` as often as you can; hear your own `score`, each `tick`, and who won at `over`.

    A crash spoils a round: whose click was lost cannot be told any more, so keeping the scores
    would be unfair. Under `REBUILD` the next incarnation begins a new round.
    """

    state_policy = StatePolicy.REBUILD

    def initial_state(self) -> Round:
        """Begin a round."""
        return Round()

    async def on_start(self) -> None:
        """Start the clock. It dies with the incarnation, so each has exactly one."""
        self.every(TICK, self._tick)

    async def on_leave(self, member: Member, reason: str) -> None:
        """Take the one who goes out of the round."""
        self.state.counts.pop(member.client_id, None)

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        """Let them count, and nothing else; only members are asked."""
        return event == "count"

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Count, and tell the one who counted."""
        counts = self.state.counts
        counts[member.client_id] = counts.get(member.client_id, 0) + 1
        self.send_to(member, "score", counts[member.client_id])

    @handles(Score)
    async def score(self, message: Score) -> dict[str, int]:
        """Answer the pod's own code: `await pod.hub.room("counter-1").ask(Score(), timeout=1)`."""
        return dict(self.state.counts)

    async def _tick(self) -> None:
        if not self.members:
            return
        self.state.left -= 1
        if self.state.left:
            self.broadcast("tick", self.state.left)
        else:
            scores: dict[str, JSON] = {**self.state.counts}
            self.broadcast("over", {"winner": self.state.winner, "scores": scores})
            self.state = self.initial_state()
