"""Toxics that choose frames: the reply to the third SUBSCRIBE, every second PUBLISH, the confirm.

Where the proxy reads no protocol each chunk that comes at once is a frame, and has no more to be
chosen by than its number. A frame that was too large to wait for passes.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from attrs import evolve, field, frozen

from .frames import Frame, Piece
from .toxic import MILLISECOND, Item, Signal, Stage, Toxic, at_least, between

__all__ = [
    "CutFrame",
    "DelayFrames",
    "DropFrames",
    "DuplicateFrames",
    "FrameToxic",
    "ReorderFrames",
]


@frozen(kw_only=True)
class FrameToxic(Toxic):
    """Which frames: all that fit what is given, of what is not.

    `verb`, `subject`, `key` and `reply_to` are patterns as of a shell, `*` for anything; cases
    do not count in verbs. One subject of a frame has to fit. Of those that fit only the `nth`
    counts (0: each), or every `every`th; answers to one command count as one. Counting starts
    with each connection, and when the toxic is put on. Then a `share` is drawn. All this happens
    `times` times at most, on all connections together (0: without end).
    """

    on_frames = True
    verb: str = ""
    subject: str = ""
    key: str = ""
    reply_to: str = ""
    nth: int = field(default=0, validator=at_least(0))
    every: int = field(default=1, validator=at_least(1))
    share: float = field(default=1.0, validator=between(0, 1))
    times: int = field(default=0, validator=at_least(0))

    @property
    def needs_protocol(self) -> bool:
        """Whether it asks for more than chunks have."""
        return bool(self.verb or self.subject or self.key or self.reply_to)

    def fits(self, frame: Frame) -> bool:
        """Whether a frame is of those that are counted."""
        return (
            _fits(frame.verb.lower(), self.verb.lower())
            and _fits(frame.reply_to.lower(), self.reply_to.lower())
            and _fits(frame.key, self.key)
            and (not self.subject or any(_fits(one, self.subject) for one in frame.subjects))
        )


def _fits(text: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(text, pattern)


class FrameStage(Stage):
    """Counts frames; what becomes of those that are chosen is for others to say."""

    toxic: FrameToxic

    def begin(self, at: float) -> None:
        """Count from the beginning."""
        self._count = 0
        self._answered: tuple[str, int] | None = None
        self._chosen = False

    def take(self, item: Item, at: float) -> None:
        """Let pass what was not chosen."""
        if isinstance(item, Piece) and item.frame is not None and self.chooses(item.frame):
            self.uses.count += 1
            self.strike(item, at)
        else:
            self.put(item, at)

    def strike(self, piece: Piece, at: float) -> None:
        """Do to a frame what is done to those that were chosen."""
        raise NotImplementedError

    def chooses(self, frame: Frame) -> bool:
        """Count a frame that fits, and say whether it was chosen."""
        toxic = self.toxic
        if not toxic.fits(frame):
            return False
        answered = (frame.reply_to, frame.number) if frame.reply_to and frame.number else None
        if answered is None or answered != self._answered:
            self._answered = answered
            self._count += 1
            counts = self._count == toxic.nth if toxic.nth else self._count % toxic.every == 0
            self._chosen = counts and self.random.random() < toxic.share
        return self._chosen and not (toxic.times and self.uses.count >= toxic.times)


class DropStage(FrameStage):
    """Loses frames."""

    def strike(self, piece: Piece, at: float) -> None:
        """Nothing comes of it."""


@frozen(kw_only=True)
class DropFrames(FrameToxic):
    """Lose the frames that fit."""

    kind = "drop"
    stage = DropStage


class DelayStage(FrameStage):
    """Delays frames."""

    toxic: DelayFrames

    def strike(self, piece: Piece, at: float) -> None:
        """Put it later, and so what follows."""
        self.put(piece, at + self.toxic.delay * MILLISECOND)


@frozen(kw_only=True)
class DelayFrames(FrameToxic):
    """Delay the frames that fit by `delay`; what follows waits behind them."""

    kind = "delay"
    stage = DelayStage
    delay: float = field(default=0, validator=at_least(0))


class DuplicateStage(FrameStage):
    """Repeats frames."""

    toxic: DuplicateFrames

    def strike(self, piece: Piece, at: float) -> None:
        """Put it more than once."""
        for _ in range(1 + self.toxic.copies):
            self.put(piece, at)


@frozen(kw_only=True)
class DuplicateFrames(FrameToxic):
    """Send the frames that fit again, `copies` times, right after themselves."""

    kind = "duplicate"
    stage = DuplicateStage
    copies: int = field(default=1, validator=between(1, 10))


class ReorderStage(FrameStage):
    """Lets frames be overtaken."""

    toxic: ReorderFrames

    def begin(self, at: float) -> None:
        """Let nothing wait."""
        super().begin(at)
        self._waits = False

    def take(self, item: Item, at: float) -> None:
        """Let what comes go before what waits."""
        if not (self._waits and self.queue):
            super().take(item, at)
            return
        waiting, self._waits = self.withdraw(), False
        if isinstance(item, Piece) and item.frame is not None:
            self.chooses(item.frame)  # it counts, and does not wait itself
        for one in (item, waiting) if isinstance(item, Piece) else (waiting, item):
            self.put(one, at)

    def strike(self, piece: Piece, at: float) -> None:
        """Wait for the next one, but not for ever."""
        self._waits = True
        self.put(piece, at + self.toxic.wait * MILLISECOND)


@frozen(kw_only=True)
class ReorderFrames(FrameToxic):
    """Let the frames that fit be overtaken by the one that follows, if it does within `wait`."""

    kind = "reorder"
    stage = ReorderStage
    wait: float = field(default=1000, validator=at_least(0))


class CutStage(FrameStage):
    """Cuts frames off, and what follows."""

    toxic: CutFrame

    def strike(self, piece: Piece, at: float) -> None:
        """Let a part of it through, and then nothing any more."""
        part = piece.data[: int(len(piece.data) * self.toxic.part)]
        if part:
            self.put(evolve(piece, data=part, frame=None), at)
        self.put(Signal.RESET if self.toxic.reset else Signal.CLOSE, at)


@frozen(kw_only=True)
class CutFrame(FrameToxic):
    """Close both ends in the middle of a frame that fits: `part` of it still comes.

    With `reset` they are reset.
    """

    kind = "cut"
    stage = CutStage
    part: float = field(default=0.5, validator=between(0, 1))
    reset: bool = False
