"""Several pods on one port: a parent that starts, watches and replaces them."""

from .command import serve_pods
from .outlived import parent_gone
from .plan import CannotShare

__all__ = ["CannotShare", "parent_gone", "serve_pods"]
