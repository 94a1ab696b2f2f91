"""Everything that can go wrong between the pod and the bytes outside it.

TransportError
├── WireError         the client's message, or the application's data, is not what the wire takes
├── BadToken          the client's token is not good, or not good any more
│   └── TooManyGuesses    the address's: it has shown too many that were not
├── TooManyWaiting    the clients': so many wait for the same that this one should come later
├── ListenError       the pod cannot listen where it was told to
│   └── AddressInUse  somebody else listens there already
├── NoThread          the system's: it starts no more threads for this process
├── QueryError        the client's query is not one
├── BrokerError       what became of the link to the other pods
│   ├── BrokerUnavailable  the world's: refused, silent, cut off; the supervisor tries again
│   ├── BrokerRefused      the operator's: wrong credentials, wrong vhost, no permission
│   ├── MessageTooLarge    the emitter's: above what this broker takes
│   ├── BrokerImportError  the operator's: the class that the settings name cannot be had
│   └── EnvelopeError      somebody else's: what came from the broker is not a pod's
└── StoreError        what became of a document in the database
    ├── DuplicateValue    the writer's: another document has this value of a unique property
    ├── Unstorable        the writer's: the database has no way to hold this document
    ├── StoreUnavailable  the world's: locked, full, or out of reach; nothing was written
    │   └── StoreUncertain    the world's: gone in the middle of a commit: all, or nothing
    └── StoreMisfit       the definition's: the documents there do not allow what it wants
"""

# ruff: noqa: A002 - `id` is the wire protocol's own word, and so are these names the field's

from enum import StrEnum

from .shares import Grant

__all__ = [
    "AddressInUse",
    "BadToken",
    "BrokerError",
    "BrokerImportError",
    "BrokerRefused",
    "BrokerUnavailable",
    "DuplicateValue",
    "EnvelopeError",
    "EnvelopeFault",
    "ListenError",
    "MessageTooLarge",
    "NoThread",
    "QueryError",
    "StoreError",
    "StoreMisfit",
    "StoreUnavailable",
    "StoreUncertain",
    "TooManyGuesses",
    "TooManyWaiting",
    "TransportError",
    "Unstorable",
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


class TooManyWaiting(TransportError):
    """No place to wait for a turn: `grant` says whether it is the asker's own share that is taken.

    Come again later, `seconds` from now.
    """

    seconds = 2

    def __init__(self, grant: Grant) -> None:
        own = grant is Grant.OVER_SHARE
        super().__init__(
            "Too many of your requests wait already; send fewer at a time."
            if own
            else "Too many requests of this kind wait at this moment; try again."
        )
        self.grant = grant


class ListenError(TransportError):
    """The pod cannot listen on this host and port; the message names the remedy."""


class TlsError(TransportError):
    """The certificate or its key cannot be used; the message names the file and the remedy."""


class AddressInUse(ListenError):
    """Another process listens on this port."""


class NoThread(TransportError):
    """The system starts no more threads for this process; what needed one was not done."""

    def __init__(self) -> None:
        super().__init__(
            "The system starts no more threads for this pod; allow for more "
            "(ulimit -u, pids.max of its container, TasksMax of its unit)."
        )


class QueryError(TransportError):
    """A query that cannot be answered; the message names the part and the remedy."""


class StoreError(TransportError):
    """The root of what a store raises. Nothing of the write was kept, `StoreUncertain` excepted.

    The message is for who runs the pod, and `public` the sentence that a client may be told; they
    are the same where the client itself can help it.
    """

    def __init__(self, sentence: str, public: str = "") -> None:
        super().__init__(sentence)
        self.public = public or sentence


class DuplicateValue(StoreError):
    """Another document has the same value of a unique property, `field`."""

    def __init__(self, field: str) -> None:
        super().__init__(f"Another document has this '{field}'; choose another.")
        self.field = field


class Unstorable(StoreError):
    """The database has no way to hold this document: U+0000 in a text, in PostgreSQL, for one."""


class StoreUnavailable(StoreError):
    """The database is locked, full, or cannot be reached: try again in `retry_after` seconds."""

    def __init__(
        self,
        sentence: str,
        public: str = "The database cannot be used at the moment; try again later.",
        retry_after: int = 2,
    ) -> None:
        super().__init__(sentence, public)
        self.retry_after = retry_after


class StoreUncertain(StoreUnavailable):
    """The connection was lost during the commit: all was written, or nothing; look which."""


class StoreMisfit(StoreError):
    """A definition wants what the documents there do not allow, such as a unique property."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "The collection cannot be used at the moment; try again later.")


class BrokerError(TransportError):
    """A link to a broker did not do what it was asked. Messages never hold a secret."""


class BrokerUnavailable(BrokerError):
    """The broker is out of reach, hangs, or has cut us off; trying again is the remedy."""


class BrokerRefused(BrokerError):
    """The broker is there and does not let us in: trying again helps only after a change."""


class BrokerImportError(BrokerError):
    """The settings name a broker's class that is not there, or is none."""


class MessageTooLarge(BrokerError):
    """A message that this broker does not take; nothing of its batch was sent."""

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
