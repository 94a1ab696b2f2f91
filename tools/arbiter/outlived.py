"""How a pod learns that the parent which started it is gone: the other end of a pipe is closed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import trio

__all__ = ["PARENT", "parent_gone"]

PARENT: Final = "ARBITER_PIPE"
"""The variable that names the pipe's descriptor."""


async def parent_gone(environ: Mapping[str, str]) -> None:
    """Return when the parent has ended; never, where there is none."""
    number = environ.get(PARENT, "")
    if not number.isdecimal():
        await trio.sleep_forever()
    await trio.lowlevel.wait_readable(int(number))
    os.close(int(number))
