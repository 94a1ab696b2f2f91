"""The broker section: how pods find each other, and what they do while they cannot."""

# ruff: noqa: RUF009 - `setting` declares a field, as `attrs.field` does

from collections.abc import Mapping
from enum import StrEnum

import attrs

from . import formats
from .fields import setting

MIB = 2**20


class FailurePolicy(StrEnum):
    """What becomes of an emit for the other pods while the broker is away."""

    LOCAL_ONLY = "local_only"
    BUFFER = "buffer"
    REJECT = "reject"


class ReceiptPolicy(StrEnum):
    """When an emit is answered, and what its receipt says."""

    CONFIRMED = "confirmed"
    """When the broker has it."""
    HEARD = "heard"
    """When every pod with members in the room has it; the receipt counts both."""


class ReadyPolicy(StrEnum):
    """What the broker has to do with `/health/ready`."""

    IGNORE_BROKER = "ignore_broker"
    STARTED = "started"
    REQUIRE_BROKER = "require_broker"


@attrs.frozen
class Redis:
    """Redis: one server, Sentinel, or a cluster (sharded pub/sub, Redis 7)."""

    url: str = setting(
        "",
        secret=True,
        check=formats.redis_url,
        help="redis://, or rediss:// for TLS; takes the place of host to database.",
    )
    host: str = setting("localhost", help="Host of the server.")
    port: int = setting(6379, ge=1, le=65535, help="Port of the server.")
    username: str = setting("", help="User (ACL) to sign in as; empty is the default one.")
    password: str = setting("", secret=True, help="Password; empty is none.")
    database: int = setting(0, ge=0, help="Number of the database.")
    prefix: str = setting(
        "deployd:", help="Put before every channel's name: it keeps deployments apart."
    )
    cluster: bool = setting(False, help="Whether the server is a Redis Cluster.")
    nodes: tuple[str, ...] = setting(
        (), check=formats.nodes, help='Nodes of a cluster, "host:port"; several mean `cluster`.'
    )
    sentinels: tuple[str, ...] = setting(
        (), check=formats.nodes, help='Sentinels to ask for the master, "host:port".'
    )
    sentinel_master: str = setting("mymaster", help="Name by which Sentinel knows the master.")
    sentinel_username: str = setting(
        "", help="User to sign in to the sentinels as; empty is the default one."
    )
    sentinel_password: str = setting(
        "",
        secret=True,
        help="Password of the sentinels; empty: none is shown, and where they want one the "
        "server's.",
    )
    ca_file: str = setting("", help="Certificates (PEM) to trust for TLS; empty: the system's.")
    cert_file: str = setting(
        "", help="Certificate (PEM) that the pod shows a server which asks for one; empty is none."
    )
    key_file: str = setting(
        "", help="The key of `certFile` (PEM, without a password); empty: it is in the same file."
    )


@attrs.frozen
class RabbitMQ:
    """RabbitMQ (AMQP 0-9-1)."""

    host: str = setting("localhost", help="Host of the server.")
    port: int = setting(5672, ge=1, le=65535, help="Port of the server.")
    username: str = setting("guest", help="User to sign in as.")
    password: str = setting("guest", secret=True, help="The user's password.")
    vhost: str = setting("/", help="Virtual host.")
    exchange: str = setting(
        "deployd",
        check=formats.exchange,
        help="Names of exchanges and queues begin so: it keeps deployments apart.",
    )
    queue_length: int = setting(
        100_000, unit="messages", ge=1, help="What may wait for one pod; the oldest are dropped."
    )
    prefetch: int = setting(
        1000, unit="messages", ge=1, le=65535, help="What one pod gets before it acknowledges."
    )
    tls: bool = setting(False, help="Connect with TLS (amqps).")
    ca_file: str = setting("", help="Certificates (PEM) to trust for TLS; empty: the system's.")
    cert_file: str = setting(
        "", help="Certificate (PEM) that the pod shows a server which asks for one; empty is none."
    )
    key_file: str = setting(
        "", help="The key of `certFile` (PEM, without a password); empty: it is in the same file."
    )


