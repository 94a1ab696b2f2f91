"""The crashing room in a real pod, with clients that this project did not write."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import evolve
from structlog.testing import capture_logs
from websockets.sync.client import connect

from deployd.config import Drain, Secrets, Server, load
from deployd.supervisors import Node, Pod, open_pod

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from crash_client import ROOM, accident, enter, receive, send

HERE = Path(__file__).parent
KEYS = Secrets(master_key="a-master-key-for-tests", jwt_secret="a-secret-for-tests-of-32-bytes!!")


@asynccontextmanager
async def running_pod() -> AsyncIterator[Pod]:
    """Run a pod with the example's own configuration on a free port."""
    config = load(HERE / "realtime.json", environ={}).config
    config = evolve(config, server=Server(port=0), drain=Drain(window=0.0))
    with capture_logs():  # rooms crash on purpose: not into the tests' output
        async with open_pod(config, keys=KEYS) as pod:
            yield pod


def url(pod: Pod) -> str:
    return f"ws://127.0.0.1:{pod.port}/socket.io/"


def readme() -> list[str]:
    """Return what the README says that the client program prints."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return text.split("```text\n")[1].split("```")[0].splitlines()


def restarts(pod: Pod, room: str) -> int:
    """Return how often a room was restarted; for a story, that runs in a thread."""
    return find(trio.from_thread.run_sync(pod.tree), f"pod/rooms/{room}").restarts


def find(node: Node, path: str) -> Node:
    nodes = [node]
    while nodes:
        node = nodes.pop()
        if node.path == path:
            return node
        nodes.extend(node.children)
    raise AssertionError(f"no {path} in the tree")


async def test_the_client_program_shows_what_the_readme_says() -> None:
    def story(pod: Pod) -> None:
        lines = accident(url(pod))
        assert [next(lines) for _ in readme()] == readme()
        assert restarts(pod, ROOM) == 1
        assert trio.from_thread.run_sync(pod.connections) == 2
        assert list(lines) == []

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


async def test_the_error_names_the_message_and_goes_to_its_sender_alone() -> None:
    def story(pod: Pod) -> None:
        with connect(url(pod)) as ada, connect(url(pod)) as ben:
            enter(ada)
            enter(ben)
            send(ada, type="emit", room=ROOM, event="say", data="boom", id="mine")
            error = receive(ada)
            assert (error["type"], error["id"]) == ("error", "mine")
            assert error["data"]["code"] == "room_crashed"
            send(ben, type="emit", room=ROOM, event="say", data="still here")
            assert receive(ben)["data"]["text"] == "still here"
            assert receive(ada)["data"]["text"] == "still here"

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


async def test_the_room_next_door_never_notices() -> None:
    def story(pod: Pod) -> None:
        with connect(url(pod)) as ada:
            enter(ada)
            send(ada, type="join", room="crash-not")
            receive(ada)
            for n in (1, 2, 3):
                send(ada, type="emit", room=ROOM, event="say", data="boom", id=n)
                assert receive(ada)["id"] == n
            send(ada, type="emit", room="crash-not", event="say", data="calm")
            assert receive(ada)["data"] == {"text": "calm", "lines": 1, "incarnation": 1}
            assert restarts(pod, ROOM) == 3
            assert restarts(pod, "crash-not") == 0

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)
