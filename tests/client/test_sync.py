"""The client for scripts: a thread that is gone when the block is, and waits that end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
import trio
from attrs import evolve

from deployd.actors import JSON, Member, Room, on
from deployd.client import (
    ClientClosed,
    ClosedForGood,
    Disconnected,
    NothingHeard,
    Refused,
    Scope,
)
from deployd.client.sync import connect
from deployd.config import Access, Rule, Speaker
from deployd.supervisors import Pod
from support.clients import PATIENCE, pod_config, running_pod, until


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "deployd.client"]


async def run(story: Callable[[str], None], pod: Pod) -> None:
    """Run a script in a thread, and see that it leaves none of its own."""
    with trio.fail_after(PATIENCE):
        await trio.to_thread.run_sync(story, f"http://127.0.0.1:{pod.port}")
    assert threads() == []


async def test_two_scripts_hear_each_other() -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            for client in (ada, ben):
                client.join("chat")
            for number in range(3):
                assert ada.emit("chat", "said", number).scope is Scope.LOCAL
            for event in ben.events("chat", timeout=5):
                if event.data == 1:
                    break
            assert next(ben.events("chat", timeout=5)).data == 2
            assert ada.rooms == {"chat"}
            assert ada.id != ben.id

    async with running_pod() as pod:
        await run(story, pod)


async def test_errors_come_out_where_they_are_asked_for() -> None:
    def story(url: str) -> None:
        with connect(url) as ada:
            with pytest.raises(Refused) as caught:
                ada.emit("chat", "said")
            assert caught.value.code == "not_a_member"
            ada.join("chat")
            with pytest.raises(NothingHeard, match=r"Nothing came in 0.05 s\."):
                next(ada.events("chat", timeout=0.05))
            events = ada.events("chat")
            ada.leave("chat")
            assert list(events) == []
        with pytest.raises(ClientClosed):
            ada.emit("chat", "said")
        with pytest.raises(ClientClosed):
            ada.join("chat")

    async with running_pod() as pod:
        await run(story, pod)


async def test_a_bad_token_and_no_pod_are_errors_of_connect_and_leave_no_thread() -> None:
    def story(url: str) -> None:
        with pytest.raises(Refused), connect(url, "not-a-token"):
            pass
        with pytest.raises(Disconnected), connect("ws://127.0.0.1:1", timeout=0.2):
            pass

    async with running_pod() as pod:
        await run(story, pod)


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    def story(url: str) -> None:
        with pytest.raises(ZeroDivisionError), connect(url):
            raise ZeroDivisionError

    async with running_pod() as pod:
        await run(story, pod)


async def test_a_final_code_ends_a_wait_of_a_script() -> None:
    def story(url: str) -> None:
        with connect(url, token) as ada:
            ada.join("chat")
            with pytest.raises(ClosedForGood, match="expired"):
                next(ada.events("chat", timeout=8))

    async with running_pod() as pod:
        token = pod.tokens.sign("ada", ttl=1)
        await run(story, pod)


async def test_several_threads_may_use_one_client() -> None:
    config = pod_config(message_rate_limit=0)

    def story(url: str) -> None:
        with connect(url) as ada:
            ada.join("chat")

            def speak(number: int) -> None:
                for count in range(20):
                    ada.emit("chat", "said", [number, count])

            speakers = [threading.Thread(target=speak, args=(number,)) for number in range(4)]
            for speaker in speakers:
                speaker.start()
            heard = [next(ada.events("chat", timeout=5)).data for _ in range(80)]
            for speaker in speakers:
                speaker.join()
            for number in range(4):
                mine = [data for data in heard if data[0] == number]  # type: ignore[index]
                assert mine == [[number, count] for count in range(20)]

    async with running_pod(config) as pod:
        await run(story, pod)


SCRIPT = """
import sys, threading
from deployd.client.sync import connect
{body}
"""


async def script(pod: Pod, body: str) -> subprocess.Popen[str]:
    """Start a program that is told where the pod is, and return it when it has said "ready"."""
    program = SCRIPT.format(body=body)
    process = subprocess.Popen(  # noqa: ASYNC220 - a program starts in no time
        [sys.executable, "-c", program, f"http://127.0.0.1:{pod.port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(3 * PATIENCE):
            line = await trio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True)
    except BaseException:
        process.kill()
        raise
    assert line == "ready\n"
    return process


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with closing(process.stdout), closing(process.stderr):  # type: ignore[type-var]
        try:
            out, err = await trio.to_thread.run_sync(lambda: process.communicate(timeout=PATIENCE))
        finally:
            process.kill()
            process.wait()
    return process.returncode, out, err


async def test_ctrl_c_ends_a_wait_at_once_and_leaves_no_thread() -> None:
    async with running_pod() as pod:
        process = await script(
            pod,
            """
try:
    with connect(sys.argv[1]) as c:
        c.join("chat")
        print("ready", flush=True)
        for event in c.events("chat"):
            pass
except KeyboardInterrupt:
    print("interrupted", [t.name for t in threading.enumerate()], flush=True)
""",
        )
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
        assert (code, out, err) == (0, "interrupted ['MainThread']\n", "")
        assert time.monotonic() - began < 4


async def test_a_script_that_closes_nothing_ends_all_the_same() -> None:
    async with running_pod() as pod:
        process = await script(
            pod,
            """
kept = connect(sys.argv[1])
c = kept.__enter__()
c.join("chat")
print("ready", flush=True)
""",
        )
        assert await ended(process) == (0, "", "")
        await until(lambda: not pod.members)


async def test_a_script_that_is_stopped_amid_a_call_can_go_on() -> None:
    async with running_pod() as pod:
        process = await script(
            pod,
            """
with connect(sys.argv[1]) as c:
    c.join("chat")
    print("ready", flush=True)
    try:
        next(c.events("chat"))
    except KeyboardInterrupt:
        c.emit("chat", "said", "after")
        print(next(c.events("chat", timeout=5)).data, flush=True)
""",
        )
        await trio.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        assert await ended(process) == (0, "after\n", "")


async def test_a_script_emits_where_a_rule_lets_it_without_joining() -> None:
    class Desk(Room):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            self.broadcast(event, data)

        @on("count")
        def count(self, member: Member, data: JSON) -> int:
            return len(self.members)

    def story(url: str) -> None:
        with connect(url) as inside, connect(url) as script:
            inside.join("desk")
            assert script.emit("desk", "count").answer == 1
            receipt = script.emit("desk", "note", "hello")
            heard = next(inside.events("desk", timeout=5))
            assert (heard.id, heard.data) == (receipt.id, "hello")
            assert script.rooms == set()

    rules = {"desk": Rule(emit=Speaker.ANYONE)}
    config = evolve(pod_config(), access=Access(rules=rules))
    async with running_pod(config, {"desk": Desk}) as pod:
        await run(story, pod)
