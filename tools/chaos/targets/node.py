"""Node.js, and what is used of npm: where they lie, and what to do where they do not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from .contract import TargetError

__all__ = ["node_environment", "node_program", "npm_version"]

PACKAGES: Final = Path(sys.prefix) / "node"
"""Beside what Python has installed; `make test` puts them there."""
WANTED: Final = (
    "socket.io@4 socket.io-client@4 @socket.io/redis-adapter@8 "
    "@socket.io/redis-streams-adapter@0.3 ioredis@5"
)


def node_program() -> str:
    """Return Node's program. Raises `TargetError` where it, or a package, is not installed."""
    node = shutil.which("node")
    if node is None:
        raise TargetError("Node.js is not installed: apt-get install npm.")
    for name in WANTED.split():
        npm_version(name.rpartition("@")[0])
    return node


def npm_version(package: str) -> str:
    """Return which version of a package of npm is installed. Raises `TargetError`."""
    try:
        text = (PACKAGES / "node_modules" / package / "package.json").read_text()
    except OSError:
        raise TargetError(
            f"npm's {package} is not installed: npm install --prefix {PACKAGES} {WANTED}"
        ) from None
    return str(json.loads(text)["version"])


def node_environment(given: dict[str, str]) -> dict[str, str]:
    """Return the variables with which Node finds them."""
    return given | {"NODE_PATH": str(PACKAGES / "node_modules")}
