"""`deployd new`: what it makes runs, passes and is typed at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from click.testing import CliRunner, Result
from playwright.sync_api import expect

from deployd.client import connect
from deployd.supervisors import Pod
from deployd.tools.cli import cli
from support.browser import Browser, Visit
from support.serving import Start

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "tools" / "new_project"
PATIENCE = 240.0
"""Seconds for a program of a developer; mypy takes ten where it knows nothing yet."""


@pytest.fixture
def project(runner: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make(runner, "tea-room")
    assert made.exit_code == 0, made.output
    monkeypatch.chdir(folder / "tea-room")
    return folder / "tea-room"


def make(runner: CliRunner, name: str) -> Result:
    return runner.invoke(cli, ["new", name])


async def python(*arguments: str) -> str:
    """Run a module of Python's here; return what it printed, and fail where it fails."""
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            [sys.executable, "-m", *arguments],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


async def test_its_tests_pass_at_once(project: Path) -> None:
    assert re.search(r"^5 passed", await python("pytest", "-q"), re.MULTILINE)


async def test_it_is_typed_strictly(project: Path) -> None:
    cache = str(ROOT / ".mypy_cache" / "new")
    assert "no issues found in 2 source files" in await python("mypy", "--cache-dir", cache, ".")


async def test_its_room_answers_and_its_page_shows_what_is_said(
    project: Path, start: Start, browser: Browser
) -> None:
    served = await start("serve", "--dev", "--port", "0")
    url = await served.url()

    def story(visit: Visit) -> None:
        page = visit.open("/")
        lines = page.get_by_label("What was said").get_by_role("listitem")
        expect(lines).to_have_text([re.compile("^guest ....: first$")])
        page.get_by_label("Say something").fill("second")
        page.get_by_role("button", name="Say", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("That was line 2.")
        expect(lines).to_contain_text(["first", "second"])
        page.get_by_label("Say something").fill(" ")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Say something.")

    async with connect(url) as client:
        await client.join("chat-lobby")
        receipt = await client.emit("chat-lobby", "say", {"text": "first"})
        assert receipt.answer == {"number": 1}
        pod = cast("Pod", SimpleNamespace(port=int(url.rpartition(":")[2])))
        await browser.visit(pod, story)


async def test_it_can_be_checked_and_its_rooms_typed(project: Path) -> None:
    assert "chat-*" in await python("deployd.tools", "types")
    assert "well" in await python("deployd.tools", "check", "--port", "0")


def test_every_placeholder_is_filled_and_every_file_has_its_place(project: Path) -> None:
    files = [path for path in project.rglob("*") if path.is_file()]
    assert len(files) == len(list(TEMPLATES.iterdir()))
    for path in files:
        assert not re.search("__[A-Z]+__", path.read_text()), path
    assert 'name = "tea-room"' in (project / "pyproject.toml").read_text()


def test_its_image_gets_what_it_copies_and_settings_that_there_are(
    runner: CliRunner, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (project / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    kept = (project / ".dockerignore").read_text().splitlines()
    assert [f"!{name}" for name in copied] == [line for line in kept if line.startswith("!")]
    assert all((project / name).exists() for name in copied)
    settings = next(line for line in lines if line.startswith("ENV")).split()[1:]
    for setting in settings:
        monkeypatch.setenv(*setting.split("="))
    rows: Any = runner.invoke(cli, ["config", "--json"]).stdout
    assert '"environment DEPLOYD_METRICS__BIND"' in rows
    assert '"environment DEPLOYD_SERVER__HOST"' in rows


def test_what_is_there_stays(runner: CliRunner, folder: Path) -> None:
    (folder / "tea").mkdir()
    (folder / "milk").write_text("a file")
    for name in ("tea", "milk"):
        result = make(runner, name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"There is something called {name} here already" in result.stderr
    assert list((folder / "tea").iterdir()) == []


@pytest.mark.parametrize("name", ["", "Tea", "1tea", "tea-", "a/b", "..", "té", "tea room", "-t"])
def test_what_is_no_name_is_wrong_usage(runner: CliRunner, folder: Path, name: str) -> None:
    result = make(runner, name)
    assert result.exit_code == 2
    assert list(folder.iterdir()) == []


def test_where_nothing_can_be_written_that_is_told(
    runner: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "tea/README.md")

    monkeypatch.setattr(Path, "write_text", full)
    result = make(runner, "tea")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "tea/README.md cannot be written: No space left on device." in result.stderr