@attrs.frozen
class Nats:
    """NATS, single or as a cluster."""

    host: str = setting("localhost", help="Host of the server.")
    port: int = setting(4222, ge=1, le=65535, help="Port of the server.")
    username: str = setting("", help="User to sign in as; empty is none.")
    password: str = setting("", secret=True, help="The user's password.")
    token: str = setting("", secret=True, help="Token to sign in with; empty is none.")
    credentials_file: str = setting("", help="File of a user's JWT and key (.creds).")
    nkey_file: str = setting("", help="File of a user's nkey: its seed, which begins with SU.")
    subject: str = setting(
        "deployd",
        check=formats.subject,
        help="Put before every subject: it keeps deployments apart.",
    )
    cluster: bool = setting(
        False, help="Whether the host's name stands for several servers: each address is tried."
    )
    servers: tuple[str, ...] = setting(
        (), check=formats.nodes, help='Servers of a cluster, "host:port", beside host and port.'
    )
    tls: bool = setting(False, help="Connect with TLS.")
    tls_first: bool = setting(
        False, help="Begin with TLS, as servers with `handshake_first` want it; needs `tls`."
    )
    ca_file: str = setting("", help="Certificates (PEM) to trust for TLS; empty: the system's.")
    cert_file: str = setting(
        "", help="Certificate (PEM) that the pod shows a server which asks for one; empty is none."
    )
    key_file: str = setting(
        "", help="The key of `certFile` (PEM, without a password); empty: it is in the same file."
    )


@attrs.frozen
class Broker:
    """What joins pods together."""

    type: str = setting(
        "memory",
        check=formats.broker,
        help='memory, redis, rabbitmq, nats, or a class `"package.module:Class"`.',
    )
    enabled: bool = setting(False, help="Whether the broker is used; else the pod is alone.")
    secret: str = setting(
        "",
        secret=True,
        check=formats.signing_secret,
        help="What pods sign their messages with, the same on all; empty: whoever reaches the "
        "broker is believed.",
    )
    previous_secret: str = setting(
        "",
        secret=True,
        check=formats.signing_secret,
        help="Accepted beside `secret` while that is changed; signs nothing.",
    )
    replay_window: float = setting(
        60.0,
        unit="seconds",
        gt=0,
        help="How old a signed message may be, and how far the clocks of pods may differ.",
    )
    options: Mapping[str, str] = setting(
        {}, secret=True, help="For a class of your own: whatever it reads, shown to nobody."
    )
    policy: FailurePolicy = setting(
        FailurePolicy.LOCAL_ONLY,
        choices=tuple(FailurePolicy),
        help="What becomes of emits while the broker is away, where no pattern says otherwise.",
    )
    policies: Mapping[str, FailurePolicy] = setting(
        {}, check=formats.patterns, help='Policies by pattern of a room: `"orders-*": "buffer"`.'
    )
    receipts: Mapping[str, ReceiptPolicy] = setting(
        {},
        check=formats.patterns,
        help="When emits are answered, by pattern of a room: `confirmed` by the broker, which is "
        'also so elsewhere, or `heard` by each pod that has members in it: `"bids-*": "heard"`.',
    )
    buffer_messages: int = setting(
        10_000, unit="messages", ge=1, help="What may wait for a broker that is away."
    )
    buffer_bytes: int = setting(
        16 * MIB, unit="bytes", ge=1, help="What may wait for a broker that is away."
    )
    outbox_messages: int = setting(
        10_000, unit="messages", ge=1, help="What may wait for a broker that is slow."
    )
    outbox_bytes: int = setting(
        16 * MIB, unit="bytes", ge=1, help="What may wait for a broker that is slow."
    )
    timeout: float = setting(
        1.3,
        unit="seconds",
        gt=0,
        help="How long the broker may take for anything it is asked, beside the usual round trip.",
    )
    canary_interval: float = setting(
        0.15,
        unit="seconds",
        gt=0,
        help="How soon after each proof the link proves again that it hears itself.",
    )
    max_backoff: float = setting(
        2.0, unit="seconds", gt=0, le=5, help="Longest wait before the broker is tried again."
    )
    auth_retry: float = setting(
        30.0, unit="seconds", ge=30, help="Wait after a refusal: credentials, vhost, permission."
    )
    linger: float = setting(
        5.0, unit="seconds", ge=0, help="How long a room without members is still listened to."
    )
    notice_window: float = setting(
        1.0, unit="seconds", ge=0, help="Time over which clients are told of an outage or its end."
    )
    ready: ReadyPolicy = setting(
        ReadyPolicy.IGNORE_BROKER,
        choices=tuple(ReadyPolicy),
        help="What /health/ready asks of the broker: nothing, to have been tried, or to be there.",
    )
    redis: Redis = attrs.field(factory=Redis)
    rabbitmq: RabbitMQ = attrs.field(factory=RabbitMQ)
    nats: Nats = attrs.field(factory=Nats)
