"""A pod with its self-test page open, and what is done there."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.sync_api import Page, expect
from structlog.testing import capture_logs

from deployd.supervisors import Pod, open_pod
from deployd.tools.demo_room import DEMO_ROOMS

from . import pod_config, running_pod
from .browser import Visit
from .clients import KEYS

__all__ = ["ROOM", "TICK", "arrive", "dev_pod", "emit", "join", "sign_in_with", "stressed_pod"]


ROOM = "self-test-demo"
TICK = "self-test:tick"


@asynccontextmanager
async def dev_pod() -> AsyncIterator[Pod]:
    """Run a pod as `deployd serve --dev` does."""
    with capture_logs():  # a room crashes on purpose: not into the tests' output
        async with running_pod(rooms=DEMO_ROOMS, dev=True) as pod:
            yield pod


@asynccontextmanager
async def stressed_pod(*, dev: bool = False) -> AsyncIterator[Pod]:
    """Run a pod that root may put under load, as `deployd serve` does."""
    command = (sys.executable, "-m", "deployd.tools", "stress")
    async with open_pod(pod_config(), keys=KEYS, dev=dev, stress_command=command) as pod:
        yield pod


def arrive(visit: Visit, *, clock: bool = False) -> Page:
    page = visit.open("/self-test.html", clock=clock)
    expect(page.locator("#state")).to_have_text("connected")
    return page


def join(page: Page, room: str = ROOM) -> None:
    page.locator("#join").get_by_label("Room").fill(room)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("button", name=f"Leave {room}")).to_be_visible()


def emit(page: Page, event: str, data: str = "", room: str = ROOM) -> None:
    page.get_by_label("Event").fill(event)
    page.get_by_label("To room").fill(room)
    page.get_by_label("Data, as JSON").fill(data)
    page.get_by_role("button", name="Emit").click()


def sign_in_with(page: Page, way: str, **fields: str) -> None:
    page.get_by_role("radio", name=way).check()
    form = page.locator("form[data-way]:visible")
    for name, value in fields.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Sign in").click()
