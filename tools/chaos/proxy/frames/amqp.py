"""AMQP 0-9-1: methods, and messages as one frame each with their header and body.

Source: the AMQP 0-9-1 specification, section 4.2. What another channel says between the parts of a
message is carried within it: brokers and clients write a message in one go.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict, deque
from itertools import takewhile
from typing import Final

from pamqp import commands, exceptions
from pamqp.frame import unmarshal

from .frame import Frame
from .reader import FrameReader, Numbers, UnreadableStream

__all__ = ["AmqpCommands", "AmqpDialogue", "AmqpReplies"]

MAX_PENDING: Final = 64 * 1024
"""Methods without their answer, and publications without a confirm; the oldest are forgotten."""

_PROTOCOL: Final = b"AMQP"
_HEADER: Final = struct.Struct(">BHI")
_METHOD, _CONTENT, _BODY, _HEARTBEAT = 1, 2, 3, 8
_MAX_PART: Final = 16 * 1024 * 1024
"""Bytes of one of AMQP's own frames; more was never agreed on."""

_WITH_CONTENT: Final = frozenset([(60, 40), (60, 50), (60, 60), (60, 71)])
"""basic.publish, basic.return, basic.deliver, basic.get-ok."""

_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class _AmqpReader(FrameReader):
    """Measures what both ways have in common."""

    def __init__(self, dialogue: AmqpDialogue) -> None:
        super().__init__()
        self.dialogue = dialogue
        self._channel = -1  # whose message is open
        self._missing = 0  # bytes of its body

    def measure(self) -> bool:
        """Go over the parts that are known to come."""
        if self._channel < 0 and self.buffer[:4] == _PROTOCOL:
            self.at = len(_PROTOCOL) + 4  # and the version
            return True
        while len(self.buffer) - self.at >= _HEADER.size:
            kind, channel, size = _HEADER.unpack_from(self.buffer, self.at)
            if kind not in (_METHOD, _CONTENT, _BODY, _HEARTBEAT) or size > _MAX_PART:
                raise UnreadableStream
            needed = {_METHOD: 4, _CONTENT: 12}.get(kind, 0)
            start = self.at + _HEADER.size
            if size < needed:
                raise UnreadableStream
            if len(self.buffer) < start + needed:
                return False
            over = self._part(kind, channel, size, bytes(self.buffer[start : start + needed]))
            self.at = start + size + 1
            if over:
                self._channel = -1
                return True
        return False

    def _part(self, kind: int, channel: int, size: int, head: bytes) -> bool:
        """Note one of AMQP's frames, and say whether all that belongs to it has come with it."""
        if self._channel < 0:
            begins = kind == _METHOD and struct.unpack(">HH", head) in _WITH_CONTENT
            self._channel = channel if begins else -1
            return not begins
        if channel != self._channel:
            return False
        if kind == _CONTENT:
            [self._missing] = struct.unpack(">4xQ", head)
        elif kind == _BODY:
            self._missing -= size
        else:
            return True  # the message is broken off: the channel is closed
        return self._missing <= 0

    def describe(self, data: bytes) -> Frame:
        """Decode the method."""
        if data[:1] != bytes([_METHOD]):
            return Frame(_PROTOCOL.decode() if data[:4] == _PROTOCOL else "heartbeat")
        try:
            _, channel, method = unmarshal(data)
        except (exceptions.UnmarshalingException, ValueError, struct.error, IndexError, KeyError):
            return Frame("method")
        name = _CAPITAL.sub("-", getattr(method, "name", "method")).lower()
        return self.note(channel, name, method)

    def note(self, channel: int, name: str, method: object) -> Frame:
        """Note a method with the dialogue."""
        raise NotImplementedError


class AmqpCommands(_AmqpReader):
    """What a client sends."""

    def note(self, channel: int, name: str, method: object) -> Frame:
        """Note what it may be answered with."""
        return self.dialogue.ask(channel, Frame(name, _subjects(method), _key(method)))


class AmqpReplies(_AmqpReader):
    """What a server sends."""

    def note(self, channel: int, name: str, method: object) -> Frame:
        """Find what it answers, or confirms."""
        if isinstance(method, commands.Basic.Ack | commands.Basic.Nack):
            return self.dialogue.confirm(channel, name, method.delivery_tag, method.multiple)
        if name.endswith("-ok") and name != "basic.get-ok":
            return self.dialogue.answer(channel, name)
        return Frame(name, _subjects(method), _key(method))


class AmqpDialogue:
    """What a client has asked on one connection and was not answered yet, channel by channel."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._asked: OrderedDict[tuple[int, str], deque[Frame]] = OrderedDict()
        self._confirming: set[int] = set()
        self._published: OrderedDict[tuple[int, int], Frame] = OrderedDict()

    def ask(self, channel: int, method: Frame) -> Frame:
        """Note a method."""
        number = self._numbers.next((channel, method.verb))
        asked = Frame(method.verb, method.subjects, method.key, number=number)
        if asked.verb == "confirm.select":
            self._confirming.add(channel)
        if asked.verb == "basic.publish":
            if channel in self._confirming:
                self._published[channel, number] = asked
                if len(self._published) > MAX_PENDING:
                    self._published.popitem(last=False)
        elif not asked.verb.endswith("-ok"):
            self._asked.setdefault((channel, asked.verb), deque(maxlen=MAX_PENDING)).append(asked)
            if len(self._asked) > MAX_PENDING:
                self._asked.popitem(last=False)
        return asked

    def answer(self, channel: int, name: str) -> Frame:
        """Return what a method's own answer is."""
        verb = name.removesuffix("-ok")
        waiting = self._asked.get((channel, verb))
        asked = waiting.popleft() if waiting else Frame(verb)
        if waiting is not None and not waiting:
            del self._asked[channel, verb]
        return Frame(name, asked.subjects, asked.key, reply_to=verb, number=asked.number)

    def confirm(self, channel: int, name: str, tag: int, multiple: bool) -> Frame:
        """Return what a confirm is of: the last publication, where it is of many."""
        published = self._published.pop((channel, tag), Frame("basic.publish"))
        if multiple:
            older = takewhile(lambda at: at[0] != channel or at[1] <= tag, self._published)
            for at in [at for at in older if at[0] == channel]:
                del self._published[at]
        subjects, key = published.subjects, published.key
        return Frame(name, subjects, key, reply_to="basic.publish", number=tag)


def _subjects(method: object) -> tuple[str, ...]:
    """Return the queue and the exchange that a method names."""
    names = [getattr(method, name, None) for name in ("queue", "exchange")]
    return tuple(name for name in names if isinstance(name, str) and name)


def _key(method: object) -> str:
    key = getattr(method, "routing_key", None)
    return key if isinstance(key, str) else ""
