"""A chat room: whoever comes in hears what was said, whoever talks too fast is slowed down."""

import math
from collections import deque

import trio

from deployd.actors import JSON, Member, Room, StatePolicy
from deployd.transport import TokenBucket

HISTORY = 50
"""Lines that a newcomer is sent."""

LONGEST_LINE = 500
"""Characters of one line. With `HISTORY` it bounds what one newcomer's socket has to take."""

RATE, BURST = 1.0, 5.0
"""Lines a second that a member may say for long, and lines that it may say at once."""


class ChatRoom(Room[deque[JSON]]):
    """Say something with the event `say`; hear `said`, `history` and perhaps `slow-down`.

    The history is the room's state and outlives a crash. Who talks how fast belongs to one
    incarnation: after a crash everyone starts with a full bucket, and nobody minds.
    """

    state_policy = StatePolicy.KEEP

    def __init__(self) -> None:
        self._pace: dict[str, TokenBucket] = {}

    def initial_state(self) -> deque[JSON]:
        """Begin with nothing said; the oldest line goes when there are too many."""
        return deque(maxlen=HISTORY)

    async def on_join(self, member: Member) -> None:
        """Tell the newcomer, and nobody else, what was said before."""
        self._forget_the_rested()
        self.send_to(member, "history", list(self.state))

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        """Let lines of text be said, as fast as the rule allows; only members are asked."""
        is_line = event == "say" and isinstance(data, str) and len(data) <= LONGEST_LINE
        return is_line and self._in_time(member)

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        """Keep the line and tell everyone."""
        line: JSON = {"from": member.username, "text": data}
        self.state.append(line)
        self.broadcast("said", line)

    def _in_time(self, member: Member) -> bool:
        now = trio.current_time()
        pace = self._pace.setdefault(member.client_id, TokenBucket(RATE, BURST, now))
        if pace.take(now):
            return True
        tenths = math.ceil(10 * pace.retry_after(now))  # up: who waits so long is never too early
        self.send_to(member, "slow-down", {"seconds": tenths / 10})
        return False

    def _forget_the_rested(self) -> None:
        # Not in on_leave: who leaves and comes back at once must not find a full bucket.
        now = trio.current_time()
        rested = [who for who, pace in self._pace.items() if pace.retry_after(now, BURST) == 0]
        for who in rested:
            del self._pace[who]
