"""`deployd serve --pods 2 --with-nats`, as operators run it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from deployd.client import connect
from deployd.tools.chaos.servers import free_port
from support.serving import PATIENCE, Running, Start, get

SETTINGS = {"drain": {"delay": 0, "deadline": 3, "window": 0}, "logging": {"format": "json"}}


async def line_of(pods: Running, event: str) -> dict[str, Any]:
    found = await pods.says(rf'\{{[^\n]*"event":"{event}"[^\n]*\}}\n')
    line = json.loads(found[0])
    assert isinstance(line, dict)
    return line


async def begin(start: Start, folder: Path, **more: Any) -> tuple[Running, str]:
    (folder / "pods.json").write_text(json.dumps({**SETTINGS, **more}))
    pods = await start(
        "serve", "--port", "0", "--pods", "2", "--with-nats", "--config", "pods.json"
    )
    line = await line_of(pods, "serving with several pods")
    assert len(line["pods"]) == 2
    return pods, f"http://127.0.0.1:{line['port']}"


async def eventually(condition: Callable[[], Any]) -> Any:
    with trio.fail_after(PATIENCE):
        while not (found := await condition()):  # noqa: ASYNC110 - processes tell nobody
            await trio.sleep(0.05)
    return found


async def pods_that_answer(url: str) -> set[str]:
    return {(await get(f"{url}/health/live")).json()["pod"] for _ in range(12)}


def children_of(pid: int) -> list[int]:
    """Return the processes that this one has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def named(pid: int) -> bool:
    return "nats-server" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_they_share_a_port_a_room_and_an_answer_to_prometheus_and_are_replaced(
    start: Start, folder: Path
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    pods, url = await begin(start, folder, metrics={"bind": bind})
    first = await eventually(lambda: both(url))
    address = url.replace("http", "ws")
    async with trio.open_nursery() as nursery:
        del nursery
        async with connect(address) as one, connect(address) as two:
            for client in (one, two):
                await client.join("tea")
            receipt = await one.emit("tea", "said", "to all")
            assert receipt is not None
            assert (await anext(aiter(two.events("tea")))).data == "to all"
    text = (await get(f"http://{bind}/metrics")).text
    names = set(re.findall(r'^deployd_ready\{pod_name="([^"]+)"\} 1\.0$', text, re.MULTILINE))
    assert len(names) == 2

    port = url.rpartition(":")[2]
    others = await start("serve", "--port", port, "--pods", "2", "--with-nats")
    assert await others.ends() == 1
    assert "another with --port" in others.printed

    pods.process.send_signal(signal.SIGHUP)
    await line_of(pods, "all pods are replaced")
    assert (await eventually(lambda: both(url))).isdisjoint(first)

    started = children_of(pods.process.pid)
    assert len(started) == 3  # and the broker
    started += children_of(started[0])
    pods.process.send_signal(signal.SIGTERM)
    assert await pods.ends() == 0
    assert not any(map(alive, started))


async def both(url: str) -> set[str]:
    found = await pods_that_answer(url)
    return found if len(found) == 2 else set()


async def test_a_pod_that_dies_is_started_again_and_without_their_parent_all_end(
    start: Start, folder: Path
) -> None:
    pods, url = await begin(start, folder)
    first = await eventually(lambda: both(url))
    broker, victim, _ = children_of(pods.process.pid)
    (nats,) = [child for child in children_of(broker) if named(child)]
    os.kill(victim, signal.SIGKILL)
    second = await eventually(lambda: both(url))
    second = await eventually(lambda: another(url, first))
    assert len(first & second) == 1
    started = children_of(pods.process.pid)
    pods.process.kill()

    async def gone() -> bool:
        return not any(map(alive, [*started, nats]))

    await eventually(gone)


async def another(url: str, first: set[str]) -> set[str]:
    found = await both(url)
    return found if found and found != first else set()


async def test_what_cannot_be_is_one_sentence(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for words, told in (
            (["--pods", "2"], "--with-nats"),
            (["--pods", "2", "--with-nats", "--dev"], "--dev"),
            (["--with-nats", "--port", str(taken.getsockname()[1])], "another with --port"),
        ):
            pods = await start("serve", "--port", "0", *words)
            assert await pods.ends() == 1
            assert told in pods.printed
            assert "bug" not in pods.printed
