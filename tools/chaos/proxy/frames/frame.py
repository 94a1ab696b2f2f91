"""What a proxy says of the bytes that it carries: which are a frame, and what it is."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["CHUNK", "Frame", "Piece"]


@frozen
class Frame:
    """One command, message or reply.

    `verb` is the protocol's own word: `PUBLISH`, `MSG`, `basic.publish`; what Redis answers is a
    `reply` or an `error`. `subjects` are the channels, subjects, queues or exchanges it is about,
    `key` AMQP's routing key. What answers a command has its verb in `reply_to`, and its subjects.
    `number` counts the commands with one verb on one connection (in AMQP: one channel) from 1; an
    answer has that of its command, 0 where it is not known.
    """

    verb: str
    subjects: tuple[str, ...] = ()
    key: str = ""
    reply_to: str = ""
    number: int = 0


CHUNK: Final = Frame("chunk")
"""What came at once, where nobody reads frames."""


@frozen
class Piece:
    """Bytes on their way; what is `alone` is written by itself.

    Without a `frame` they are a part of one that was too large to wait for, or of something that
    nobody understands.
    """

    data: bytes
    frame: Frame | None = None
    alone: bool = False
