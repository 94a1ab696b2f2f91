"""Three pods as operators run them, on a real broker: it is killed, and then one of them is."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio
from websockets.exceptions import ConnectionClosed

from support.clients import Client, connected, until
from support.nats_server import NatsServer
from support.outages import in_thread
from support.processes import Served, serving

NAMES: Final = ("ann", "bob", "cid")
FAST: Final = {
    "canaryInterval": 0.2,
    "timeout": 1.0,
    "maxBackoff": 0.3,
    "noticeWindow": 0.0,
}
SECONDS: Final = 20.0
"""For three pods to find each other again; a second, but where the machine is busy."""


@attrs.define(eq=False)
class Someone:
    """A client, and everything that it has heard."""

    name: str
    pod: Served
    folder: Path
    client: Client
    heard: list[Any] = attrs.Factory(list)
    notices: list[str] = attrs.Factory(list)
    receipts: dict[int, str] = attrs.Factory(dict)
    gone: bool = False

    async def listen(self) -> None:
        try:
            while True:
                self._take(json.loads(await self.client.socket.recv()))
        except ConnectionClosed:
            self.gone = True

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "receipt":
            self.receipts[message["id"]] = message["data"]["scope"]
        elif message["type"] == "join":
            assert message["room"] == "tea"
        elif message.get("room") == "tea":
            self.heard.append(message["data"])
        else:
            self.notices.append(message["event"])

    async def say(self, data: object, **fields: Any) -> None:
        await self.client.send("emit", room="tea", event="said", data=data, **fields)


@asynccontextmanager
async def three(folder: Path, kind: str, server: Any) -> AsyncIterator[list[Someone]]:
    """Serve three pods, with a client in the same room on each."""
    place = {"host": "127.0.0.1", "port": server.port}
    settings = {"broker": {"type": kind, "enabled": True, kind: place, **FAST}}
    async with AsyncExitStack() as stack:
        everybody = []
        for name in NAMES:
            home = folder / name
            home.mkdir()
            pod = await stack.enter_async_context(serving(home, settings))
            [client] = await stack.enter_async_context(connected(pod))
            everybody.append(Someone(name, pod, home, client))
        async with trio.open_nursery() as nursery:
            for someone in everybody:
                await someone.client.send("join", room="tea")
                nursery.start_soon(someone.listen)
            yield everybody
            nursery.cancel_scope.cancel()


async def all_hear_each_other(everybody: Sequence[Someone], when: str) -> None:
    """Let everybody talk until each has heard all."""
    wanted = [[when, someone.name] for someone in everybody]
    with trio.fail_after(SECONDS):
        while not all(word in someone.heard for word in wanted for someone in everybody):
            for someone, word in zip(everybody, wanted, strict=True):
                await someone.say(word)
            await trio.sleep(0.1)  # what is said before the link is there is heard by nobody


async def tree(someone: Someone) -> str:
    """Return what `deployd tree` draws of a pod."""
    url = f"http://127.0.0.1:{someone.pod.port}"
    command = [sys.executable, "-P", "-m", "deployd.tools", "tree", "--url", url]
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            [*command, "--data", str(someone.folder / "data")], capture_stdout=True
        )
    return done.stdout.decode()


@pytest.mark.parametrize("kind", ["nats", "redis", "rabbitmq"])
async def test_pods_outlive_their_broker_and_each_other(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server = request.getfixturevalue(f"{kind}_server")
    async with three(tmp_path, kind, server) as everybody:
        ann, bob, cid = everybody
        await all_hear_each_other(everybody, "at first")
        drawn = await tree(ann)
        assert "link" in drawn
        assert "closed" in drawn
        for someone in everybody:
            someone.notices.clear()  # a pod that has just started may have told of its first try
        await in_thread(server.kill)
        try:
            await until(lambda: all(s.notices == ["system:degraded"] for s in everybody))
            for someone in everybody:
                assert (await someone.pod.http.get("/health/ready")).status_code == 200
                await someone.say("alone", id=1)
            await until(lambda: all(s.receipts.get(1) == "local" for s in everybody))
            assert [s.heard.count("alone") for s in everybody] == [1, 1, 1]
        finally:
            await in_thread(server.start)
        await all_hear_each_other(everybody, "again")
        await until(lambda: all(s.notices[-1] == "system:healed" for s in everybody))
        for someone in everybody:
            someone.notices.clear()
        await cid.pod.kill()
        await all_hear_each_other([ann, bob], "without Cid")
        assert (ann.gone, bob.gone, ann.notices, bob.notices) == (False, False, [], [])


async def test_34_a_pod_that_is_frozen_is_missed_and_tells_its_clients_so_when_it_goes_on(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with three(tmp_path, "nats", nats_server) as everybody:
        ann, bob, cid = everybody
        await all_hear_each_other(everybody, "at first")
        for someone in everybody:
            someone.notices.clear()
        os.kill(cid.pod.pid, signal.SIGSTOP)
        try:
            await until(lambda: ann.notices == bob.notices == ["system:degraded"])
            await ann.say("what Cid sleeps through", id=1)
            await until(lambda: 1 in ann.receipts)
        finally:
            os.kill(cid.pod.pid, signal.SIGCONT)
        await all_hear_each_other(everybody, "again")
        await until(lambda: all(s.notices[-1:] == ["system:healed"] for s in (ann, bob)))
        told = "system:degraded" in cid.notices
        assert told or "what Cid sleeps through" in cid.heard
        assert not any(someone.gone for someone in everybody)
