"""Noughts and crosses: two play in turn, and who loses the connection keeps the place."""

from attrs import define, field

from deployd.actors import JSON, Member, Refuse, Room, on

LINES = ("012", "345", "678", "036", "147", "258", "048", "246")


@define
class Game:
    """Nine squares, whose turn it is, and who has won (or `nobody`)."""

    squares: list[str] = field(factory=lambda: [""] * 9)
    turn: str = "X"
    winner: str | None = None


@define
class Player:
    """Which of the two signs is the player's."""

    sign: str


class Noughts(Room[Game, Player]):
    """Emit `move` with a square, 0 to 8; hear `game`, and `away` when somebody is waited for."""

    max_members = 2
    grace = 30

    def initial_state(self) -> Game:
        """Begin with X."""
        return Game()

    async def on_join(self, member: Member[Player]) -> None:
        """Give out the sign that is free."""
        taken = {other.data.sign for other in self.members.values() if other is not member}
        member.data = Player("O" if "X" in taken else "X")
        self.send_to(member, "you_are", member.data.sign)
        self._show()

    async def on_drop(self, member: Member[Player]) -> None:
        """Tell whom the game waits for."""
        self.broadcast("away", {"sign": member.data.sign, "seconds": self.grace})

    async def on_return(self, member: Member[Player]) -> None:
        """Go on where it was."""
        self.send_to(member, "you_are", member.data.sign)
        self._show()

    async def on_leave(self, member: Member[Player], reason: str) -> None:
        """Let the other one win, if the game was still on."""
        if any(self.state.squares) and self.state.winner is None:
            self.state.winner = "O" if member.data.sign == "X" else "X"
            self._show()

    @on("move")
    def move(self, member: Member[Player], square: int) -> None:
        """Set a sign."""
        game = self.state
        if game.winner is not None:
            raise Refuse("The game is over.", code="over")
        if member.data.sign != game.turn or len(self.members) < self.max_members:
            raise Refuse("It is not your turn.", code="not_your_turn")
        if not 0 <= square <= 8 or game.squares[square]:
            raise Refuse("Take a free square.", code="taken")
        game.squares[square] = game.turn
        if any(all(game.squares[int(at)] == game.turn for at in line) for line in LINES):
            game.winner = game.turn
        elif all(game.squares):
            game.winner = "nobody"
        game.turn = "O" if game.turn == "X" else "X"
        self._show()

    @on("again")
    def again(self, member: Member[Player]) -> None:
        """Begin another one."""
        if self.state.winner is None:
            raise Refuse("Play this one to its end.", code="not_over")
        self.state = Game()
        self._show()

    def _show(self) -> None:
        game = self.state
        shown: dict[str, JSON] = {"squares": [*game.squares], "players": len(self.members)}
        shown |= {"turn": game.turn, "winner": game.winner}
        self.broadcast("game", shown, local=True)
