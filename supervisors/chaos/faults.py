"""The faults that a pod can be given, and how they are read from what somebody asks for: pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from attrs import frozen

from ...transport import JSON
from ..errors import BadFault

__all__ = ["KINDS", "LONGEST", "InPodFault", "Parameter", "PodFault", "read_fault"]

LONGEST: Final = 600.0
"""Seconds that a fault lasts at most: whoever forgets one is rid of it in ten minutes."""

_LONGEST_TEXT: Final = 300
"""Characters of a path's pattern, and of a room's name."""

_YEAR: Final = 366 * 86_400.0


class PodFault(StrEnum):
    """What can be done to a pod from inside, named by what it is done to."""

    CRASH = "actor.crash"
    HANG = "actor.hang"
    SLOW = "actor.slow"
    DROP = "link.drop"
    DUPLICATE = "link.duplicate"
    DELAY = "link.delay"
    REORDER = "link.reorder"
    STORE = "store.fail"
    SKEW = "clock.skew"


@frozen
class Parameter:
    """A number that a fault takes: its bounds, and what it is when nobody says."""

    least: float
    most: float
    default: float
    about: str
    whole: bool = False


@frozen
class Sort:
    """A kind of fault: what it does, which numbers it takes, and whether a path or a room."""

    about: str
    numbers: Mapping[str, Parameter]
    path: bool = False
    room: bool = False


_SECONDS: Final = Parameter(0.0, LONGEST, 10.0, "how long it lasts")
_SHARE: Final = Parameter(0.0, 1.0, 0.1, "the share of them, 1 for all")
_ALL: Final = Parameter(0.0, 1.0, 1.0, "the share of them, 1 for all")
_DELAY: Final = Parameter(0.0, 10.0, 0.2, "seconds that each takes longer")
_TIMES: Final = Parameter(1, 100, 1, "how often each of them crashes", whole=True)
_WRONG: Final = Parameter(-_YEAR, _YEAR, 60.0, "seconds that the clock is ahead, or behind")

KINDS: Final[Mapping[PodFault, Sort]] = {
    PodFault.CRASH: Sort(
        "actors of the path crash", {"seconds": _SECONDS, "times": _TIMES}, path=True
    ),
    PodFault.HANG: Sort("actors of the path do nothing", {"seconds": _SECONDS}, path=True),
    PodFault.SLOW: Sort(
        "actors of the path take longer for each message",
        {"seconds": _SECONDS, "delay": _DELAY},
        path=True,
    ),
    PodFault.DROP: Sort(
        "messages of other pods are lost", {"seconds": _SECONDS, "share": _SHARE}, room=True
    ),
    PodFault.DUPLICATE: Sort(
        "messages of other pods come twice", {"seconds": _SECONDS, "share": _SHARE}, room=True
    ),
    PodFault.DELAY: Sort(
        "messages of other pods come late, in their order",
        {"seconds": _SECONDS, "share": _SHARE, "delay": _DELAY},
        room=True,
    ),
    PodFault.REORDER: Sort(
        "messages of other pods are overtaken by the next",
        {"seconds": _SECONDS, "share": _SHARE},
        room=True,
    ),
    PodFault.STORE: Sort(
        "calls of the database fail as if it were away", {"seconds": _SECONDS, "share": _ALL}
    ),
    PodFault.SKEW: Sort("the clock is wrong", {"seconds": _SECONDS, "skew": _WRONG}),
}
"""All there are, and what each takes."""


@frozen(kw_only=True)
class InPodFault:
    """A fault to be. Numbers that its kind does not take stand at what changes nothing.

    `path` is a pattern of actors' paths (`*` stands for any characters), `room` the only room whose
    messages it is about, None for all that is heard.
    """

    kind: PodFault
    seconds: float
    path: str = ""
    room: str | None = None
    share: float = 1.0
    delay: float = 0.0
    times: int = 1
    skew: float = 0.0

    def described(self) -> str:
        """Say it in a few words."""
        sort = KINDS[self.kind]
        words = [self.kind.value]
        if sort.path:
            words.append(self.path)
        if self.room is not None:
            words.append(f"room {self.room}")
        said = {"share": f"{self.share:.0%}", "delay": f"{self.delay:g} s"}
        said |= {"times": f"{self.times}×", "skew": f"{self.skew:+g} s"}
        words += [text for name, text in said.items() if name in sort.numbers]
        return " ".join(words)

    def shown(self) -> dict[str, JSON]:
        """Return it as JSON, with what its kind takes and nothing else."""
        sort = KINDS[self.kind]
        shown: dict[str, JSON] = {"fault": self.kind.value}
        if sort.path:
            shown["path"] = self.path
        if sort.room:
            shown["room"] = self.room
        return shown | {name: getattr(self, name) for name in sort.numbers}


def read_fault(wanted: Mapping[str, object]) -> InPodFault:
    """Read what somebody asks for. Raises `BadFault`."""
    kind = _kind(wanted.get("fault"))
    sort = KINDS[kind]
    known = ["fault", *sort.numbers, *["path"] * sort.path, *["room"] * sort.room]
    for key in sorted(set(wanted) - set(known)):
        near = _near(key, known)
        raise BadFault(f"{kind.value} takes no '{key[:60]}'{near}; it takes {', '.join(known)}.")
    numbers = {name: _number(name, wanted.get(name), it) for name, it in sort.numbers.items()}
    return InPodFault(
        kind=kind,
        seconds=numbers["seconds"],
        path=_text("path", wanted.get("path")) or "" if sort.path else "",
        room=_text("room", wanted.get("room"), needed=False) if sort.room else None,
        share=numbers.get("share", 1.0),
        delay=numbers.get("delay", 0.0),
        times=int(numbers.get("times", 1)),
        skew=numbers.get("skew", 0.0),
    )


def _kind(given: object) -> PodFault:
    names = [kind.value for kind in PodFault]
    if not isinstance(given, str) or not given:
        raise BadFault(f'Name a fault, as in {{"fault": "{names[0]}"}}: {", ".join(names)}.')
    try:
        return PodFault(given)
    except ValueError:
        near = _near(given, names) or _near(given, [name.partition(".")[2] for name in names])
        raise BadFault(
            f"There is no fault '{given[:60]}'{near}; there are {', '.join(names)}."
        ) from None


def _number(name: str, given: object, of: Parameter) -> float:
    value = of.default if given is None else given
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # `seconds`, `share` and `delay` of nothing would be no fault; NaN is not within anything.
    above = of.least <= value <= of.most and (of.least != 0 or value != 0) if number else False  # type: ignore[operator]
    if not above:
        bounds = f"above 0 and of at most {of.most:g}" if of.least == 0 else (
            f"from {of.least:g} to {of.most:g}"
        )  # fmt: skip
        raise BadFault(f"Let {name} be a number {bounds}: {of.about}.")
    found = float(value)  # type: ignore[arg-type]
    if of.whole and not found.is_integer():
        raise BadFault(f"Let {name} be a whole number of at most {of.most:g}: {of.about}.")
    return found


def _text(name: str, given: object, *, needed: bool = True) -> str | None:
    if given is None and not needed:
        return None
    if not isinstance(given, str) or not given or len(given) > _LONGEST_TEXT:
        example = "pod/rooms/chat or pod/rooms/*" if name == "path" else "chat"
        raise BadFault(f"Let {name} be a text of at most {_LONGEST_TEXT}, such as {example}.")
    return given


def _near(given: str, known: list[str]) -> str:
    """Name what is meant, perhaps: the end of a part of a sentence."""
    near = get_close_matches(given, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""
