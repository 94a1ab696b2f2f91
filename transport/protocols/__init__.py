"""What clients speak: the messages, the contract of a protocol, and deployd's own."""

from ...config import JSON
from .contract import ClientProtocol, choose_protocol
from .json_text import MAX_DEPTH, decode_json, encode_data
from .messages import (
    Auth,
    Authenticated,
    ClientMessage,
    Connected,
    Emit,
    Event,
    Failed,
    Join,
    Joined,
    Leave,
    Left,
    Outcome,
    Ping,
    PodMessage,
    Pong,
    Problem,
    Reach,
    Receipted,
    RequestId,
    Scope,
)
from .names import DASHBOARD, check_name, is_reserved_event, is_reserved_room
from .native import NATIVE, NativeProtocol

__all__ = [
    "DASHBOARD",
    "JSON",
    "MAX_DEPTH",
    "NATIVE",
    "Auth",
    "Authenticated",
    "ClientMessage",
    "ClientProtocol",
    "Connected",
    "Emit",
    "Event",
    "Failed",
    "Join",
    "Joined",
    "Leave",
    "Left",
    "NativeProtocol",
    "Outcome",
    "Ping",
    "PodMessage",
    "Pong",
    "Problem",
    "Reach",
    "Receipted",
    "RequestId",
    "Scope",
    "check_name",
    "choose_protocol",
    "decode_json",
    "encode_data",
    "is_reserved_event",
    "is_reserved_room",
]
