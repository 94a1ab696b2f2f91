"""What a RabbitMQ server or aiormq says, as a sentence with a remedy; none holds a secret."""

from __future__ import annotations

import ssl

from aio_pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelClosed,
    ChannelPreconditionFailed,
    ConnectionClosed,
)
from aiormq.exceptions import ChannelAccessRefused

from ....config import RabbitMQSettings
from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from .client import SignInRefused
from .frames import NotTaken

__all__ = ["LIBRARY_ERRORS", "translate"]

LIBRARY_ERRORS = (AMQPError, OSError, RuntimeError, SignInRefused, NotTaken, ValueError)
"""What leaves the library; a wrong state it calls `RuntimeError`, a wrong name `ValueError`."""

_GONE = "the connection is gone"


def translate(error: BaseException | None, settings: RabbitMQSettings) -> BrokerError:
    """Put a failure into a sentence."""
    endpoint = f"{settings.host}:{settings.port}"
    if isinstance(error, SignInRefused):
        return BrokerRefused(f"{endpoint}: {_sign_in(error, settings)}.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerRefused(
            f"{endpoint}: {error.verify_message}: see broker.rabbitmq.caFile and host."
        )
    if isinstance(error, ChannelClosed):
        return _channel(error, endpoint, settings)
    return BrokerUnavailable(f"{endpoint}: {_broken(error)}.")


def _sign_in(error: SignInRefused, settings: RabbitMQSettings) -> str:
    said = _short(error)
    if "vhost" not in said:
        return f"{said}: see broker.rabbitmq.username and broker.rabbitmq.password"
    if "not found" in said:
        return f"{said}: see broker.rabbitmq.vhost, or add it with `rabbitmqctl add_vhost`"
    return (
        f"{said}: see broker.rabbitmq.vhost and broker.rabbitmq.username, or give permission with "
        f"`rabbitmqctl set_permissions`"
    )


def _channel(error: ChannelClosed, endpoint: str, settings: RabbitMQSettings) -> BrokerError:
    said = _short(error)
    if isinstance(error, ChannelAccessRefused):
        return BrokerRefused(
            f"{endpoint}: {said}: let broker.rabbitmq.username configure, write and read "
            f"everything that begins with {settings.exchange}."
        )
    if isinstance(error, ChannelPreconditionFailed) and "inequivalent arg" in said:
        return BrokerRefused(
            f"{endpoint}: {said}: somebody else's exchange has this name: delete it, or choose "
            "another broker.rabbitmq.exchange."
        )
    return BrokerUnavailable(f"{endpoint}: {said or _GONE}.")


def _broken(error: BaseException | None) -> str:
    if isinstance(error, ConnectionClosed):
        return _short(error) or _GONE
    if isinstance(error, NotTaken):
        return "the server did not take a message"
    if isinstance(error, OSError) and not isinstance(error, AMQPConnectionError):
        return error.strerror or type(error).__name__
    if isinstance(error, ValueError):
        return "the name is none, or too long: see broker.rabbitmq.host and exchange"
    return _GONE


def _short(error: BaseException) -> str:
    return str(error.args[-1] if error.args else "").strip(" .")[:200]
