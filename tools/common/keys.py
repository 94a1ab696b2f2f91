"""The master key of a pod on this machine: where it lies, and its value if it may be read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ...config import load_secrets

VARIABLE: Final = "DEPLOYD_MASTER_KEY"
FILE: Final = "secrets.json"


def key_place(data: Path, environ: Mapping[str, str]) -> str:
    """Say where the master key lies; its value is nobody's to print."""
    return f"in the variable {VARIABLE}" if VARIABLE in environ else f"in {data / FILE}"


def known_key(data: Path, environ: Mapping[str, str]) -> str | None:
    """Return the master key if there is one to be read; never make one.

    Raises `SecretsError` when it cannot be trusted.
    """
    if VARIABLE in environ:
        return environ[VARIABLE]
    readable = os.access(data / FILE, os.R_OK)
    return load_secrets(data, environ).master_key if readable else None
