"""Which protocols are read, by the names of the brokers that speak them."""

from __future__ import annotations

from typing import Final

from .amqp import AmqpCommands, AmqpDialogue, AmqpReplies
from .nats import NatsCommands, NatsDialogue, NatsReplies
from .reader import ChunkReader, FrameReader
from .resp import RespCommands, RespDialogue, RespReplies

__all__ = ["PROTOCOLS", "readers"]

PROTOCOLS: Final = ("redis", "nats", "rabbitmq")


def readers(protocol: str) -> tuple[FrameReader, FrameReader]:
    """Return who reads what the client of one connection sends, and what the server answers.

    Both know of each other, so that a reply is known by its command. Without a protocol ("")
    nothing is read.
    """
    match protocol:
        case "redis":
            resp = RespDialogue()
            return RespCommands(resp), RespReplies(resp)
        case "nats":
            nats = NatsDialogue()
            return NatsCommands(nats), NatsReplies(nats)
        case "rabbitmq":
            amqp = AmqpDialogue()
            return AmqpCommands(amqp), AmqpReplies(amqp)
        case _:
            return ChunkReader(), ChunkReader()
