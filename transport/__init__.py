"""Bytes and outside systems: the wire protocol, WebSockets, HTTP, tokens."""

from .close_codes import CloseCode
from .errors import AddressInUse, BadToken, ListenError, TransportError, WireError
from .frames import PING, close_frame, text_frame
from .handshake import Refusal, UpgradeRequest, is_websocket_path, refuse_upgrade, response_bytes
from .listener import Listener, ListenerLimits, ListenerStatistics, bind
from .names import check_name, is_reserved_room
from .outbox import Outbox, OutboxFailure, OutboxStatistics
from .token_bucket import TokenBucket
from .tokens import Identity, Tokens, constant_time_equal
from .websocket import Closed, HandshakeRejected, Inbox, WebSocket, WebSocketLimits
from .wire import (
    JSON,
    Auth,
    ClientMessage,
    Emit,
    Join,
    Leave,
    Problem,
    RequestId,
    Scope,
    decode,
    encode_auth,
    encode_connect,
    encode_data,
    encode_emit,
    encode_error,
    encode_join,
    encode_leave,
    encode_receipt,
)

__all__ = [
    "JSON",
    "PING",
    "AddressInUse",
    "Auth",
    "BadToken",
    "ClientMessage",
    "CloseCode",
    "Closed",
    "Emit",
    "HandshakeRejected",
    "Identity",
    "Inbox",
    "Join",
    "Leave",
    "ListenError",
    "Listener",
    "ListenerLimits",
    "ListenerStatistics",
    "Outbox",
    "OutboxFailure",
    "OutboxStatistics",
    "Problem",
    "Refusal",
    "RequestId",
    "Scope",
    "TokenBucket",
    "Tokens",
    "TransportError",
    "UpgradeRequest",
    "WebSocket",
    "WebSocketLimits",
    "WireError",
    "bind",
    "check_name",
    "close_frame",
    "constant_time_equal",
    "decode",
    "encode_auth",
    "encode_connect",
    "encode_data",
    "encode_emit",
    "encode_error",
    "encode_join",
    "encode_leave",
    "encode_receipt",
    "is_reserved_room",
    "is_websocket_path",
    "refuse_upgrade",
    "response_bytes",
    "text_frame",
]
