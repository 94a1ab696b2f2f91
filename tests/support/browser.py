"""A real browser for tests: Debian's Chromium, headless, driven through Playwright.

Playwright's sync API belongs to the thread that started it and keeps a loop of its own there, which
trio must never meet. So the browser has one thread for the whole session, a test hands it a story
(a plain function that gets a `Visit`), and the pod runs in the test's own trio meanwhile:

    async def test_it(browser: Browser) -> None:
        async with running_pod(dev=True) as pod:
            await browser.visit(pod, story)

A story that ends well also says that no page complained on its console and that no request left
the pod. Without Chromium the tests are skipped, and fail where the variable CI is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import playwright.sync_api as playwright
import pytest
import trio

from deployd.supervisors import Pod

from .clients import PATIENCE

__all__ = ["Browser", "Visit", "artifacts", "browser"]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ROOT = Path(__file__).resolve().parent.parent.parent

T = TypeVar("T")


class Visit:
    """A person's visit to a pod: tabs that share what a browser keeps, and nothing else does.

    `complaints` are what the pages wrote to the console as an error or threw, `strayed` the
    addresses outside the pod that they asked for.
    """

    def __init__(self, context: playwright.BrowserContext, pod: Pod, token: Any) -> None:
        self.context = context
        self.pod = pod
        self.origin = f"http://localhost:{pod.port}"
        self.complaints: list[str] = []
        self.strayed: list[str] = []
        self._token = token
        # Of the context and not of each page: it sees the workers' requests as well.
        context.on("request", self._check)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", self._listen)

    def open(self, path: str, *, clock: bool = False) -> playwright.Page:
        """Open a page of the pod in a new tab; with `clock` its time runs as `page.clock` says."""
        page = self.context.new_page()
        if clock:
            page.clock.install()
        page.on("websocket", lambda socket: self._check_address(socket.url))
        page.goto(self.origin + path)
        return page

    def in_pod(self, function: Callable[..., T], *values: object) -> T:
        """Call a function in the pod's thread."""
        return trio.from_thread.run_sync(function, *values, trio_token=self._token)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, for what no locator of Playwright's can see."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came to be"
            self.context.pages[0].wait_for_timeout(20)  # lets Playwright hear of events

    def _check(self, request: playwright.Request) -> None:
        self._check_address(request.url)

    def _check_address(self, url: str) -> None:
        ours = (f"{self.origin}/", f"ws{self.origin.removeprefix('http')}/", "data:", "blob:")
        if not url.startswith(ours):
            self.strayed.append(url)

    def _listen(self, message: playwright.ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


class Browser:
    """Chromium in its own thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="browser")
        try:
            self._thread.submit(self._start).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def visit(self, pod: Pod, story: Callable[[Visit], T], **options: Any) -> T:
        """Run a story in the browser's thread while the pod runs here; return what it returns.

        `options` are those of Playwright's `new_context`: the size of the window, the colours.
        """
        play = partial(self._play, pod, trio.lowlevel.current_trio_token(), story, options)
        return await trio.to_thread.run_sync(lambda: self._thread.submit(play).result())

    def read(self, file: Path, story: Callable[[playwright.Page], T], **options: Any) -> T:
        """Run a story with a page that lies in a file and asks for nothing else.

        `options` are those of Playwright's `new_context`.
        """
        return self._thread.submit(self._read, file.resolve().as_uri(), story, options).result()

    def close(self) -> None:
        """End Chromium, Playwright and the thread."""
        self._thread.submit(self._stop).result()
        self._thread.shutdown()

    def _start(self) -> None:
        self._playwright = playwright.sync_playwright().start()
        try:
            self._chromium = self._playwright.chromium.launch(
                executable_path=CHROMIUM, args=list(ARGUMENTS)
            )
        except BaseException:
            self._playwright.stop()
            raise

    def _stop(self) -> None:
        self._chromium.close()
        self._playwright.stop()

    def _play(
        self, pod: Pod, token: Any, story: Callable[[Visit], T], options: dict[str, Any]
    ) -> T:
        context = self._chromium.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        try:
            visit = Visit(context, pod, token)
            result = story(visit)
            assert visit.complaints == []
            assert visit.strayed == []
            return result
        finally:
            context.close()

    def _read(
        self, address: str, story: Callable[[playwright.Page], T], options: dict[str, Any]
    ) -> T:
        context = self._chromium.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        asked: list[str] = []
        complaints: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        try:
            page = context.new_page()
            page.goto(address)
            result = story(page)
            assert complaints == []
            assert {url for url in asked if not url.startswith("data:")} == {address}
            return result
        finally:
            context.close()


@pytest.fixture(scope="session")
def browser(servers_wanted: None) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        sentence = f"There is no {CHROMIUM}: install Debian's package 'chromium'."
        pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)
    playwright.expect.set_options(timeout=PATIENCE * 1000)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Return the folder for what people may want to look at after the tests: screenshots."""
    folder = Path(os.environ.get("DEPLOYD_ARTIFACTS") or ROOT / ".artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
