"""Why a WebSocket is closed, in the number that the peer gets (RFC 6455 section 7.4).

The private range says what a client should do: 4000 to 4499 means come back, 4500 to 4999 means
do not come back before something has changed.
"""

import enum

__all__ = ["CloseCode", "has_vanished"]


class CloseCode(enum.IntEnum):
    """A close code that the pod sends; `remedy` tells the client what to do about it.

    1005, 1006 and 1015 are missing: they never travel in a frame (section 7.4.1).
    """

    remedy: str

    def __new__(cls, code: int, remedy: str = "") -> "CloseCode":
        """Take the code and its remedy from one row of the table below."""
        self = int.__new__(cls, code)
        self._value_ = code
        self.remedy = remedy
        return self

    NORMAL = 1000, "Nothing went wrong; connect again when you need to."
    GOING_AWAY = 1001, "The server is going away; connect again, with a random delay."
    PROTOCOL_ERROR = 1002, "Send frames as RFC 6455 demands; the reason names what was wrong."
    UNSUPPORTED_DATA = 1003, "Send text messages; binary ones are not understood."
    INVALID_PAYLOAD = 1007, "Send text as valid UTF-8."
    POLICY_VIOLATION = 1008, "Change what the reason names before you connect again."
    MESSAGE_TOO_BIG = 1009, "Send smaller messages; the reason names the limit."
    INTERNAL_ERROR = 1011, "The server failed; connect again, with a growing delay."
    SERVICE_RESTART = 1012, "The server restarts; connect again after the time in the reason."
    TRY_AGAIN_LATER = 1013, "The server is overloaded; connect again, with a growing delay."

    SLOW_CONSUMER = 4000, "Read faster or join fewer rooms, then connect again."
    PONG_TIMEOUT = 4001, "Answer pings in time; connect again."
    DEAD_CLIENT = 4002, "Read what is sent to you; connect again."

    TOKEN_EXPIRED = 4500, "Get a new token before you connect again."
    AUTH_TIMEOUT = 4501, "Send an 'auth' message right after connecting."
    ABUSE = 4502, "Correct what the errors you were sent named before you connect again."

    @property
    def reconnect(self) -> bool:
        """Whether the same client, unchanged, may come back and hope for better."""
        if self >= 4000:
            return self < 4500
        return self in _TRANSIENT


_TRANSIENT = frozenset({1000, 1001, 1011, 1012, 1013})


def has_vanished(code: int) -> bool:
    """Whether a client whose connection has ended so has not wanted that, and may be back.

    Who closes with 1000 has said goodbye; a page that is left (1001) may be loaded again.
    """
    try:
        known = CloseCode(code)
    except ValueError:
        return True
    return known.reconnect and known is not CloseCode.NORMAL
