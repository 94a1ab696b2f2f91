"""The broker section: how pods are to find each other."""

import attrs

from . import formats
from .fields import setting


@attrs.frozen
class Redis:
    """Redis, single or as a cluster."""

    host: str = setting("localhost", acted_on=False, help="Host of the server.")
    port: int = setting(6379, ge=1, le=65535, acted_on=False, help="Port of the server.")
    password: str = setting("", secret=True, acted_on=False, help="Password; empty is none.")
    database: int = setting(0, ge=0, acted_on=False, help="Number of the database.")
    prefix: str = setting("deployd:", acted_on=False, help="Put before every channel's name.")
    cluster: bool = setting(False, acted_on=False, help="Whether the server is a Redis Cluster.")


@attrs.frozen
class RabbitMQ:
    """RabbitMQ (AMQP 0-9-1)."""

    host: str = setting("localhost", acted_on=False, help="Host of the server.")
    port: int = setting(5672, ge=1, le=65535, acted_on=False, help="Port of the server.")
    username: str = setting("guest", acted_on=False, help="User to sign in as.")
    password: str = setting("guest", secret=True, acted_on=False, help="The user's password.")
    vhost: str = setting("/", acted_on=False, help="Virtual host.")
    exchange: str = setting("deployd", acted_on=False, help="Exchange that pods publish to.")


@attrs.frozen
class Nats:
    """NATS, single or as a cluster."""

    host: str = setting("localhost", acted_on=False, help="Host of the server.")
    port: int = setting(4222, ge=1, le=65535, acted_on=False, help="Port of the server.")
    username: str = setting("", acted_on=False, help="User to sign in as; empty is none.")
    password: str = setting("", secret=True, acted_on=False, help="The user's password.")
    subject: str = setting("deployd", acted_on=False, help="Put before every subject.")
    cluster: bool = setting(False, acted_on=False, help="Whether the server is one of several.")


@attrs.frozen
class Broker:
    """What joins pods together."""

    type: str = setting(
        "memory",
        check=formats.broker,
        acted_on=("memory",),
        help='memory, redis, rabbitmq, nats, or a class `"package.module:Class"`.',
    )
    enabled: bool = setting(False, acted_on=False, help="Whether the broker is used.")
    redis: Redis = attrs.field(factory=Redis)
    rabbitmq: RabbitMQ = attrs.field(factory=RabbitMQ)
    nats: Nats = attrs.field(factory=Nats)
