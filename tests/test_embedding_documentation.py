"""Each program in `docs/embedding.md` runs, talks to a client, and ends when it is asked to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deployd.client import ConnectionTrouble
from deployd.client.sync import BlockingClient, connect
from deployd.tools.chaos.servers.processes import free_port

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "embedding.md").read_text()
PROGRAMS = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", PAGE, re.M | re.S))
CONFIG = "from deployd.config import Config, Server\n"


def test_there_is_a_program_for_each_way() -> None:
    in_threads = {"on_trio", "on_asyncio", "in_threads"}
    served = {"beside_fastapi", "on_one_port", "with_django"}
    assert set(PROGRAMS) == in_threads | served


@pytest.mark.parametrize(
    ("name", "room", "event"),
    [("on_trio", "clock", "tick"), ("on_asyncio", "words", "tick"),
     ("in_threads", "orders", "ordered")],
)  # fmt: skip
def test_what_a_program_says_is_heard(name: str, room: str, event: str, tmp_path: Path) -> None:
    with running(name, tmp_path) as (client, _):
        client.join(room)
        assert next(client.events(room, timeout=10)).name == event
        if name == "on_asyncio":
            assert client.emit(room, "ask", "tea").answer == "TEA"


@pytest.mark.parametrize("name", ["beside_fastapi", "on_one_port", "with_django"])
def test_what_is_asked_of_the_application_is_told_in_the_room(name: str, tmp_path: Path) -> None:
    with running(name, tmp_path) as (client, url):
        client.join("orders")
        ask = httpx.get if name == "with_django" else httpx.post
        answer = ask(f"{url}/orders?what=tea")
        assert (answer.status_code, answer.text.strip('"')) == (200, "local")
        event = next(client.events("orders", timeout=10))
        assert (event.name, event.data) == ("ordered", "tea")


@contextmanager
def running(name: str, folder: Path) -> Iterator[tuple[BlockingClient, str]]:
    """Run a program, and give a client of its pod, and the URL of the application."""
    port, beside = free_port(), free_port()
    made = f"Config(server=Server(host='127.0.0.1', port={port}))"
    source = PROGRAMS[name].replace("Config()", made).replace("port=8000", f"port={beside}")
    own = "port=8000" in PROGRAMS[name]
    (folder / f"{name}.py").write_text(CONFIG + source)
    with (folder / "log").open("w") as log:
        command = [sys.executable, f"{name}.py"]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            with patiently(f"http://127.0.0.1:{port}") as client:
                yield client, f"http://127.0.0.1:{beside if own else port}"
                process.send_signal(signal.SIGINT)
                process.wait(20)
        finally:
            process.kill()
            process.wait()
            said = (folder / "log").read_text()
    assert "Traceback" not in said or said.rstrip().endswith("KeyboardInterrupt"), said


@contextmanager
def patiently(url: str) -> Iterator[BlockingClient]:
    """Connect to a pod that is starting."""
    deadline = time.monotonic() + 40
    while True:
        try:
            with connect(url, timeout=5) as client:
                yield client
                return
        except ConnectionTrouble:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # a process that starts tells nobody
