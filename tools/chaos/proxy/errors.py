"""What can be wrong with a proxy, or with what it was asked for; `status` is what its API answers.

ProxyError
├── BadPlace        no address to listen on, or to connect to
├── PortTaken       it cannot listen there
├── BadProxy        a proxy was asked for that cannot be: a field is missing, or unknown
├── UnknownProxy    there is none of that name
├── ProxyExists     there is one of that name already
├── BadToxic        a toxic was asked for that cannot be: its type, an attribute, a stream
├── UnknownToxic    there is none of that name
└── ToxicExists     there is one of that name already
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

from ...common import ToolError

__all__ = [
    "BadPlace",
    "BadProxy",
    "BadToxic",
    "PortTaken",
    "ProxyError",
    "ProxyExists",
    "ToxicExists",
    "UnknownProxy",
    "UnknownToxic",
    "nearest",
]


class ProxyError(ToolError):
    """Base of all errors of the fault proxy; the message is a sentence."""

    status: ClassVar[int] = 500


class BadPlace(ProxyError):
    """An address is none."""

    status = 400


class PortTaken(ProxyError):
    """The address cannot be listened on."""


class BadProxy(ProxyError):
    """What was said of a proxy is wrong."""

    status = 400


class UnknownProxy(ProxyError):
    """There is no such proxy."""

    status = 404


class ProxyExists(ProxyError):
    """The name is taken."""

    status = 409


class BadToxic(ProxyError):
    """What was said of a toxic is wrong."""

    status = 400


class UnknownToxic(ProxyError):
    """There is no such toxic."""

    status = 404


class ToxicExists(ProxyError):
    """The name is taken."""

    status = 409


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question for a name that somebody has mistyped, or the names that there are."""
    names = list(known)
    near = get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(names)}." if names else "there are none."
