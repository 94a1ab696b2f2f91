"""The limits section: what clients may use."""

import attrs

from .fields import setting

KIB, MIB = 2**10, 2**20


@attrs.frozen
class Limits:
    """What one client, and all of them together, may use."""

    max_connections: int = setting(
        10_000,
        unit="connections",
        ge=1,
        help="Clients of one pod; more are answered 503.",
        live=True,
    )
    max_http_connections: int = setting(
        2000,
        unit="connections",
        ge=1,
        help="Connections of one pod that are no WebSockets, or none yet. Who finds no room takes "
        "that of a connection that waits; where all work, more are answered 503, of one address "
        "above `addressShare` 429.",
    )
    max_http_bytes: int = setting(
        256 * MIB,
        unit="bytes",
        ge=MIB,
        help="Memory for bodies and large answers that are on their way over HTTP; for more 503, "
        "of one address above `addressShare` 429.",
    )
    max_rooms_per_client: int = setting(
        100, unit="rooms", ge=1, help="Rooms that one client may be in.", live=True
    )
    message_rate_limit: float = setting(
        100.0, unit="messages/s", ge=0, help="What one client may send; 0 is no limit.", live=True
    )
    join_rate_limit: float = setting(
        20.0,
        unit="joins/s",
        ge=0,
        help="Rooms that one client may join, `maxRoomsPerClient` of them at once; 0 is no limit.",
        live=True,
    )
    byte_rate_limit: float = setting(
        2.0 * MIB,
        unit="bytes/s",
        ge=0,
        help="What one client may send, in bytes; 0 is no limit.",
        live=True,
    )
    ping_interval: float = setting(
        54.0, unit="seconds", gt=0, help="Time between two pings to a client."
    )
    pong_timeout: float = setting(
        10.0, unit="seconds", gt=0, help="How long a client may take to answer a ping."
    )
    message_buffer_size: int = setting(
        256, unit="messages", ge=1, help="What may wait for one client before it is closed."
    )
    room_cleanup_interval: float = setting(
        300.0, unit="seconds", gt=0, help="Time after which a room without members stops."
    )
    dead_client_timeout: float = setting(
        60.0,
        unit="seconds",
        gt=0,
        help="How long a client may leave what waits for it untouched before it is closed.",
    )
    max_message_bytes: int = setting(
        64 * KIB, unit="bytes", ge=1, help="Size of one message from a client."
    )
    max_fragments: int = setting(
        64, unit="fragments", ge=1, help="Frames that one message may come in."
    )
    max_buffer_bytes: int = setting(
        MIB, unit="bytes", ge=1, help="What may wait for one client before it is closed."
    )
    max_client_rooms: int = setting(
        10_000, unit="rooms", ge=0, help="Rooms of one pod that clients may create.", live=True
    )
    max_name_length: int = setting(
        128, unit="characters", ge=1, help="Length of the name of a room or an event."
    )
    handshake_timeout: float = setting(
        10.0,
        unit="seconds",
        gt=0,
        help="How long a client may take to send a request's head, and again for its body.",
    )
    keep_alive_timeout: float = setting(
        5.0,
        unit="seconds",
        gt=0,
        help="How long an HTTP connection may be silent between two requests. Give it longer than "
        "a proxy in front keeps its connections, which else may ask on one that is just closed.",
    )
    max_head_bytes: int = setting(
        16 * KIB, unit="bytes", ge=256, help="Size of a request's head; more is answered 431."
    )
    max_body_bytes: int = setting(
        MIB, unit="bytes", ge=0, help="Size of a request's body; more is answered 413."
    )
    abuse_limit: int = setting(
        20,
        unit="errors",
        ge=1,
        help="Errors in `abusePeriod` after which a client is closed.",
        live=True,
    )
    abuse_period: float = setting(
        10.0, unit="seconds", gt=0, help="Time over which a client's errors are counted.", live=True
    )
    room_mailbox_size: int = setting(
        1000, unit="messages", ge=1, help="What may wait for one room; then emitters wait."
    )
    room_mailbox_bytes: int = setting(
        8 * MIB, unit="bytes", ge=1, help="What may wait for one room; then emitters wait."
    )
    accept_rate: float = setting(
        1000.0,
        unit="handshakes/s",
        ge=0,
        help="WebSocket handshakes that are begun; more are answered 503; 0 is no limit.",
        live=True,
    )
    accept_burst: int = setting(
        2000, unit="handshakes", ge=1, help="Handshakes that may come at once.", live=True
    )
    address_share: float = setting(
        0.5,
        gt=0,
        le=1,
        help="Part of what all clients share (connections, handshakes, rooms, passwords and "
        "queries that wait) that one address may take (IPv6: one /64).",
    )
    user_share: float = setting(
        0.25, gt=0, le=1, help="Part of it that one user may take, from all its addresses."
    )
    reserve: float = setting(
        0.1,
        ge=0,
        le=0.9,
        help="Part of it that is kept for root and for the pod itself: its own rooms, health.",
    )
    max_connections_per_address: int = setting(
        0,
        unit="connections",
        ge=0,
        help="Clients of one address (IPv6: of one /64); more are answered 429; 0 is "
        "`addressShare` of `maxConnections`.",
        live=True,
    )
    max_queries: int = setting(
        500,
        unit="queries",
        ge=1,
        help="Lists and counts of documents that run or wait, `store.poolSize` at a time, the "
        "addresses in turns; more are answered 429 or 503.",
    )
    emit_timeout: float = setting(
        5.0, unit="seconds", gt=0, help="How long a room may take to answer a join or an emit."
    )
