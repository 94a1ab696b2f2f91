"""Rooms: who is where, what is said, how it reaches everybody."""

from .answering import on
from .directory import ListedRoom, RoomDirectory, RoomListing, rooms_of
from .fanout import Batching
from .headcount import publish_elsewhere
from .hub import Hub
from .member import Member, frame_of
from .problems import room_closed
from .receipt import Receipt
from .refusal import Refuse
from .replies import Replies, Reply, settle_unheard
from .room import Room
from .room_actor import RoomActor
from .rooms import (
    RoomFactory,
    RoomRef,
    Rooms,
    hand_over,
    hand_over_in_turn,
    load_room_classes,
    own_up,
    tell_gap,
)
from .roster import (
    EventIds,
    RoomEmit,
    RoomEnvironment,
    RoomRules,
    Roster,
    ServerEmit,
    StatePolicy,
)
from .seat import Seat, Standing, same_person
from .thread_hub import ThreadHub

__all__ = [
    "Batching",
    "EventIds",
    "Hub",
    "ListedRoom",
    "Member",
    "Receipt",
    "Refuse",
    "Replies",
    "Reply",
    "Room",
    "RoomActor",
    "RoomDirectory",
    "RoomEmit",
    "RoomEnvironment",
    "RoomFactory",
    "RoomListing",
    "RoomRef",
    "RoomRules",
    "Rooms",
    "Roster",
    "Seat",
    "ServerEmit",
    "Standing",
    "StatePolicy",
    "ThreadHub",
    "frame_of",
    "hand_over",
    "hand_over_in_turn",
    "load_room_classes",
    "on",
    "own_up",
    "publish_elsewhere",
    "room_closed",
    "rooms_of",
    "same_person",
    "settle_unheard",
    "tell_gap",
]
