"""Fixtures of what stands on both sides of a fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deployd.tools.chaos.proxy import FaultProxy, fault_proxy

from .echoing import EchoServer, echoing


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    async with echoing() as server:
        yield server


@pytest.fixture
async def proxy(server: EchoServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(server.port) as proxy:
        yield proxy
