"""Everything that can go wrong between the pod and the bytes outside it.

TransportError
├── HandshakeRejected  the client's upgrade request is not one of RFC 6455
├── WireError         the client's message, or the application's data, is not what the wire takes
├── BadToken          the client's token is not good, or not good any more
└── ListenError       the pod cannot listen where it was told to
    └── AddressInUse  somebody else listens there already
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word, and so are these names the field's

__all__ = [
    "AddressInUse",
    "BadToken",
    "HandshakeRejected",
    "ListenError",
    "TransportError",
    "WireError",
]


class TransportError(Exception):
    """Base of all errors of this package."""


class HandshakeRejected(TransportError):
    """An upgrade request that RFC 6455 section 4.2.1 does not allow; the socket is untouched.

    `status` (400 or 426) and `sentence` are the answer that the client should get. A 426 must
    carry the header `Sec-WebSocket-Version: 13` (section 4.4); `headers` holds it.
    """

    def __init__(
        self, status: int, sentence: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


class WireError(TransportError):
    """A message that does not fit the wire protocol.

    `code` is a word for machines, `sentence` tells the remedy, `id` is the message's own id where
    it could be read.
    """

    def __init__(self, code: str, sentence: str, id: str | float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.id = id


class BadToken(TransportError):
    """A token that is refused; `code` is `bad_token` or `expired_token`. Never holds the token."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class ListenError(TransportError):
    """The pod cannot listen on this host and port; the message names the remedy."""


class AddressInUse(ListenError):
    """Another process listens on this port."""
