"""Who talks to whom: actors, their mailboxes and the references to them.

Everything here belongs to trio's thread. An actor handles one message at a time; what survives
its crashes is its cell, and the supervisors to the right of this package drive that.
"""

from __future__ import annotations

from ..transport import JSON, Scope
from .access import AccessPolicy, Listening
from .actor import Actor, handles
from .affinity import Affinity
from .cell import ActorCell, ActorStatistics
from .connection import ConnectionActor, connection_cell
from .dead_letters import DeadLetter, DeadLetters, DeadLetterStatistics
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
from .failures import contained, failure_of, told
from .fanout import Batching
from .heartbeat import Heartbeat
from .hub import Hub, ThreadHub
from .links import Degraded, Healed, LinkActor, Listeners, Notices, OutageCode, Uplink
from .mailbox import Mailbox
from .member import Member
from .messages import Delivery, Down, Exit, ExitKind, Request, size_of
from .overflow import Conflate, MailboxStatistics, Overflow, conflate
from .receipt import Receipt
from .ref import ActorRef, Later
from .room import Room
from .rooms import RoomRef, Rooms, hand_over, load_room_classes, own_up
from .roster import EventIds, RoomEnvironment, Roster, StatePolicy
from .session import ConnectionEnvironment
from .timers import Timer, Timers

__all__ = [
    "JSON",
    "AccessPolicy",
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
    "Batching",
    "Conflate",
    "ConnectionActor",
    "ConnectionEnvironment",
    "DeadLetter",
    "DeadLetterStatistics",
    "DeadLetters",
    "Degraded",
    "Delivery",
    "Down",
    "EnvironmentFailure",
    "EventIds",
    "Exit",
    "ExitKind",
    "Healed",
    "Heartbeat",
    "Hub",
    "Later",
    "LinkActor",
    "Listeners",
    "Listening",
    "Mailbox",
    "MailboxFull",
    "MailboxStatistics",
    "Member",
    "NotAMember",
    "Notices",
    "OutageCode",
    "Overflow",
    "Poisoned",
    "Receipt",
    "Request",
    "Room",
    "RoomEnvironment",
    "RoomError",
    "RoomImportError",
    "RoomRef",
    "Rooms",
    "Roster",
    "Scope",
    "StatePolicy",
    "ThreadHub",
    "Timer",
    "Timers",
    "TooManyRooms",
    "Unanswered",
    "Unhandled",
    "Uplink",
    "WrongThread",
    "conflate",
    "connection_cell",
    "contained",
    "failure_of",
    "hand_over",
    "handles",
    "load_room_classes",
    "own_up",
    "size_of",
    "told",
]
