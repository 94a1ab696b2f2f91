"""Node.js, and what is used of npm: where they lie, and what to do where they do not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from ..servers import NotInstalled

__all__ = ["node_command", "npm_version"]

PACKAGES: Final = Path(sys.prefix) / "node"
"""Beside what Python has installed; `make test` puts them there."""
WANTED: Final = (
    "socket.io@4 socket.io-client@4 @socket.io/redis-adapter@8 "
    "@socket.io/redis-streams-adapter@0.3 ioredis@5"
)


def node_command(program: Path, *words: str) -> list[str]:
    """Return how Node runs a program that uses them. Raises `NotInstalled` where one is missing."""
    node = shutil.which("node")
    if node is None:
        raise NotInstalled("Node.js", "apt-get install npm")
    for name in WANTED.split():
        npm_version(name.rpartition("@")[0])
    return ["env", f"NODE_PATH={PACKAGES / 'node_modules'}", node, str(program), *words]


def npm_version(package: str) -> str:
    """Return which version of a package of npm is installed. Raises `NotInstalled`."""
    try:
        text = (PACKAGES / "node_modules" / package / "package.json").read_text()
    except OSError:
        remedy = f"npm install --prefix {PACKAGES} {WANTED}"
        raise NotInstalled(f"npm's {package}", remedy) from None
    return str(json.loads(text)["version"])
