"""Ctrl-C in a program that holds a pod: a process of its own, and real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from deployd.supervisors.pod.keyboard import kept_for_the_main_task

PATIENCE = 30.0

PROGRAM = """
import os, signal, sys
import trio
from deployd.actors import Room
from deployd.config import Config, DrainSettings, ServerSettings
from deployd.supervisors import open_pod

def press():
    os.kill(os.getpid(), signal.SIGINT)

class Tea(Room):
    async def on_start(self):
        print("started", self.ref.incarnation, flush=True)

    async def on_server_emit(self, event, data):
        {hook}

    async def on_drain(self):
        print("drained", flush=True)

async def main():
    config = Config(server=ServerSettings(port=0, data=sys.argv[1]), drain=DrainSettings(window=0))
    try:
        async with open_pod(config, rooms={{"tea": Tea}}) as pod:
            pod.hub.emit_to_room("tea", "steep", 1)
            {block}
    finally:
        print("left", signal.getsignal(signal.SIGINT).__module__, flush=True)

try:
    trio.run(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    async def run(hook: str = "pass", block: str = "await trio.sleep_forever()") -> tuple[int, str]:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(hook=hook, block=block))
        with trio.fail_after(PATIENCE):
            done = await trio.run_process(
                [sys.executable, str(program), str(tmp_path / "data")],
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return done.returncode, done.stdout.decode()

    return run


async def test_pressed_while_a_hook_runs_it_stops_the_program_and_harms_no_room(run: Run) -> None:
    code, printed = await run(hook="press(); await trio.sleep(0); print('hook done', flush=True)")
    assert printed.splitlines() == [
        *("started 1", "hook done", "drained"),
        *("left trio._core._ki", "interrupted"),
    ]
    assert code == 0


async def test_pressed_in_a_nursery_that_a_hook_has_opened_it_is_for_the_program_too(
    run: Run,
) -> None:
    hook = "await trio.to_thread.run_sync(press); await trio.sleep(0)"
    for wrapped in (
        (
            "async with trio.open_nursery() as nursery: nursery.start_soon(self.press)\n"
            "        print('hook done', flush=True)\n"
            "    async def press(self): press(); [n for n in range(1000)]"
        ),
        f"{hook}; print('hook done', flush=True)",
    ):
        code, printed = await run(hook=wrapped)
        assert "hook done" in printed
        assert printed.splitlines()[-1] == "interrupted"
        assert "started 2" not in printed
        assert code == 0


async def test_a_second_one_reaches_a_hook_that_never_lets_the_loop_turn(run: Run) -> None:
    hook = """
        press()
        press()
        while True:
            pass"""
    code, printed = await run(hook=hook)
    assert printed.splitlines()[-1] == "interrupted"
    assert code == 0


async def test_one_that_a_hook_raises_itself_restarts_its_room(run: Run) -> None:
    hook = "raise KeyboardInterrupt"
    block = "await trio.sleep(1)\n            print('alive', flush=True)"
    code, printed = await run(hook=hook, block=block)
    lines = [line for line in printed.splitlines() if line.partition(" ")[0].isalpha()]
    assert [line for line in lines if line in ("started 1", "started 2", "alive", "drained")] == [
        *("started 1", "started 2", "alive", "drained")
    ]
    assert code == 0


async def test_sys_exit_in_the_block_drains_the_pod_and_is_the_programs_exit(run: Run) -> None:
    code, printed = await run(block="await trio.sleep(0.1); sys.exit(3)")
    assert printed.splitlines() == ["started 1", "drained", "left trio._core._ki"]
    assert code == 3


async def test_who_has_a_handler_of_their_own_keeps_it() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGINT, mine)
    try:
        with kept_for_the_main_task():
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


async def test_a_pod_in_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def elsewhere() -> None:
        with kept_for_the_main_task():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await trio.to_thread.run_sync(thread.join)
    assert seen == [before]
