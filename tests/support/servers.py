"""What tests do where a server is not installed: they are skipped, and fail in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from deployd.tools.chaos.servers import NotInstalled

__all__ = ["not_installed", "where_installed"]


def not_installed(program: str, package: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    _miss(f"{program} is not installed: {package}")


@contextmanager
def where_installed() -> Iterator[None]:
    """Skip the test, or fail it in CI, when the block misses a server."""
    try:
        yield
    except NotInstalled as missing:
        _miss(str(missing))


def _miss(sentence: str) -> NoReturn:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
