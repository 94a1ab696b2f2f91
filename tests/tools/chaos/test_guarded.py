"""Nothing is left of a run that was killed: no process, no folder."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployd.tools.chaos.servers import guardian, work_folder
from deployd.tools.chaos.servers.guarded import Guard, sweep

GONE = 10.0
"""Seconds within which all must be gone on a busy machine."""

RUNNER = """
import sys
from pathlib import Path
import trio
from deployd.tools.chaos.servers import brokers, work_folder

async def main() -> None:
    with work_folder(Path(sys.argv[1])) as folder:
        async with brokers(sys.argv[2], sys.argv[3], 2, folder):
            print("started", flush=True)
            await trio.sleep_forever()

try:
    trio.run(main)
except KeyboardInterrupt:
    pass
"""


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes whose folder is there, or who were told of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = os.readlink(process / "cwd")
            is_dead = (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            continue
        if (
            process.name != str(os.getpid())
            and not is_dead
            and (str(folder) in command or where.startswith(str(folder)))
        ):
            found.append(command)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GONE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # the dead tell nobody


@pytest.fixture
def run(servers_wanted: None, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a runner of servers, and return when they serve."""
    runners: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(tmp_path), *words],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        runners.append(runner)
        assert runner.stdout is not None
        if not runner.stdout.readline():
            pytest.skip("the servers are not installed")
        return runner

    yield start
    for runner in runners:
        runner.kill()
        runner.wait()
        assert runner.stdout is not None
        runner.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize(
    ("kind", "topology"),
    [("nats", "cluster"), ("redis", "sentinel"), ("rabbitmq", "single")],
)
def test_nothing_is_left_of_a_runner_that_was_killed_or_interrupted(
    run: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    kind: str,
    topology: str,
    how: signal.Signals,
) -> None:
    runner = run(kind, topology)
    assert len(processes_in(tmp_path)) > 1
    os.killpg(runner.pid, how)  # as a terminal does: its whole group
    runner.wait(GONE)
    until(lambda: processes_in(tmp_path) == [])
    until(lambda: not list(tmp_path.iterdir()))


def test_a_guardian_that_was_killed_is_replaced_and_knows_all(tmp_path: Path) -> None:
    guard = Guard()
    with (tmp_path / "log").open("wb") as output:
        first = guard.start(["sleep", "60"], tmp_path, None, output)
        os.kill(guard.pid, signal.SIGKILL)
        os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
        second = guard.start(["sleep", "60"], tmp_path, None, output)
    guard.leave()
    for sleeper in (first, second):
        assert sleeper.wait(GONE) == -signal.SIGKILL


def test_what_ends_a_runner_does_not_end_its_guardian(tmp_path: Path) -> None:
    guard = Guard()
    with (tmp_path / "log").open("wb") as output:
        sleeper = guard.start(["sleep", "60"], tmp_path, None, output)
    until(lambda: ignores(guard.pid, signal.SIGHUP))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(guard.pid, number)
    guard.leave()
    assert sleeper.wait(GONE) == -signal.SIGKILL


def ignores(pid: int, number: signal.Signals) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [ignored] = [int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:")]
    return bool(ignored >> (number - 1) & 1)


def test_a_guardian_leaves_alone_what_has_ended_in_peace(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for each in (folder, other):
        each.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        guardian.watch([f"+{sleeper.pid}\n", f"-{sleeper.pid}\n", f"folder {folder}\n"])
        assert sleeper.poll() is None
        assert [each.name for each in tmp_path.iterdir()] == ["other"]
        guardian.watch([f"+{sleeper.pid}\n"])
        assert sleeper.wait(GONE) == -signal.SIGKILL
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_folder_whose_owner_has_died_is_removed_by_the_next_and_no_other(tmp_path: Path) -> None:
    orphan, foreign = tmp_path / "deployd-chaos-orphan", tmp_path / "deployd-chaos-foreign"
    for each in (orphan, foreign):
        each.mkdir()
    (orphan / "owner").touch()
    (tmp_path / "another").mkdir()
    with work_folder(tmp_path) as own, work_folder(tmp_path) as second:
        assert not orphan.exists()
        assert {own, second, foreign, tmp_path / "another"} == set(tmp_path.iterdir())
        assert sweep(tmp_path) == []
    assert {each.name for each in tmp_path.iterdir()} == {"deployd-chaos-foreign", "another"}


def test_a_folder_that_somebody_else_has_locked_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "deployd-chaos-locked"
    folder.mkdir()
    with (folder / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert sweep(tmp_path) == []
    assert sweep(tmp_path) == [folder]


def test_a_program_that_is_not_there_is_told_by_its_log(tmp_path: Path) -> None:
    guard = Guard()
    with (tmp_path / "log").open("wb") as output:
        process = guard.start([str(tmp_path / "nothing")], tmp_path, None, output)
    assert process.wait(GONE) == 127
    assert b"not found" in (tmp_path / "log").read_bytes()
    guard.ended(process)
    guard.leave()
