from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.serving import Start, processes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in an empty folder, with nothing set in its environment."""
    for name in os.environ:
        if name.startswith(("DEPLOYD_", "REALTIME_", "API_ENABLED", "LOG_LEVEL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with processes() as start:
        yield start
