"""The runtime: actors, their mailboxes, references, timers; what ends them."""

from .actor import Actor, awaitable
from .affinity import Affinity
from .cell import ActorCell, ActorStatistics
from .dead_letters import DEAD_LETTER_REASONS, DeadLetter, DeadLetters, DeadLetterStatistics
from .errors import (
    ActorDead,
    ActorDefinitionError,
    ActorError,
    AskTimeout,
    BaseExceptionRaised,
    EnvironmentFailure,
    MailboxFull,
    NotAMember,
    Poisoned,
    RoomError,
    RoomImportError,
    TooManyRooms,
    Unanswered,
    Unhandled,
    WrongThread,
)
from .failures import contained, error_text, failure_of, writable
from .handling import Handler, Handling, handler_of, handles
from .mailbox import Mailbox
from .messages import Delivery, Down, Draining, Exit, ExitKind, Request, Returnable, size_of
from .overflow import Conflate, MailboxStatistics, Overflow, conflate
from .ref import ActorRef, Later
from .suspension import on_suspend, run_by
from .timers import Timer, Timers

__all__ = [
    "DEAD_LETTER_REASONS",
    "Actor",
    "ActorCell",
    "ActorDead",
    "ActorDefinitionError",
    "ActorError",
    "ActorRef",
    "ActorStatistics",
    "Affinity",
    "AskTimeout",
    "BaseExceptionRaised",
    "Conflate",
    "DeadLetter",
    "DeadLetterStatistics",
    "DeadLetters",
    "Delivery",
    "Down",
    "Draining",
    "EnvironmentFailure",
    "Exit",
    "ExitKind",
    "Handler",
    "Handling",
    "Later",
    "Mailbox",
    "MailboxFull",
    "MailboxStatistics",
    "NotAMember",
    "Overflow",
    "Poisoned",
    "Request",
    "Returnable",
    "RoomError",
    "RoomImportError",
    "Timer",
    "Timers",
    "TooManyRooms",
    "Unanswered",
    "Unhandled",
    "WrongThread",
    "awaitable",
    "conflate",
    "contained",
    "error_text",
    "failure_of",
    "handler_of",
    "handles",
    "on_suspend",
    "run_by",
    "size_of",
    "writable",
]
