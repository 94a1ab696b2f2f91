"""What a process does before it runs many simulations."""

from __future__ import annotations

import gc
import logging
from typing import Final

import structlog

__all__ = ["prepare", "quiet"]

COLLECTED: Final = (50_000, 20, 100)
"""Objects that live before the garbage collector looks at them, and how seldom it looks at the old:
a run leaves few rings, and the collector would walk through all modules again and again."""


def quiet() -> None:
    """Write down nothing of what pods have to say: there are thousands, and all are unwell."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def prepare() -> None:
    """Be quiet, and collect little."""
    quiet()
    gc.freeze()
    gc.set_threshold(*COLLECTED)
