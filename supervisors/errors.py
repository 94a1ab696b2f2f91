"""What supervision raises. The class says whose fault it is, the message the remedy.

SupervisorError
├── InvalidSpec          whoever wrote the tree: a specification that cannot be
├── NameTaken            the caller: a child of that name lives already
├── TooManyChildren      the caller, or too low a limit
├── NotRunning           the caller: nobody is there to start a child
├── StartTimeout         the child: it did not say that it is up
├── IntensityExceeded    the child: it crashed too often, so its supervisor gives up
└── BadFault             who wants a fault that there is not
"""

__all__ = [
    "BadFault",
    "IntensityExceeded",
    "InvalidSpec",
    "NameTaken",
    "NotRunning",
    "StartTimeout",
    "SupervisorError",
    "TooManyChildren",
]


class SupervisorError(Exception):
    """Base of all errors of supervision."""


class BadFault(SupervisorError, ValueError):
    """What was asked for is no fault (`chaos`); the text is a sentence with the remedy."""


class InvalidSpec(SupervisorError, ValueError):
    """A child's specification, a backoff or an intensity cannot be what it says."""


class NameTaken(SupervisorError):
    """A supervisor has a child of that name already, perhaps one that is still stopping."""


class TooManyChildren(SupervisorError):
    """A dynamic supervisor holds `max_children` already."""


class NotRunning(SupervisorError):
    """A child was to be started by a supervisor that has not started, is stopping, or is gone."""


class StartTimeout(SupervisorError):
    """A child did not call `started()` within its specification's `startup` seconds."""


class IntensityExceeded(SupervisorError):
    """A child crashed more often than its supervisor's intensity allows; its cause is chained."""
