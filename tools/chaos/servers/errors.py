"""What can be wrong with servers that are started here; each message says what helps.

ServersError
├── NotInstalled     the machine's: a program is missing
├── NoSuchBroker     the caller's: there is no such kind, topology, or number of servers
├── DoesNotStart     a server ended, or did not answer in time
├── DoesNotForm      servers do not find each other
├── BadEndpoint      the caller's: an address that is none of a broker
├── DoesNotAnswer    nothing answers where a broker is said to be
├── NotObeyed        a server refused what it was told
└── CannotBefall     that fault cannot be done to these servers
"""

from __future__ import annotations

from ...common import ToolError

__all__ = [
    "BadEndpoint",
    "CannotBefall",
    "DoesNotAnswer",
    "DoesNotForm",
    "DoesNotStart",
    "NoSuchBroker",
    "NotInstalled",
    "NotObeyed",
    "ServersError",
]


class ServersError(ToolError):
    """Base of all errors of servers that are started here."""


class NotInstalled(ServersError):
    """A program is missing."""

    def __init__(self, program: str, remedy: str) -> None:
        super().__init__(f"{program} is not installed: {remedy}.")
        self.program = program


class NoSuchBroker(ServersError):
    """There is no such kind of broker, in that topology, with so many servers."""


class DoesNotStart(ServersError):
    """A server ended, or did not answer in time."""


class DoesNotForm(ServersError):
    """Servers do not find each other."""


class BadEndpoint(ServersError):
    """An address that is none of a broker."""


class DoesNotAnswer(ServersError):
    """Nothing answers where a broker is said to be."""


class NotObeyed(ServersError):
    """A server refused what it was told."""


class CannotBefall(ServersError):
    """A fault that cannot be done to these servers; the message says why."""
