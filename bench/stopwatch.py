"""From `pip install` to a tested room in two browsers on two pods: each step, and its seconds.

What a developer does with `deployd new`, done by a program: no step waits for anybody to think or
to type. Takes the wheel of this checkout, and `nats-server` and Chromium of its environment.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page, expect, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
NATS: Final = Path(sys.executable).with_name("nats-server")
CHROMIUM: Final = "/usr/bin/chromium"
PATIENCE: Final = 120.0
"""Seconds for a step."""

T = TypeVar("T")


def timed(what: str, step: Callable[[], T]) -> T:
    """Do a step, and print what it took."""
    began = time.perf_counter()
    result = step()
    print(f"{time.perf_counter() - began:6.1f} s  {what}", flush=True)
    return result


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*command: str | Path, folder: Path, more: Mapping[str, str]) -> Iterator[None]:
    """Run a program for the length of the block."""
    environment = {**os.environ, **more}
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def ready(port: int) -> None:
    """Return when a pod takes clients."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"The pod on port {port} is not ready within {PATIENCE:g} s.")


def main() -> None:
    """Do all of it."""
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        bin_folder = folder / "venv" / "bin"
        timed("python -m venv venv", lambda: venv.create(folder / "venv", with_pip=True))

        def run(*words: str | Path, at: Path = folder) -> None:
            done = subprocess.run(
                [str(word) for word in words], cwd=at, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"{words} failed:\n{done.stdout}{done.stderr}")

        pip = (bin_folder / "pip", "install", "-q")
        timed("pip install 'deployd[testing]'", lambda: run(*pip, f"{ROOT}[testing]"))
        timed("deployd new tea-room", lambda: run(bin_folder / "deployd", "new", "tea-room"))
        project = folder / "tea-room"
        timed("pytest", lambda: run(bin_folder / "python", "-m", "pytest", "-q", at=project))
        ports = [free_port(), free_port()]
        nats = free_port()
        broker = {
            "DEPLOYD_BROKER__TYPE": "nats",
            "DEPLOYD_BROKER__ENABLED": "true",
            "DEPLOYD_BROKER__NATS__HOST": "127.0.0.1",
            "DEPLOYD_BROKER__NATS__PORT": str(nats),
            "DEPLOYD_SERVER__HOST": "127.0.0.1",
        }

        def serve() -> None:
            stack.enter_context(running(NATS, "-p", str(nats), folder=folder, more={}))
            for number, port in enumerate(ports):
                words = ("serve", "--port", str(port), "--data", str(folder / f"data{number}"))
                serving = running(bin_folder / "deployd", *words, folder=project, more=broker)
                stack.enter_context(serving)
            for port in ports:
                ready(port)

        timed("a broker, and two pods by `deployd serve`", serve)
        chromium = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        stack.callback(chromium.close)

        def talk() -> None:
            pages: list[Page] = []
            for port in ports:
                page = chromium.new_page()
                page.goto(f"http://127.0.0.1:{port}/")
                page.wait_for_function("room.state === 'in'")
                pages.append(page)
            pages[0].get_by_label("Say something").fill("hello")
            pages[0].get_by_role("button", name="Say").click()
            expect(pages[1].locator("#lines li")).to_contain_text("hello")

        timed("two browsers, and what one says the other shows", talk)


if __name__ == "__main__":
    main()
