"""Scenarios played for real: servers, pods as processes, clients; and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployd.tools.chaos.report.stored import load

PATIENCE = 60.0
SCENARIO = """
title = "A way is cut"

[pods]
count = 2

[load]
clients = 1
rate = 10

[[steps]]
at = 1.0
fault = "way.cut"

[expect]
healed_within = 20.0
"""


@pytest.fixture
def command(tmp_path: Path, servers_wanted: None, redis_server: object) -> list[str]:
    """Play a short scenario on a Redis; the fixture says whether there is one."""
    file = tmp_path / "cut.toml"
    file.write_text(SCENARIO)
    run = [sys.executable, "-P", "-m", "deployd.tools", "chaos", "run", str(file)]
    return [*run, "--broker", "redis", "--topology", "single"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Let what is started have a folder of its own for all that it makes."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(folder)}


def left(folder: str) -> list[str]:
    """Return the command lines of processes that work in a folder, and what lies in it."""
    found = [str(each) for each in Path(folder).iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if where.startswith(folder):
            found.append(words)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # other processes tell nobody


def test_a_short_scenario_passes_and_leaves_nothing_behind(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "result.json")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [play] = load(tmp_path / "result.json").runs[0].scenarios
    assert play.measures is not None
    assert play.measures.sent > 10
    assert play.measures.elsewhere > 10
    assert play.measures.noticed
    assert left(environment["TMPDIR"]) == []


@pytest.fixture
def playing(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose servers and pods are there."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        until(lambda: sum("serve" in each for each in left(environment["TMPDIR"])) >= 2)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_who_is_killed_while_it_plays_leaves_no_process_and_no_folder(
    playing: subprocess.Popen[bytes], environment: dict[str, str], how: signal.Signals
) -> None:
    playing.send_signal(how)
    _, told = playing.communicate(timeout=PATIENCE)
    assert b"Traceback" not in told
    until(lambda: left(environment["TMPDIR"]) == [])
