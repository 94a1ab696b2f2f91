"""The tests in `docs/testing.md` pass, whichever way rooms are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "testing.md"
RACE = """
import trio

async def test_who_is_first(autojump_clock):
    async with open_room(Tally) as room:
        ann, ben = await room.join(user="ann"), await room.join(user="ben")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.emit, "vote", "tea")
            nursery.start_soon(ben.emit, "vote", "milk")
        assert list(room.state) == ["tea", "milk"]


def test_no_room_at_all():
    with open("runs.txt", "a") as runs:
        runs.write("once ")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    room, *tests = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (tmp_path / "tally.py").write_text(room)
    (tmp_path / "test_tally.py").write_text("\n\n".join(tests))
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\npythonpath = .\n")
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("way", ["alone", "pod", "simulator"])
def test_all_of_them_pass(folder: Path, way: str) -> None:
    status, told = run(folder, f"--rooms={way}", "--seeds=5")
    assert (status, "6 passed" in told) == (0, True), told


def test_a_race_is_found_and_run_again_by_its_seed(folder: Path) -> None:
    with (folder / "test_tally.py").open("a") as file:
        file.write(RACE)
    chosen = "-k who_is_first or no_room"
    status, told = run(folder, "--rooms=simulator", "--seeds=20", chosen, PYTHONHASHSEED="0")
    found = re.search(r"of 20 seeds fail: (\d+)", told)
    assert (status, found is not None) == (1, True), told
    assert found is not None
    assert (folder / "runs.txt").read_text() == "once "
    seed = found[1]
    assert f"DEPLOYD_SEED={seed} pytest --rooms=simulator test_tally.py::test_who_is_first" in told
    assert "ben-2 emits vote" in told
    once = {"PYTHONHASHSEED": "0", "DEPLOYD_SEED": seed}
    status, again = run(folder, "--rooms=simulator", chosen, **once)
    assert (status, "1 of 1 seeds fail" in again) == (1, True), again


def test_seeds_are_a_number(folder: Path) -> None:
    status, told = run(folder, "--rooms=simulator", "--seeds=0")
    assert (status, "--seeds takes a number of 1 or more" in told) == (4, True), told
