"""An auction: whoever has bid most when the time is up has won."""

import trio
from attrs import define

from deployd.actors import Member, Refuse, Room, on


@define
class Lot:
    """What is sold: until when (trio's seconds), and who has bid most."""

    ends: float
    amount: float = 0
    user: str | None = None


class Auction(Room[Lot]):
    """Emit `bid`, and be answered how long you have to lead; hear `leading`, and `sold` at last."""

    def initial_state(self) -> Lot:
        """Begin, for a minute."""
        return Lot(trio.current_time() + 60)

    async def on_start(self) -> None:
        """Set the time, also after a crash: the state has outlived it."""
        self.after(max(0.0, self.state.ends - trio.current_time()), self._sell)

    @on("bid")
    def bid(self, member: Member, amount: float) -> float:
        """Let them lead, and return the seconds that are left."""
        if amount <= self.state.amount:
            raise Refuse("Bid more.", least=self.state.amount + 1)
        self.state.amount, self.state.user = amount, member.username
        self.broadcast("leading", {"user": self.state.user, "amount": amount})
        return self.state.ends - trio.current_time()

    async def _sell(self) -> None:
        self.broadcast("sold", {"user": self.state.user, "amount": self.state.amount})
        self.stop("sold")
