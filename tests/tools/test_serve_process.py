"""`deployd serve` as operators run it: a process of its own, told by signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection, connect

from deployd.tools.cli import cli
from support.serving import PATIENCE, Running, Start, get

UPGRADE = (
    b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)
ROOM = "from deployd.actors import Room\n\n\nclass Chat(Room[None]):\n    pass\n"


async def test_a_pod_serves_until_it_is_told_to_stop_and_exits_with_0(start: Start) -> None:
    pod = await start("serve", "--port", "0", module="deployd.tools.cli")
    health = (await pod.says(r'"health":"([^"]+)"'))[1]
    assert (await get(health)).json()["status"] == "live"
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0
    assert '"signal":"SIGTERM"' in pod.printed
    assert "Traceback" not in pod.printed
    assert "Warning" not in pod.printed


async def talk_nonsense(socket: ClientConnection) -> None:
    """Cause errors until the pod has enough of it, however long a busy machine takes for each."""

    async def take_answers() -> None:
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_answers)
        with suppress(ConnectionClosed):
            while True:
                await socket.send("nonsense")


@pytest.mark.parametrize(
    ("variable", "value", "traced"),
    [("LOG_LEVEL", "info", False), ("LOG_LEVEL", "debug", True), ("REALTIME_DEBUG", "true", True)],
)
async def test_the_log_is_lines_of_json_that_grep_finds(
    start: Start, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, traced: bool
) -> None:
    monkeypatch.setenv(variable, value)
    pod = await start("serve", "--port", "0")
    started = await pod.says(r'"health":"(http://localhost:\d+)/[^\n]*')
    before = pod.printed
    with trio.fail_after(PATIENCE):
        async with connect(f"ws{started[1].removeprefix('http')}/socket.io/") as socket:
            await socket.send('{"type": "join", "room": "tea"}')
            await socket.send('{"type": "emit", "room": "tea", "event": "said"}')
            for _ in range(3):
                await socket.recv()
            await talk_nonsense(socket)
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0
    printed = [line for line in (before + pod.printed).splitlines() if line]
    lines = [json.loads(line) for line in printed]
    assert len({(line["pod"], line["pod_name"]) for line in lines}) == 1
    found = [line for line in printed if '"component":"realtime"' in line]  # the specified grep
    said = [json.loads(line) for line in found]
    closing = next(line for line in said if line["event"] == "closing a client")
    assert closing["actor"] == f"pod/connections/{closing['client']}"
    assert any(line["event"] == "room says" for line in said) is traced
    rooms = {line["actor"] for line in said if line["event"] == "room says"}
    assert rooms == ({"pod/rooms/tea"} if traced else set())


async def test_the_tools_find_the_pod_that_shares_their_data_folder(
    start: Start, runner: CliRunner
) -> None:
    pod = await start("serve", "--port", "0", "--data", "kept")
    url = await pod.url()
    drawn = runner.invoke(cli, ["tree", "--url", url, "--data", "kept"])
    assert (drawn.exit_code, drawn.stderr) == (0, "")
    assert re.search(r"rooms .* running", drawn.stdout)
    denied = runner.invoke(cli, ["tree", "--url", url, "--data", "other"])
    assert denied.exit_code == 1
    assert "--key" in denied.stderr
    actors = f"{url}/_dashboard/api/actors"
    for arguments, status in (["--root"], 200), ([], 403), (["--root", "--data", "other"], 401):
        signed = runner.invoke(cli, ["token", "--user", "ann", "--data", "kept", *arguments])
        answer = await get(actors, authorization=f"Bearer {signed.stdout.strip()}")
        assert answer.status_code == status


MEANT = {
    "HUP": "settings reloaded",
    "QUIT": "snapshot of the pod",
    "USR1": "the log is open anew",
}


async def test_no_signal_but_those_that_stop_it_ends_a_pod_or_its_connections(start: Start) -> None:
    pod = await start("serve", "--port", "0")
    url = await pod.url()
    harmless = [
        "HUP",
        "QUIT",
        "USR1",
        "USR2",
        "ALRM",
        "VTALRM",
        "PROF",
        "PIPE",
        "IO",
        "PWR",
        "XCPU",
        "XFSZ",
        "WINCH",
        "URG",
        "CONT",
    ]
    with trio.fail_after(PATIENCE):
        async with connect(f"ws{url.removeprefix('http')}/socket.io/") as client:
            await client.recv()
            for name in harmless:
                pod.process.send_signal(signal.Signals[f"SIG{name}"])
                if name not in ("PIPE", "XFSZ", "WINCH", "URG", "CONT"):
                    await pod.says(MEANT.get(name, f'"signal":"SIG({name}|POLL)"'))
            await client.send('{"type": "join", "room": "tea", "id": 1}')
            assert json.loads(await client.recv())["type"] == "join"
    assert (await get(f"{url}/health/live")).status_code == 200
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0


@pytest.mark.parametrize("log", ["a full disk", "nobody who reads"])
async def test_a_pod_lives_on_when_its_log_cannot_be_written(log: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    reader, writer = os.pipe()
    if log == "a full disk":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    os.close(reader)
    command = [sys.executable, "-P", "-m", "deployd.tools", "serve", "--port", str(port)]
    process = await trio.lowlevel.open_process(command, stdout=writer, stderr=writer)
    os.close(writer)
    try:
        with trio.fail_after(PATIENCE):
            for _ in range(2):
                while True:
                    assert process.poll() is None
                    with suppress(OSError):
                        await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                        break
                    await trio.sleep(0.05)
                assert (await get(f"http://127.0.0.1:{port}/health/live")).status_code == 200
                process.send_signal(signal.SIGHUP)  # a line more
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE):
            assert await process.wait() in (0, 120)  # 120: Python could not flush at its end
    finally:
        if process.poll() is None:
            process.kill()
        await process.wait()


async def test_a_second_signal_does_not_wait_for_a_client_that_takes_its_time(
    start: Start,
) -> None:
    pod = await start("serve", "--port", "0")
    port = int((await pod.url()).rpartition(":")[2])
    # This client never answers the closing handshake, which the pod waits for.
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        await client.send_all(UPGRADE)
        with trio.fail_after(PATIENCE):
            assert (await client.receive_some()).startswith(b"HTTP/1.1 101")
        pod.process.send_signal(signal.SIGTERM)
        await pod.says('"stopping"')
        pod.process.send_signal(signal.SIGINT)
        assert await pod.ends() == 130


async def test_a_saved_room_starts_the_pod_again_in_the_same_process(
    start: Start, folder: Path
) -> None:
    (folder / "rooms.py").write_text(ROOM)
    (folder / "pod.json").write_text('{"rooms": {"chat-*": "rooms:Chat"}}')
    pod = await start("serve", "--port", "0", "--dev", "--config", "pod.json")
    first = (await pod.says(r"pod ([0-9a-f]{8})"))[1]
    url = await pod.url()
    assert (await get(f"{url}/_dashboard/api/actors")).status_code == 200
    (folder / "rooms.py").write_text(ROOM.replace("pass", "pass)"))
    await pod.says("not reloaded.*rooms.py, line 5")
    (folder / "rooms.py").write_text(ROOM.replace("pass", "keep_alive = True"))
    second = (await pod.says(r"  deployd \S+ · pod ([0-9a-f]{8})"))[1]
    assert second != first
    assert (await get(f"{await pod.url()}/health/live")).json()["pod"] == second
    (folder / "pod.json").write_text('{"rooms": {}, "limits": {"pingIntervall": 1}}')
    await pod.says("not reloaded.*limits.pingIntervall")
    assert pod.process.poll() is None
    pod.process.send_signal(signal.SIGINT)
    assert await pod.ends() == 0


async def test_a_developers_pod_waits_for_a_file_that_cannot_be_imported_to_be_mended(
    start: Start, folder: Path
) -> None:
    (folder / "pod.json").write_text('{"rooms": {"chat-*": "rooms:Chat"}}')
    (folder / "rooms.py").write_text(ROOM)
    pod = await start("serve", "--port", "0", "--dev", "--config", "pod.json")
    bads = ["undefined_name\n", "import sys; sys.exit(3)\n", "from nowhere import Chat\n", None]
    for bad in bads:
        # When it answers, it looks.
        assert (await get(f"{await pod.url()}/health/live")).status_code == 200
        if bad is None:  # a colleague renames it
            (folder / "rooms.py").rename(folder / "away.py")
            (folder / "pod.json").write_text('{"rooms": {"chat-*": "rooms:Chat"} }')
        else:
            (folder / "rooms.py").write_text(bad + ROOM)
        await pod.says("the pod cannot start")
        (folder / "rooms.py").write_text(ROOM)
    assert (await get(f"{await pod.url()}/health/live")).status_code == 200
    (folder / "rooms.py").write_text("undefined_name\n")
    await pod.says("the pod cannot start")
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0


async def test_only_development_has_a_room_to_crash(start: Start) -> None:
    for arguments, first in (["--dev"], "welcome"), ([], "said"):
        pod = await start("serve", "--port", "0", *arguments)
        url = await pod.url()
        assert (await get(f"{url}/self-test.html")).status_code == 200
        with trio.fail_after(PATIENCE):
            async with connect(f"ws{url.removeprefix('http')}/socket.io/") as socket:
                await socket.send('{"type": "join", "room": "self-test-demo"}')
                await socket.send('{"type": "emit", "room": "self-test-demo", "event": "said"}')
                messages = [json.loads(await socket.recv()) for _ in range(3)]
        assert [message["type"] for message in messages] == ["connect", "join", "emit"]
        assert messages[2]["event"] == first


def reason_of(pod: Running) -> str:
    """Return why a pod could not start, which is its last line: one sentence, and JSON."""
    first, last = [json.loads(line) for line in pod.printed.splitlines()]
    assert (first["event"], last["event"]) == ("starting", "ended by a failure")
    assert last["level"] == "critical"
    reason = last["reason"]
    assert isinstance(reason, str)
    assert "\n" not in reason
    return reason


@pytest.mark.parametrize("of", ["clients", "metrics"])
async def test_a_port_that_is_taken_is_one_sentence_and_names_what_to_change(
    start: Start, folder: Path, of: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        metrics = {"bind": f"127.0.0.1:{port}"} if of == "metrics" else {}
        (folder / "pod.json").write_text(json.dumps({"metrics": metrics}))
        of_clients = port if of == "clients" else "0"
        pod = await start("serve", "--port", of_clients, "--config", "pod.json")
        assert await pod.ends() == 1
    reason = reason_of(pod)
    assert port in reason
    assert ("metrics.bind" in reason, "--port" in reason) == (of == "metrics", of == "clients")


@pytest.mark.parametrize(
    ("target", "told"),
    [("missing:Chat", "no module 'missing'"), ("rooms:Other", "has no 'Other'")],
)
async def test_a_room_that_cannot_be_had_is_one_sentence(
    start: Start, folder: Path, target: str, told: str
) -> None:
    (folder / "rooms.py").write_text(ROOM)
    (folder / "pod.yaml").write_text(f"rooms:\n  chat-*: {target}\n")
    pod = await start("serve", "--port", "0", "--config", "pod.yaml")
    assert await pod.ends() == 1
    assert told in reason_of(pod)
    assert os.listdir(folder / "data") == ["secrets.json"]


MISSPELT = ROOM.replace("pass", "async def on_mesage(self, member, event, data): pass")


async def test_a_class_that_is_refused_keeps_its_rooms_from_starting_and_not_a_developers_pod(
    start: Start, folder: Path
) -> None:
    (folder / "pod.json").write_text('{"rooms": {"chat-*": "rooms:Chat"}}')
    (folder / "rooms.py").write_text(MISSPELT)
    pod = await start("serve", "--port", "0", "--dev", "--config", "pod.json")
    await pod.says(r"warning.*these rooms cannot start.*did you mean `on_message`")
    url = await pod.url()
    with trio.fail_after(PATIENCE):
        async with connect(f"ws{url.removeprefix('http')}/socket.io/") as socket:
            await socket.recv()
            await socket.send('{"type": "join", "room": "tea", "id": 1}')
            assert json.loads(await socket.recv())["type"] == "join"
            await socket.send('{"type": "join", "room": "chat-1", "id": 2}')
            error = json.loads(await socket.recv())
            assert (error["data"]["code"], error["id"]) == ("room_crashed", 2)
    (folder / "rooms.py").write_text(ROOM)
    await pod.says(r"  deployd \S+ · pod [0-9a-f]{8}")  # it has started again
    pod.process.send_signal(signal.SIGTERM)
    assert await pod.ends() == 0


async def test_a_class_that_is_refused_is_one_sentence_where_nobody_develops(
    start: Start, folder: Path
) -> None:
    (folder / "pod.json").write_text('{"rooms": {"chat-*": "rooms:Chat"}}')
    (folder / "rooms.py").write_text(MISSPELT)
    pod = await start("serve", "--port", "0", "--config", "pod.json")
    assert await pod.ends() == 1
    assert f"Chat.on_mesage ({folder}/rooms.py:5) is no hook of a room" in reason_of(pod)
