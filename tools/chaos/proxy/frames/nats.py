"""NATS' protocol between clients and servers: a line, and for messages what it announces.

Source: the NATS client protocol. A message to the inbox that came with a request is its reply.
What servers say to each other is not understood, and passes as bytes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, TypeVar

from .frame import Frame
from .reader import MAX_LINE, FrameReader, Numbers, UnreadableStream

__all__ = ["NatsCommands", "NatsDialogue", "NatsReplies"]

T = TypeVar("T")

MAX_REMEMBERED: Final = 16 * 1024
"""Subscriptions, and inboxes of requests, that are known by name; the oldest are forgotten."""

_LONGEST: Final = len("CONNECT")

MAX_PINGS: Final = 64
"""Pings without a pong: clients give up after two."""


class _NatsReader(FrameReader):
    """Measures what both ways have in common."""

    verbs: frozenset[str]
    payloads: frozenset[str]
    """Verbs with a payload, whose bytes the last word of the line says."""

    def __init__(self, dialogue: NatsDialogue) -> None:
        super().__init__()
        self.dialogue = dialogue

    def measure(self) -> bool:
        """Read the line."""
        end = self.buffer.find(b"\r\n")
        if (end if end >= 0 else len(self.buffer)) > MAX_LINE:
            raise UnreadableStream
        if end < 0:
            begun = bytes(self.buffer[:_LONGEST]).split(None, 1)
            word = begun[0].decode(errors="replace").upper() if begun else ""
            if not any(verb.startswith(word) for verb in self.verbs):
                raise UnreadableStream
            return False
        words = bytes(self.buffer[:end]).split(None, 1)
        verb = words[0].decode(errors="replace").upper() if words else ""
        if verb not in self.verbs:
            raise UnreadableStream
        self.at = end + 2
        if verb in self.payloads:
            size = words[-1].split()[-1]
            if not size.isdigit() or len(size) > 10:
                raise UnreadableStream
            self.at += int(size) + 2
        return True


class NatsCommands(_NatsReader):
    """What a client sends."""

    verbs = frozenset(["CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG"])
    payloads = frozenset(["PUB", "HPUB"])

    def describe(self, data: bytes) -> Frame:
        """Note what it may be answered with."""
        verb, words = _line(data)
        return self.dialogue.ask(verb, words)


class NatsReplies(_NatsReader):
    """What a server sends."""

    verbs = frozenset(["INFO", "MSG", "HMSG", "PING", "PONG", "+OK", "-ERR"])
    payloads = frozenset(["MSG", "HMSG"])

    def describe(self, data: bytes) -> Frame:
        """Find what it answers."""
        verb, words = _line(data)
        if verb in self.payloads:
            return self.dialogue.message(verb, words[0] if words else "")
        if verb == "PONG":
            return self.dialogue.pong()
        return Frame(verb)


class NatsDialogue:
    """What a client has asked on one connection."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._subscriptions: OrderedDict[str, str] = OrderedDict()
        self._requests: OrderedDict[str, Frame] = OrderedDict()
        self._pings: deque[int] = deque(maxlen=MAX_PINGS)

    def ask(self, verb: str, words: list[str]) -> Frame:
        """Note a command."""
        number = self._numbers.next(verb)
        if verb == "PING":
            self._pings.append(number)
            return Frame(verb, number=number)
        subject = words[0] if words and verb != "CONNECT" else ""
        if verb == "SUB":
            _remember(self._subscriptions, words[-1], subject)
        elif verb == "UNSUB":
            subject = self._subscriptions.get(subject, subject)
        frame = Frame(verb, (subject,) if subject else (), number=number)
        if len(words) > {"PUB": 2, "HPUB": 3}.get(verb, len(words)):
            _remember(self._requests, words[1], frame)
        return frame

    def message(self, verb: str, subject: str) -> Frame:
        """Return what a message is: the reply to a request, perhaps."""
        request = self._requests.get(subject)
        if request is None:
            return Frame(verb, (subject,))
        subjects = (subject, *request.subjects)
        return Frame(verb, subjects, reply_to=request.verb, number=request.number)

    def pong(self) -> Frame:
        """Return what a pong answers."""
        return Frame("PONG", reply_to="PING", number=self._pings.popleft() if self._pings else 0)


def _line(data: bytes) -> tuple[str, list[str]]:
    """Return the verb and the other words of the line that a frame begins with."""
    words = data[: data.find(b"\r\n")].decode(errors="replace").split()
    return words[0].upper(), words[1:]


def _remember(known: OrderedDict[str, T], name: str, what: T) -> None:
    known[name] = what
    known.move_to_end(name)
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)
