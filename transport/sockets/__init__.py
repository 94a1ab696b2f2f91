"""One port and its connections: who may come, RFC 6455, TLS, what waits to be written."""

from .admission import Admission
from .deflate import Deflater
from .descriptors import shortage
from .forwarded import Networks, client_address, networks
from .frames import PING, binary_frame, close_frame, text_frame
from .handshake import Opening, UpgradeRequest, choose_route, is_websocket_path, refuse_upgrade
from .listener import GONE, REFUSALS, UPGRADED, Listener, ListenerLimits, ListenerStatistics, bind
from .locality import Premises, is_loopback
from .outbox import Outbox, OutboxFailure, OutboxStatistics, Spawn
from .refusal import Refusal, http_date, response_bytes
from .request import HeadReader, RequestHead
from .tls import Certificate, TlsTerminator
from .websocket import Closure, MessageReceiver, WebSocket, WebSocketLimits

__all__ = [
    "GONE",
    "PING",
    "REFUSALS",
    "UPGRADED",
    "Admission",
    "Certificate",
    "Closure",
    "Deflater",
    "HeadReader",
    "Listener",
    "ListenerLimits",
    "ListenerStatistics",
    "MessageReceiver",
    "Networks",
    "Opening",
    "Outbox",
    "OutboxFailure",
    "OutboxStatistics",
    "Premises",
    "Refusal",
    "RequestHead",
    "Spawn",
    "TlsTerminator",
    "UpgradeRequest",
    "WebSocket",
    "WebSocketLimits",
    "binary_frame",
    "bind",
    "choose_route",
    "client_address",
    "close_frame",
    "http_date",
    "is_loopback",
    "is_websocket_path",
    "networks",
    "refuse_upgrade",
    "response_bytes",
    "shortage",
    "text_frame",
]
