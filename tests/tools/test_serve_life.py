"""What a pod says of itself from its first line to its last, and what signals ask it for."""

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

SECRETS = {"DEPLOYD_MASTER_KEY": "m" * 16, "DEPLOYD_JWT_SECRET": "j" * 32}


def lines(pod: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pod.printed.splitlines() if line]


async def test_the_first_line_says_what_starts_and_the_last_one_why_it_has_ended(
    start: Start, folder: Path
) -> None:
    (folder / "pod.json").write_text('{"broker": {"type": "nats", "enabled": true}}')
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    began = json.loads((await pod.says(r".*\n"))[0])
    assert began["event"] == "starting"
    assert began["version"][0].isdigit()
    assert began["settings"] == "pod.json"
    assert began["broker"] == "nats at localhost:4222"
    assert began["store"] == "sqlite in data"
    assert began["limits"]["connections"] == 10000
    await pod.says(r'"event":"serving"')
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0
    last = lines(pod)[-1]
    assert (last["event"], last["reason"], last["clients"]) == ("stopped", "SIGTERM", 0)
    assert last["seconds"] >= 0


async def test_a_second_signal_leaves_a_last_line_too(start: Start, folder: Path) -> None:
    (folder / "pod.json").write_text('{"drain": {"delay": 60, "deadline": 100}}')
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    await pod.says(r'"event":"serving"')
    pod.process.send_signal(signal.SIGTERM)
    await pod.says(r'"event":"stopping".*\n')
    pod.process.send_signal(signal.SIGINT)
    assert await pod.ends() == 130
    assert lines(pod)[-1]["event"] == "stopped at once by a second signal, SIGINT"


async def test_what_a_password_is_part_of_is_not_in_the_first_line(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@127.0.0.1:1/shop")
    pod = await start("serve", "--port", "0")
    line = (await pod.says(r".*\n"))[0]
    assert json.loads(line)["store"] == "postgresql at 127.0.0.1:1/shop"
    assert "hunter2" not in line


async def test_hup_puts_in_force_what_can_be_and_says_what_waits(
    start: Start, folder: Path
) -> None:
    settings = folder / "pod.json"
    settings.write_text("{}")
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    await pod.says(r'"event":"serving".*\n')
    settings.write_text(
        json.dumps(
            {"metrics": {"token": "scraper"}, "logging": {"level": "DEBUG"}, "messageTTL": 1}
        )
    )
    pod.process.send_signal(signal.SIGHUP)
    line = json.loads("{" + (await pod.says(r'"event":"settings reloaded".*\n'))[0])
    assert sorted(line["changed"]) == ["logging.level", "metrics.token"]
    assert line["wait_for_a_start"] == ["messageTTL"]


@pytest.mark.parametrize("bad", ["{", '{"limits": {"maxConnections": 0}}', None])
async def test_a_bad_file_is_refused_and_the_old_settings_stay(
    start: Start, folder: Path, bad: str | None
) -> None:
    settings = folder / "pod.json"
    settings.write_text('{"metrics": {"token": "scraper"}}')
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    url = (await pod.says(r'"page":"([^"]+)/"'))[1]
    settings.unlink() if bad is None else settings.write_text(bad)
    pod.process.send_signal(signal.SIGHUP)
    line = json.loads("{" + (await pod.says(r'"event":"settings not reloaded.*\n'))[0])
    assert "pod.json" in line["reason"]
    assert (await get(f"{url}/metrics", authorization="Bearer scraper")).status_code == 200


async def test_secrets_that_are_gone_are_not_made_anew(start: Start, folder: Path) -> None:
    pod = await start("serve", "--port", "0")
    url = (await pod.says(r'"page":"([^"]+)/"'))[1]
    secrets = folder / "data" / "secrets.json"
    key = json.loads(secrets.read_text())["masterKey"]
    secrets.unlink()
    pod.process.send_signal(signal.SIGHUP)
    await pod.says("settings not reloaded")
    assert not secrets.exists()
    tree = f"{url}/_dashboard/api/actors"
    assert (await get(tree, **{"x-master-key": key})).status_code == 200


async def test_usr1_opens_a_file_of_the_log_that_was_moved_away(start: Start, folder: Path) -> None:
    (folder / "pod.json").write_text('{"logging": {"file": "log"}}')
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    await _written(folder / "log", "serving")
    (folder / "log").rename(folder / "log.1")
    pod.process.send_signal(signal.SIGUSR1)
    await _written(folder / "log", "the log is open anew")
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0
    assert "stopped" in (folder / "log").read_text()
    assert pod.printed == ""


async def test_quit_writes_a_snapshot_and_the_stacks_of_all_threads(start: Start) -> None:
    pod = await start("serve", "--port", "0")
    await pod.says(r'"event":"serving"')
    pod.process.send_signal(signal.SIGQUIT)
    for what in ("tree", "tasks", "links"):
        await pod.says(f'"event":"snapshot of the pod","{what}":')
    await pod.says('"event":"snapshot of the threads"')


async def test_a_service_manager_is_told_of_the_start_and_the_end(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        pod = await start("serve", "--port", "0")
        assert await _told(manager) == "WATCHDOG=1"
        assert (await _told(manager)).startswith("READY=1\nSTATUS=serving on port ")
        pod.process.send_signal(signal.SIGHUP)
        assert (await _told(manager)).startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert (await _told(manager)).startswith("READY=1\n")
        pod.process.send_signal(signal.SIGTERM)
        assert await _told(manager) == "STOPPING=1\nSTATUS=SIGTERM"
        assert await pod.ends() == 0


async def test_a_pod_has_its_name_back_at_each_start(start: Start) -> None:
    names = []
    for _ in range(2):
        pod = await start("serve", "--port", "0")
        line = json.loads(
            "{" + (await pod.says(r'"level":"info","component":"serve","pod":.*\n'))[0]
        )
        names.append((line["pod"], line["pod_name"]))
        pod.process.send_signal(signal.SIGTERM)
        assert await pod.ends() == 0
    (first_id, first), (second_id, second) = names
    assert first == second
    assert first.startswith(os.uname().nodename.partition(".")[0][:8])
    assert first_id != second_id


async def _told(manager: trio.socket.SocketType) -> str:
    with trio.fail_after(PATIENCE):
        return (await manager.recv(4096)).decode()


async def _written(file: Path, text: str) -> None:
    with trio.fail_after(PATIENCE):
        while not file.exists() or text not in file.read_text():  # noqa: ASYNC110, ASYNC240
            await trio.sleep(0.02)
