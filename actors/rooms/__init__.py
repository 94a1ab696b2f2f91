"""Rooms: who is where, what is said, how it reaches everybody."""

from .asyncapi import OfferedRooms, asyncapi
from .directory import ListedRoom, RoomDirectory, RoomListing, rooms_of
from .fanout import Batching
from .handlers.answering import on
from .handlers.json_schema import Schema, Schemas, may_be_left_out
from .handlers.refusal import Refuse
from .headcount import publish_elsewhere
from .hub import Hub
from .member import Member, frame_of
from .offer import EventOffer, RoomOffer, offer_of
from .person import Person
from .presence import Presence
from .problems import room_closed
from .receipt import Receipt
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
from .seat import Seat, same_person
from .standing import Standing
from .thread_hub import ThreadHub

__all__ = [
    "Batching",
    "EventIds",
    "EventOffer",
    "Hub",
    "ListedRoom",
    "Member",
    "OfferedRooms",
    "Person",
    "Presence",
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
    "RoomOffer",
    "RoomRef",
    "RoomRules",
    "Rooms",
    "Roster",
    "Schema",
    "Schemas",
    "Seat",
    "ServerEmit",
    "Standing",
    "StatePolicy",
    "ThreadHub",
    "asyncapi",
    "frame_of",
    "hand_over",
    "hand_over_in_turn",
    "load_room_classes",
    "may_be_left_out",
    "offer_of",
    "on",
    "own_up",
    "publish_elsewhere",
    "room_closed",
    "rooms_of",
    "same_person",
    "settle_unheard",
    "tell_gap",
]
