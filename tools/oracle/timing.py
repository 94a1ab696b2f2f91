"""How long whoever plays a run has to wait, so that it may be judged (seconds)."""

from __future__ import annotations

from typing import Final

__all__ = ["HEALED", "HIDDEN", "LISTENED"]

HEALED: Final = 8.5
"""After the last fault, until all is well again, and what is said reaches everybody."""
LISTENED: Final = 3.5
"""After the last word, until all that is to be told is told."""
HIDDEN: Final = 28.0
"""Until what a server has forgotten in silence is found out: silent subscriptions are proven within
half a minute."""
