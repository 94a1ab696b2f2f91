"""What a RabbitMQ server or aiormq says, as a sentence with a remedy; none holds a secret."""

from __future__ import annotations

import socket
from typing import Final

from aio_pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelClosed,
    ChannelPreconditionFailed,
    ConnectionClosed,
)
from aiormq.exceptions import ChannelAccessRefused

from ....config import RabbitMQ as RabbitMQSettings
from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..network import tls_sentence, written
from .client import SignInRefused
from .frames import NotTaken

__all__ = ["LIBRARY_ERRORS", "translate"]

LIBRARY_ERRORS = (AMQPError, OSError, RuntimeError, SignInRefused, NotTaken, ValueError)
"""What leaves the library; a wrong state it calls `RuntimeError`, a wrong name `ValueError`."""

_GONE: Final = "the connection is gone"


def translate(error: BaseException | None, settings: RabbitMQSettings) -> BrokerError:
    """Put a failure into a sentence."""
    endpoint = written(settings.host, settings.port)
    wrong = tls_sentence(error, "rabbitmq")
    if wrong is not None:
        return BrokerRefused(f"{endpoint} {wrong}.")
    full = _full(error)
    if full is not None:
        return BrokerUnavailable(f"{endpoint}: {full}.")
    if isinstance(error, SignInRefused):
        return BrokerRefused(f"{endpoint}: {_sign_in(error, settings)}.")
    if isinstance(error, ChannelClosed):
        return _channel(error, endpoint, settings)
    return BrokerUnavailable(f"{endpoint}: {_broken(error)}.")


def _full(error: BaseException | None) -> str | None:
    """Say what there is too much of, or what is down: no credentials help, but room does."""
    if not isinstance(error, SignInRefused | ChannelClosed | ConnectionClosed):
        return None
    said = _short(error)
    # It begins with whom it refused, which reads like a matter of rights.
    told = said.rpartition(": ")[2]
    for sign, sentence in _FULL:
        if sign in told:
            return f"{told}: {sentence}"
    return None


_FULL: Final = (
    ("connection limit", "close other connections, or raise the limit of the server"),
    ("queue limit", "delete other queues, or raise the limit of the vhost"),
    ("channel limit", "raise the limit of the server; a pod needs three channels"),
    ("is down", "look at the server's log, and start it with `rabbitmqctl restart_vhost`"),
)


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
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved; check broker.rabbitmq.host and the DNS"
    if isinstance(error, OSError) and not isinstance(error, AMQPConnectionError):
        return error.strerror or type(error).__name__
    if isinstance(error, ValueError):
        return "the name is none, or too long: see broker.rabbitmq.host and exchange"
    return _GONE


def _short(error: BaseException) -> str:
    return str(error.args[-1] if error.args else "").strip(" .")[:200]
