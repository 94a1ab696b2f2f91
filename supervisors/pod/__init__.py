"""One pod: its tree, from the start to the end."""

from .application import open_pod
from .pod import Pod

__all__ = [
    "Pod",
    "open_pod",
]
