"""Whose lines they are: each says its pod, and its actor where one wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import trio
from websockets.exceptions import ConnectionClosed

from deployd.actors import Member, Room
from deployd.config import get_logger
from deployd.transport import CloseCode
from support import connected, pod_config, running_pod
from support.clients import until
from support.logs import logged

Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return what was logged of an event so far."""
    with logged() as log:
        yield lambda event: log.lines(event=event)


class Talkative(Room[None]):
    """Logs what happens to it, in ways that know nothing of actors."""

    async def on_start(self) -> None:
        get_logger("app").warning("opened")

    async def on_message(self, member: Member, event: str, data: Any) -> None:
        if event == "break":
            raise RuntimeError("as asked")
        await trio.to_thread.run_sync(get_logger("app").warning, "heard")
        self.broadcast(event, data)

    async def on_server_emit(self, event: str, data: Any) -> None:
        async def task() -> None:
            get_logger("app").warning("told")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)


ROOMS = {"tea-*": Talkative}


async def test_lines_of_two_pods_in_one_process_are_told_apart(lines: Lines) -> None:
    async with running_pod(rooms=ROOMS) as a, running_pod(rooms=ROOMS) as b:
        for pod in (a, b):
            async with connected(pod) as [client]:
                await client.join("tea-1")
                await client.send("emit", room="tea-1", event="said", data=1)
                await client.expect("emit", event="said")
        # Rooms that the application itself opens, from a task of its own.
        for pod in (a, b):
            pod.hub.emit_to_room("tea-2", "said", 1)
        await until(lambda: len(lines("told")) == 2)
        pods = {a.pod_id, b.pod_id}
        for event, room in (("heard", "tea-1"), ("told", "tea-2")):
            assert {line["pod"] for line in lines(event)} == pods
            assert {line["actor"] for line in lines(event)} == {f"pod/rooms/{room}"}
        opened = {(line["pod"], line["actor"]) for line in lines("opened")}
        assert opened == {(pod, f"pod/rooms/tea-{number}") for pod in pods for number in (1, 2)}
        get_logger("app").warning("outside")
        assert not {"pod", "actor"} & set(lines("outside")[0])


async def test_a_crash_says_whose_it_was_also_after_the_restart(lines: Lines) -> None:
    async with running_pod(rooms=ROOMS) as pod, connected(pod) as [client]:
        await client.join("tea-1")
        for event in ("break", "said", "break"):
            await client.send("emit", room="tea-1", event=event, data=1)
            await client.receive()
        await until(lambda: len(lines("child crashed")) == 2)
        crashed = lines("child crashed")
        assert {(line["pod"], line["actor"]) for line in crashed} == {
            (pod.pod_id, "pod/rooms/tea-1")
        }
        assert len(lines("opened")) >= 2
        assert {line["actor"] for line in lines("opened")} == {"pod/rooms/tea-1"}


async def test_clients_that_are_closed_in_a_storm_are_logged_at_a_limited_rate(
    lines: Lines,
) -> None:
    async with running_pod(pod_config(abuse_limit=1)) as pod:
        for _ in range(30):
            async with connected(pod) as [client]:
                with suppress(ConnectionClosed):
                    for _ in range(5):
                        await client.send_raw("nonsense")
                assert (await client.closed())[0] == CloseCode.ABUSE
        told = lines("closing a client")
        assert 10 <= len(told) < 30
        assert told[0]["suppressed"] == 0
        assert told[0]["actor"].startswith("pod/connections/")
        assert pod.meters.closed[CloseCode.ABUSE] == 30
