"""What a pod says of itself from its first line to its last, and what signals ask it for.

Each process is one life, in which all is shown that one can show: starting a pod takes a second.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from support.serving import PATIENCE, Running, Start, get

NATS = {"broker": {"type": "nats", "enabled": True}}
SCRAPED = {"metrics": {"token": "scraper"}}


async def line_of(pod: Running, event: str) -> dict[str, Any]:
    """Return the next line of the log with this event."""
    while True:
        line = (await pod.says(r".*\n"))[0]
        found = json.loads(line)
        assert isinstance(found, dict)
        if found["event"] == event:
            return found


async def test_a_life_from_its_first_line_to_its_last(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = folder / "pod.json"
    settings.write_text(json.dumps(NATS))
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "600000000")
        pod = await start("serve", "--port", "0", "--config", "pod.json")
        began = await line_of(pod, "starting")
        assert began["version"][0].isdigit()
        assert began["settings"] == "pod.json"
        assert began["broker"] == "nats at localhost:4222"
        assert began["store"] == "sqlite in data"
        assert began["limits"]["connections"] == 10000
        assert await _told(manager) == "WATCHDOG=1"
        serving = await line_of(pod, "serving")
        assert serving["pod_name"].startswith(os.uname().nodename.partition(".")[0][:8])
        assert (await _told(manager)).startswith("READY=1\nSTATUS=serving on port ")

        for level, changed in (
            ("WARNING", ["logging.level", "metrics.token"]),
            ("INFO", ["logging.level"]),
        ):
            changing = {**NATS, **SCRAPED, "logging": {"level": level}, "messageTTL": 1}
            settings.write_text(json.dumps(changing))
            pod.process.send_signal(signal.SIGHUP)
            line = await line_of(pod, "settings reloaded")
            assert sorted(line["changed"]) == changed
            assert line["wait_for_a_start"] == ["messageTTL"]
            assert (await _told(manager)).startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert (await _told(manager)).startswith("READY=1\n")
        await _refuses_what_cannot_be(pod, settings, serving["page"].rstrip("/"))

        pod.process.send_signal(signal.SIGQUIT)
        wanted = {"tree", "tasks", "links", "stack"}
        while wanted:  # the threads' come from another thread, whenever it comes to that
            wanted -= set(json.loads((await pod.says(r".*\n"))[0]))
        pod.process.send_signal(signal.SIGTERM)
        assert await pod.ends() == 0
    last = json.loads(pod.printed.splitlines()[-1])
    assert (last["event"], last["reason"], last["clients"]) == ("stopped", "SIGTERM", 0)
    assert last["seconds"] >= 0


async def _refuses_what_cannot_be(pod: Running, settings: Path, url: str) -> None:
    """Show that whatever is wrong with what is read anew, the pod goes on as it was."""
    secrets, good = settings.parent / "data" / "secrets.json", settings.read_text()  # noqa: ASYNC240
    key = json.loads(secrets.read_text())["masterKey"]
    for bad in ("{", '{"limits": {"maxConnections": 0}}', "[]", "\0", None):
        _write(settings, bad)
        pod.process.send_signal(signal.SIGHUP)
        line = await line_of(pod, "settings not reloaded, the pod goes on as it was")
        assert "pod.json" in line["reason"]
    _write(settings, good)
    _write(secrets, None)
    pod.process.send_signal(signal.SIGHUP)
    line = await line_of(pod, "settings not reloaded, the pod goes on as it was")
    assert not secrets.exists()
    assert (await get(f"{url}/metrics", authorization="Bearer scraper")).status_code == 200
    tree = await get(f"{url}/_dashboard/api/actors", **{"x-master-key": key})
    assert tree.status_code == 200


async def test_a_log_in_a_file_is_opened_anew_and_a_second_signal_has_a_last_line_too(
    start: Start, folder: Path
) -> None:
    (folder / "pod.json").write_text(
        json.dumps({"logging": {"file": "log"}, "drain": {"delay": 60, "deadline": 100}})
    )
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    await _written(folder / "log", '"event":"serving"')
    (folder / "log").rename(folder / "log.1")
    pod.process.send_signal(signal.SIGUSR1)
    await _written(folder / "log", "the log is open anew")
    pod.process.send_signal(signal.SIGTERM)
    await _written(folder / "log", '"event":"stopping"')
    pod.process.send_signal(signal.SIGINT)
    assert await pod.ends() == 130
    (last,) = pod.printed.splitlines()
    assert json.loads(last)["event"] == "stopped at once by a second signal, SIGINT"


def _write(file: Path, text: str | None) -> None:
    file.unlink() if text is None else file.write_text(text)


async def _told(manager: trio.socket.SocketType) -> str:
    with trio.fail_after(PATIENCE):
        return (await manager.recv(4096)).decode()


async def _written(file: Path, text: str) -> None:
    with trio.fail_after(PATIENCE):
        while not file.exists() or text not in file.read_text():  # noqa: ASYNC110, ASYNC240
            await trio.sleep(0.02)
