"""What was signed once is taken once: the window that IPsec has against replays, pure.

Source: RFC 4303, section 3.4.3 and appendix A2. A sender numbers what it signs. A number above all
that came moves the window; one within it is taken unless it came before; one below it is refused,
for nobody can say any more whether it did.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["WIDTH", "Replays"]

WIDTH: Final = 8192
"""Messages of one pod that may overtake another: its channels have no order among each other, and
a batch of two thousand may be under way while the next is signed."""
MOST_SENDERS: Final = 4096
"""Pods that are followed, each start of one anew; the ones silent longest are forgotten."""

_MASK: Final = (1 << WIDTH) - 1


class _Window:
    """The numbers of one sender; bit n of `seen` is the number n below the highest."""

    __slots__ = ("highest", "seen")

    def __init__(self) -> None:
        self.highest = 0
        self.seen = 0

    def admit(self, number: int) -> bool:
        ahead = number - self.highest
        if ahead > 0:
            self.seen = (self.seen << ahead | 1) & _MASK if ahead < WIDTH else 1
            self.highest = number
            return True
        if ahead <= -WIDTH or self.seen >> -ahead & 1:
            return False
        self.seen |= 1 << -ahead
        return True


class Replays:
    """The windows of all senders: what is known of each by its name and epoch."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int], _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def admit(self, sender: str, epoch: int, number: int) -> bool:
        """Say whether this number of a sender comes for the first time."""
        key = (sender, epoch)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window()
            if len(self._windows) > MOST_SENDERS:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(key)
        return window.admit(number)
