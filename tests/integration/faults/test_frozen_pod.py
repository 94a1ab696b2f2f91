"""34: a pod that was frozen takes what the broker kept for it at the rate of its rooms."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import attrs
import pytest
import trio

from deployd.supervisors import Pod, open_pod
from support.clients import KEYS, Client, connected, pod_config, until
from support.joined import well
from support.outages import STANDARD, broker_settings
from support.processes import Served, serving

SAID: Final = 6000
"""Events, each in a message of its own: six times what waits for a room."""
FROZEN: Final = 1.5
"""Seconds, after which the other pod does not call this one missing yet."""
NAMESPACE: Final = {"redis": "prefix", "nats": "subject", "rabbitmq": "exchange"}
ROOMY: Final = {"messageBufferSize": 100_000, "maxBufferBytes": 100_000_000}
"""What a client may be behind here: it is the room that is looked at."""


@asynccontextmanager
async def speaker_and_hearer(
    kind: str, server: Any, folder: Path
) -> AsyncIterator[tuple[Pod, Served, Client]]:
    """Run a pod that says each event by itself, and another as a process, with a client in tea."""
    namespace = {NAMESPACE[kind]: f"t{uuid4().hex}"}
    config = attrs.evolve(pod_config(), broker=broker_settings(kind, server, STANDARD, **namespace))
    alone = attrs.evolve(config.performance, batch_message_processing=False)
    place = {"host": "127.0.0.1", "port": server.port, **namespace}
    settings = {
        "broker": {"type": kind, "enabled": True, "noticeWindow": 0.0, kind: place},
        "limits": ROOMY,
    }
    async with (
        open_pod(attrs.evolve(config, performance=alone), keys=KEYS) as speaker,
        serving(folder, settings) as hearer,
        connected(hearer) as [client],
    ):
        await until(partial(well, speaker))
        await until(lambda: speaker.link is not None and len(speaker.link.state.peers) == 1)
        await client.send("join", room="tea")
        while (await client.receive())["type"] != "join":
            pass
        yield speaker, hearer, client


@pytest.mark.parametrize("kind", ["redis", "nats"])
async def test_34_a_pod_that_was_frozen_loses_nothing_of_what_the_broker_kept(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = request.getfixturevalue(f"{kind}_server")
    async with speaker_and_hearer(kind, server, tmp_path) as (speaker, hearer, client):
        os.kill(hearer.pid, signal.SIGSTOP)
        began = trio.current_time()
        try:
            for number in range(SAID):
                speaker.hub.emit_to_room("tea", "said", number)
                if number % 10 == 9:
                    await trio.sleep_until(began + FROZEN * number / SAID)
            await trio.sleep_until(began + FROZEN)
        finally:
            os.kill(hearer.pid, signal.SIGCONT)
        heard: list[object] = []
        while len(heard) < SAID:
            message = json.loads(await _received(client))
            assert message["event"] == "said" or message["data"].get("code") == "starting", message
            if message["event"] == "said":
                heard.append(message["data"])
        assert heard == list(range(SAID))


async def _received(client: Client) -> str:
    with trio.fail_after(20):
        return str(await client.socket.recv(decode=True))
