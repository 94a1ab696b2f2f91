"""Everything that can go wrong between the pod and the bytes outside it.

TransportError
├── WireError         the client's message, or the application's data, is not what the wire takes
├── BadToken          the client's token is not good, or not good any more
│   └── TooManyGuesses    the address's: it has shown too many that were not
├── TlsError          the operator's: a certificate or key that cannot be used
├── ListenError       the pod cannot listen where it was told to
│   └── AddressInUse  somebody else listens there already
├── NoThread          the system's: it starts no more threads for this process
└── BrokerError       what became of the link to the other pods
    ├── BrokerUnavailable  the world's: refused, silent, cut off; the supervisor tries again
    ├── BrokerRefused      the operator's: wrong credentials, wrong vhost, no permission
    ├── MessageTooLarge    the emitter's: above what this broker takes
    ├── MessagesRefused    the operator's: a subject or key that this pod may not speak on
    ├── SubscriptionRefused  the operator's: one that it may not hear
    ├── BrokerImportError  the operator's: the class that the settings name cannot be had
    └── EnvelopeError      somebody else's: what came from the broker is not a pod's
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word, and so are these names the field's

from collections.abc import Sequence
from enum import StrEnum

__all__ = [
    "AddressInUse",
    "BadToken",
    "BrokerError",
    "BrokerImportError",
    "BrokerRefused",
    "BrokerUnavailable",
    "EnvelopeError",
    "EnvelopeFault",
    "FrameViolation",
    "ListenError",
    "MessageTooLarge",
    "MessagesRefused",
    "NoThread",
    "SubscriptionRefused",
    "TooManyGuesses",
    "TransportError",
    "WireError",
]


class TransportError(Exception):
    """Base of all errors of this package."""


class WireError(TransportError):
    """A message that does not fit the wire protocol.

    `code` is a word for machines, `sentence` tells the remedy, `id` and `room` are the message's
    own where they could be read.
    """

    def __init__(
        self, code: str, sentence: str, id: str | float | None = None, room: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.id = id
        self.room = room


class FrameViolation(TransportError):
    """A frame that a client must not send: its connection is closed with this code and sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class BadToken(TransportError):
    """A token that is refused; `code` is `bad_token` or `expired_token`. Never holds the token."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class TooManyGuesses(BadToken):
    """A key or token that was not even looked at; in `seconds` the next one is."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "too_many_guesses",
            f"Too many wrong keys or tokens from this address; try again in {seconds} s.",
        )
        self.seconds = seconds


class ListenError(TransportError):
    """The pod cannot listen on this host and port; the message names the remedy."""


class TlsError(TransportError):
    """The certificate or its key cannot be used; the message names the file and the remedy."""


class AddressInUse(ListenError):
    """Another process listens on this port."""


class ApplicationNotStarted(TransportError):
    """The application that was to be mounted has refused to start; the program's to mend."""


class NoThread(TransportError):
    """The system starts no more threads for this process; what needed one was not done."""

    def __init__(self) -> None:
        super().__init__(
            "The system starts no more threads for this pod; allow for more "
            "(ulimit -u, pids.max of its container, TasksMax of its unit)."
        )


class BrokerError(TransportError):
    """A link to a broker did not do what it was asked. Messages never hold a secret."""


class BrokerUnavailable(BrokerError):
    """The broker is out of reach, hangs, or has cut us off; trying again is the remedy."""


class BrokerRefused(BrokerError):
    """The broker is there and does not let us in: trying again helps only after a change."""


class BrokerImportError(BrokerError):
    """The settings name a broker's class that is not there, or is none."""


class MessagesRefused(BrokerError):
    """Messages that this broker does not take, now or later; the connection is well.

    `indexes` are their places in the batch. All others of it were taken.
    """

    def __init__(self, indexes: Sequence[int], sentence: str) -> None:
        super().__init__(sentence)
        self.indexes = tuple(indexes)


class SubscriptionRefused(BrokerError):
    """Channels that this broker does not let us hear; the connection is well.

    The other channels of the call are heard.
    """

    def __init__(self, channels: Sequence[str], sentence: str) -> None:
        super().__init__(sentence)
        self.channels = tuple(channels)


class MessageTooLarge(BrokerError):
    """A message above what this broker takes, which its `max_payload` says by now.

    Nothing of its batch was sent where that was known before; where the server said it, any
    other message of the batch may have been taken.
    """

    def __init__(self, channel: str, nbytes: int, limit: int) -> None:
        super().__init__(
            f"A message of {nbytes} bytes for {channel} is above the broker's {limit}; "
            "send less at a time, or raise the broker's limit."
        )
        self.channel = channel
        self.nbytes = nbytes
        self.limit = limit


class EnvelopeFault(StrEnum):
    """What is wrong with a message from the broker: the reasons that are counted apart."""

    MALFORMED = "malformed"
    """No version known here writes such a message."""
    TOO_LARGE = "too_large"
    """More bytes or events than a pod sends, or than a client's buffer takes."""
    RESERVED = "reserved"
    """It speaks with the pods' own voice, or in a room that each pod writes alone."""
    MISPLACED = "misplaced"
    """It came on a channel where it does not belong."""
    UNSIGNED = "unsigned"
    """There is a secret, and nobody signed it."""
    FORGED = "forged"
    """It is signed with another secret, for another channel, or was changed on the way."""
    REPLAYED = "replayed"
    """It has come before, or so many after it that this cannot be told any more."""
    STALE = "stale"
    """It was signed too long ago, or by a pod whose clock is wrong."""


class EnvelopeError(BrokerError):
    """A message from the broker that is not a pod's, or that no pod may say; it is dropped."""

    def __init__(self, sentence: str, fault: EnvelopeFault = EnvelopeFault.MALFORMED) -> None:
        super().__init__(sentence)
        self.fault = fault
