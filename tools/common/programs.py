"""Where programs are that Python packages bring: beside the interpreter, or in the PATH."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program(name: str) -> Path | None:
    """Find a program, of this environment first; None where there is none."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=beside) or shutil.which(name)
    return None if found is None else Path(found)
