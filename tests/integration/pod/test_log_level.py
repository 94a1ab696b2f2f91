"""Root looks at the level of the log, and changes it, while the pod runs."""

from __future__ import annotations

import httpx
import pytest

from deployd.config import get_logger
from support import KEYS, running_pod
from support.logs import logged

PATH = "/_dashboard/api/log-level"
ROOT = {"X-Master-Key": KEYS.master_key}


async def test_it_changes_what_is_logged_at_once() -> None:
    with logged() as log:
        async with running_pod() as pod, httpx.AsyncClient() as http:
            url = f"http://127.0.0.1:{pod.port}{PATH}"
            assert (await http.get(url, headers=ROOT)).json()["level"] == "INFO"
            get_logger("x").debug("too fine")
            answer = await http.put(url, headers=ROOT, json={"level": "debug"})
            assert answer.json() == {"level": "DEBUG", "realtimeDebug": True}
            get_logger("x").debug("fine")
        assert [line["event"] for line in log.lines(component="x")] == ["fine"]


@pytest.mark.parametrize(
    "wanted", [{}, [], {"level": "LOUD"}, {"level": 1}, {"realtimeDebug": 1}, {"other": True}]
)
async def test_what_says_nothing_is_400_and_changes_nothing(wanted: object) -> None:
    with logged():
        async with running_pod() as pod, httpx.AsyncClient() as http:
            url = f"http://127.0.0.1:{pod.port}{PATH}"
            answer = await http.put(url, headers=ROOT, json=wanted)
            assert answer.status_code == 400
            assert "DEBUG" in answer.json()["error"]
            assert (await http.get(url, headers=ROOT)).json()["level"] == "INFO"


async def test_nobody_but_root_sees_or_sets_it() -> None:
    async with running_pod() as pod, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{pod.port}{PATH}"
        assert (await http.get(url)).status_code == 401
        assert (await http.put(url, json={"level": "DEBUG"})).status_code == 401
