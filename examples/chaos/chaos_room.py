"""An auction: members bid, and all hear the price. One version of it is right, one is not."""

from deployd.actors import JSON, Member, Room


class ForgetfulAuction(Room[None]):
    """Let members `bid`, and tell all the `price`. It has two bugs that no ordinary test finds.

    The price is kept in the object, which a crash throws away; and what is bid on another pod is
    told here, whatever the price is.
    """

    def __init__(self) -> None:
        self.price = 0

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Take a bid that is above the price."""
        if event == "bid" and isinstance(data, int) and data > self.price:
            self.price = data
            self.broadcast("price", data)


class Auction(Room[int]):
    """The same, with the price in `state`, which outlives a crash, and other pods' bids in it."""

    def initial_state(self) -> int:
        """Begin at nothing."""
        return 0

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Take a bid that is above the price."""
        if event == "bid":
            self._bid(data)

    async def on_remote_emit(self, event: str, data: JSON) -> None:
        """Take what was bid on another pod in the same way: it may come late."""
        if event == "price":
            self._bid(data)

    def _bid(self, price: JSON) -> None:
        if isinstance(price, int) and price > self.state:
            self.state = price
            self.broadcast("price", price)
