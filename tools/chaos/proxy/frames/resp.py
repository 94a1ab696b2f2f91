"""Redis' protocol, versions 2 and 3: commands one way, replies and pushed messages the other.

Source: the Redis serialization protocol specification. Replies come in the order of their
commands; what is pushed comes between them, and so do the confirmations of subscriptions, one for
each channel.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from attrs import define

from .frame import Frame
from .reader import MAX_LINE, FrameReader, Numbers, UnreadableStream

__all__ = ["RespCommands", "RespDialogue", "RespReplies"]

MAX_PENDING: Final = 64 * 1024
"""Commands without a reply; with more of them nobody says any more what answers what."""

MAX_WORDS: Final = 1024
"""Words of a command or a push that are looked at: its verb, and channels."""

_SUBSCRIBING: Final = frozenset(
    ["SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE"]
)
_PUSHED: Final = frozenset(["message", "pmessage", "smessage"])
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_BLOBS: Final = b"$=!"
_LISTS: Final = b"*~>"
_LINES: Final = b"+-:_#,("
_KINDS: Final = _BLOBS + _LISTS + _LINES + b"%|"


class _RespReader(FrameReader):
    """Measures what both ways have in common."""

    def __init__(self, dialogue: RespDialogue) -> None:
        super().__init__()
        self.dialogue = dialogue
        self._left = 0  # elements of this frame to come
        self._inline = False

    def measure(self) -> bool:
        """Read line by line, and over what the lines say that follows them."""
        if not self._left:
            self._left = 1
        while self._left and self.at < len(self.buffer):
            if self.buffer[self.at] not in _KINDS:
                raise UnreadableStream
            end = self._line_end()
            if end < 0:
                return False
            self.at = end + 2 + self._element(bytes(self.buffer[self.at : end]))
        return not self._left

    def _line_end(self) -> int:
        end = self.buffer.find(b"\r\n", self.at)
        if (end if end >= 0 else len(self.buffer)) - self.at > MAX_LINE:
            raise UnreadableStream
        return end

    def _element(self, line: bytes) -> int:
        """Count the elements that a line is, or announces; return how many bytes follow it."""
        kind = line[:1]
        if kind in _LINES:
            self._left -= 1
        elif kind in _BLOBS:
            self._left -= 1
            return _blob(line)
        elif kind in _LISTS:
            self._left += max(_number(line), 0) - 1
        elif kind == b"%":
            self._left += 2 * max(_number(line), 0) - 1
        else:  # what is said of a value, which follows it
            self._left += 2 * max(_number(line), 0)
        return 0


class RespCommands(_RespReader):
    """What a client sends: lists of words, or a line of them."""

    def measure(self) -> bool:
        """As above; a command that is typed by hand is a line."""
        if not self._left and self.buffer and self.buffer[:1] != b"*":
            end = self.buffer.find(b"\n")
            if (end if end >= 0 else len(self.buffer)) > MAX_LINE or not _is_text(self.buffer[0]):
                raise UnreadableStream
            self.at = end + 1
            return end >= 0
        return super().measure()

    def describe(self, data: bytes) -> Frame:
        """Note that it waits for a reply."""
        words = _words(data) if data[:1] == b"*" else data.decode(errors="replace").split()
        if not words:
            return Frame("")  # an empty line, which nobody answers
        verb = words[0].upper()
        if verb not in _SUBSCRIBING:
            return self.dialogue.ask(verb, tuple(words[1:2]), 1)
        given = _number(data[: data.find(b"\r\n")]) if data[:1] == b"*" else len(words)
        return self.dialogue.ask(verb, tuple(words[1:]), given - 1)


class RespReplies(_RespReader):
    """What a server sends."""

    def describe(self, data: bytes) -> Frame:
        """Find the command that it answers, or what was pushed."""
        kind = data[:1]
        words = _words(data) if kind in (b"*", b">") else []
        first = words[0] if words else ""
        if kind == b">" or (kind == b"*" and self.dialogue.subscribed):
            if first.upper() in _SUBSCRIBING:
                over = words[2:3] == ["0"]
                return self.dialogue.confirm(first, tuple(words[1:2]), over=over)
            if kind == b">" or first in _PUSHED:
                return Frame(
                    first, tuple(reversed(words[1:3] if first == "pmessage" else words[1:2]))
                )
        return self.dialogue.answer("error" if kind in (b"-", b"!") else "reply")


@define
class _OpenCommand:
    command: Frame
    confirmations: int
    """How many are to come; 0: until nothing is subscribed to any more."""


class RespDialogue:
    """What a client has asked on one connection and was not answered yet."""

    def __init__(self) -> None:
        self.subscribed = False
        self._open: deque[_OpenCommand] = deque()
        self._numbers = Numbers()
        self._known = True

    def ask(self, verb: str, subjects: tuple[str, ...], confirmations: int) -> Frame:
        """Note a command, and how many times it is answered."""
        command = Frame(verb, subjects, number=self._numbers.next(verb))
        self.subscribed = self.subscribed or verb in _SUBSCRIBING
        if len(self._open) >= MAX_PENDING:
            self._known = False
            self._open.clear()
        if self._known:
            self._open.append(_OpenCommand(command, confirmations))
        return command

    def answer(self, verb: str) -> Frame:
        """Return what a reply is: that to the oldest command."""
        if not self._open:
            return Frame(verb)
        return _reply(verb, self._open.popleft().command)

    def confirm(self, verb: str, channels: tuple[str, ...], *, over: bool) -> Frame:
        """Return what the confirmation of a subscription is; `over`: there is none any more."""
        for index, waiting in enumerate(self._open):
            if waiting.command.verb != verb.upper():
                continue
            waiting.confirmations -= 1
            if not waiting.confirmations or (waiting.confirmations < 0 and over):
                del self._open[index]
            return _reply(verb, waiting.command, channels)
        return Frame(verb, channels)


def _reply(verb: str, command: Frame, subjects: tuple[str, ...] = ()) -> Frame:
    subjects = subjects or command.subjects
    return Frame(verb, subjects, reply_to=command.verb, number=command.number)


def _number(line: bytes) -> int:
    if not _NUMBER.fullmatch(line, 1):
        raise UnreadableStream
    return int(line[1:])


def _blob(line: bytes) -> int:
    """Return what follows the line of a blob; nothing when it is null."""
    size = _number(line)
    return size + 2 if size >= 0 else 0


def _is_text(byte: int) -> bool:
    return 0x20 <= byte < 0x7F or byte in b"\r\n\t"


def _words(data: bytes) -> list[str]:
    """Return the first elements of a list, as far as they are there and no lists themselves."""
    words: list[str] = []
    at = data.find(b"\r\n") + 2
    while at > 1 and len(words) < MAX_WORDS:
        end = data.find(b"\r\n", at)
        if end < 0:
            break
        line = data[at:end]
        at = end + 2
        if line[:1] in (b"$", b"=") and line[1:2] != b"-":
            size = int(line[1:])
            line, at = b"$" + data[at : at + size], at + size + 2
        words.append(line[1:].decode(errors="replace"))
    return words
