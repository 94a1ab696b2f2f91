"""What a client's emit costs, counted in work and not in time, so that it cannot creep up unseen.

`docs/way-in.md` says what each of these was before, and what it is in microseconds.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
import trio
import trio.testing
from attrs import evolve

from deployd.config import Config
from deployd.supervisors import Pod
from deployd.transport import NATIVE, Event, Outbox, PodMessage
from deployd.transport.protocols.native import NativeProtocol
from support import Client, connected, pod_config, running_pod

MEMBERS = 10


def unlimited() -> Config:
    config = pod_config()
    return evolve(config, limits=evolve(config.limits, message_rate_limit=0, byte_rate_limit=0))


class Steps(trio.abc.Instrument):
    """Counts the steps of a pod's own tasks, by what their names begin with."""

    def __init__(self) -> None:
        self.of = Counter[str]()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.name.startswith(("pod/connections/", "pod/rooms/")):
            self.of[task.name.split("/")[1]] += 1


class Work:
    """What was done since it was made: steps of tasks, writes, and messages encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = Steps()
        self.writes = self.encoded = 0
        write, encode = Outbox.write, NativeProtocol.encode

        def written(outbox: Outbox, data: bytes, messages: int = 1) -> None:
            self.writes += 1
            write(outbox, data, messages)

        def counted(protocol: NativeProtocol, message: PodMessage) -> bytes:
            self.encoded += isinstance(message, Event)
            return encode(protocol, message)

        monkeypatch.setattr(Outbox, "write", written)
        monkeypatch.setattr(NativeProtocol, "encode", counted)
        trio.lowlevel.add_instrument(self.steps)


async def in_a_room(pod: Pod, clients: list[Client]) -> None:
    for client in clients:
        await client.join("tea")
    assert len(pod.members) == len(clients)
    await speak(clients[0], 1)
    await hear(clients, 1)
    await trio.testing.wait_all_tasks_blocked(0.01)


async def speak(client: Client, count: int) -> None:
    """Say so many things in one write of the client's socket."""
    text = json.dumps({"type": "emit", "room": "tea", "event": "said", "data": "hello"}).encode()
    assert len(text) < 126
    await client.socket.stream.send_all(
        (b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text) * count
    )


async def hear(clients: list[Client], count: int) -> None:
    for client in clients:
        for _ in range(count):
            assert (await client.expect("emit"))["data"] == "hello"


@pytest.mark.parametrize("together", [1, 20])
async def test_what_comes_in_one_read_is_one_step_of_two_tasks_and_one_write_a_member(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pod(unlimited()) as pod, connected(pod, MEMBERS) as clients:
        await in_a_room(pod, clients)
        work = Work(monkeypatch)
        await speak(clients[0], together)
        await hear(clients, together)
        assert work.steps.of == {"connections": 1, "rooms": 1}
        assert (work.writes, work.encoded) == (MEMBERS, together)


def test_the_protocol_that_is_counted_is_the_one_that_clients_speak() -> None:
    assert isinstance(NATIVE, NativeProtocol)
