"""What can go wrong between an operator and a pod; the messages are what the terminal shows.

ToolError
├── BadAddress       the operator's: no URL of a pod
├── Unreachable      the world's: nobody answers there
├── AccessDenied     the operator's: the pod wants another key
├── Declined         the operator's: the pod does not do this, and says why
└── NotAPod          the operator's: something else answers there
"""

__all__ = ["AccessDenied", "BadAddress", "Declined", "NotAPod", "ToolError", "Unreachable"]


class ToolError(Exception):
    """Base of all errors of the command line."""


class BadAddress(ToolError):
    """The address of a pod cannot be one."""


class Unreachable(ToolError):
    """No answer came from the address."""


class AccessDenied(ToolError):
    """The pod does not show this to everyone, and the key was missing or wrong."""


class Declined(ToolError):
    """The pod says no; the message is the pod's own."""


class NotAPod(ToolError):
    """What answered is no pod, or one that speaks another version."""
