"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio

from support import connected, pod_config, running_pod

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_its_two_commands_are_in_the_makefile() -> None:
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["run", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


async def test_its_room_is_a_room_of_fifteen_lines_that_survives_its_crash() -> None:
    source = BLOCKS[0]
    assert len(source.strip().splitlines()) <= 20
    names: dict[str, Any] = {"__name__": "rooms"}
    exec(compile(source, "README.md", "exec"), names)
    async with running_pod(rooms={"chat-*": names["ChatRoom"]}) as pod, connected(pod, 2) as [a, b]:
        await a.join("chat-1")
        await a.expect("emit", event="history", data=[])
        await a.send("emit", room="chat-1", event="said", data="hello", id=1)
        await a.expect("emit", event="said", data="hello")
        await a.expect("receipt", id=1)
        await a.send("emit", room="chat-1", event="said", data="boom", id=2)
        await a.expect("error", id=2)
        await b.join("chat-1")
        await b.expect("emit", event="history", data=["hello"])


async def test_its_client_gets_a_receipt_and_hears_what_it_says() -> None:
    printed, done = list[str](), trio.Event()

    def note(*words: object) -> None:
        printed.append(" ".join(map(str, words)))
        if printed[-1].startswith("said"):
            done.set()

    names: dict[str, Any] = {"print": note}
    async with running_pod() as pod, trio.open_nursery() as nursery:
        program = BLOCKS[2].replace("http://localhost:2403", f"http://127.0.0.1:{pod.port}")
        exec(compile(program.replace("trio.run(main)", ""), "README.md", "exec"), names)
        nursery.start_soon(names["main"])
        with trio.fail_after(10):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert printed == ["local", "said hello"]


async def test_its_program_opens_a_pod_and_ticks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.chdir(tmp_path)  # the keys are made there
    program = BLOCKS[1].replace("Config()", "CONFIG").replace("trio.run(main)", "")
    names: dict[str, Any] = {"CONFIG": pod_config()}
    exec(compile(program, "README.md", "exec"), names)
    with trio.move_on_after(2.5) as scope:
        await names["main"]()
    assert scope.cancelled_caught
    assert (tmp_path / "data" / "secrets.json").exists()
