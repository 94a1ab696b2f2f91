"""One pod: its tree, from the start to the end."""

from .application import open_pod
from .assemble import Parts, assemble
from .pod import Pod

__all__ = [
    "Parts",
    "Pod",
    "assemble",
    "open_pod",
]
