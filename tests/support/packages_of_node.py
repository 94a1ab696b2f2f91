"""What tests use of npm: installed below .venv/node by `make .venv/servers.stamp`."""

from __future__ import annotations

import shutil
from pathlib import Path

from .servers import not_installed

__all__ = ["node_program", "package_of_npm"]

_PACKAGES = Path(__file__).parents[2] / ".venv" / "node" / "node_modules"


def node_program() -> str:
    """Return where Node is. Without it a developer's machine skips; CI must have it."""
    found = shutil.which("node")
    if found is None:
        not_installed("node", "Node 20 or newer (nodejs)")
    return found


def package_of_npm(name: str) -> Path:
    """Return the folder of a package, or skip the test."""
    folder = _PACKAGES / name
    if not folder.is_dir():
        not_installed(name, "make .venv/servers.stamp, with node and npm")
    return folder
