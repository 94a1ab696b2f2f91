"""`deployd chaos proxy` as people run it: a process of its own, that leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from click.testing import CliRunner

from deployd.tools.chaos.proxy import BadToxic, DropFrames, Latency, Toxic
from deployd.tools.chaos.proxy.command import parse_toxic
from deployd.tools.cli import cli
from support.clients import until
from support.echoing import EchoServer

PATIENCE = 30.0


class RunningProxy:
    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.printed = ""

    async def says(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        with trio.fail_after(PATIENCE):
            while (found := re.search(pattern, self.printed)) is None:
                data = await self.process.stdout.receive_some()
                assert data, f"ended without saying {pattern!r}:\n{self.printed}"
                self.printed += data.decode()
        return found

    async def ends(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        with trio.fail_after(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[RunningProxy]:
    command = [sys.executable, "-P", "-m", "deployd.tools", "chaos", "proxy", *arguments]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield RunningProxy(process)
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def asked(port: int, data: bytes = b"hello") -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        with trio.fail_after(PATIENCE):
            return bytes(await stream.receive_some())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_it_carries_with_toxics_is_told_by_the_api_and_leaves_nothing_behind(
    server: EchoServer, number: signal.Signals, tmp_path: Path
) -> None:
    where = ("--listen", "127.0.0.1:0", "--upstream", f"localhost:{server.port}")
    toxic = ("--toxic", "limit_data:bytes=3")
    async with running(*where, *toxic, "--api", "0", "--name", "echo") as proxy:
        said = await proxy.says(r"127\.0\.0\.1:(\d+) → 127\.0\.0\.1:\d+, with limit_data\n")
        port = int(said[1])
        assert await asked(port) == b"hel"
        api = (await proxy.says(r"http://127\.0\.0\.1:\d+"))[0]
        async with httpx.AsyncClient(base_url=api, trust_env=False) as client:
            shown = (await client.get("/proxies/echo")).json()
            assert shown["toxics"][0]["type"] == "limit_data"
            await client.post("/reset")
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        await proxy.says("Ctrl-C ends it")
        code = await proxy.ends(number)
        assert code == (0 if number is not signal.SIGKILL else -signal.SIGKILL)
        assert "Traceback" not in proxy.printed
        await until(lambda: len(server.ends) == 2)
        await stream.aclose()
    for used in (port, int(api.rpartition(":")[2])):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", used))
    assert os.listdir(tmp_path) == []  # which is where it ran


async def test_alone_it_waits_for_the_api_to_say_which_proxies_there_are() -> None:
    async with running("--api", "0") as proxy:
        api = (await proxy.says(r"http://127\.0\.0\.1:\d+"))[0]
        async with httpx.AsyncClient(base_url=api, trust_env=False) as client:
            assert (await client.get("/proxies")).json() == {}


async def test_a_server_that_is_not_there_is_told_once() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with running("--listen", "0", "--upstream", upstream, "--api", "none") as proxy:
            port = int((await proxy.says(r":(\d+) → "))[1])
            for _ in range(3):
                assert await asked(port, b"") == b""
            await proxy.says(f"No server answers at {upstream} ")
            await proxy.ends(signal.SIGTERM)
            assert proxy.process.stdout is not None
            rest = (await proxy.process.stdout.receive_some() or b"").decode()
            assert (proxy.printed + rest).count("No server answers") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", "0"], "Give both --listen and --upstream, or neither."),
        (["--toxic", "latency"], "A --toxic needs a proxy to be on"),
        (["--listen", "0", "--upstream", "redis"], "'redis' is no address; write HOST:PORT"),
        (
            ["--listen", "0", "--upstream", "1", "--toxic", "latncy"],
            "invalid toxic type 'latncy': did you mean latency?",
        ),
        (
            ["--listen", "0", "--upstream", "1", "--toxic", "drop:subject=a"],
            "drop is to choose frames, but this proxy reads none; make it with a protocol",
        ),
        (["--protocol", "redi"], "'redi' is not one of 'redis', 'nats', 'rabbitmq'"),
        (["--api", "here"], "'here' is no address"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    runner: CliRunner, arguments: list[str], sentence: str
) -> None:
    result = runner.invoke(cli, ["chaos", "proxy", *arguments])
    assert result.exit_code in (1, 2)
    assert sentence in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--listen", "--api"])
def test_a_port_in_use_is_told_in_a_sentence(runner: CliRunner, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["--listen", "0", "--upstream", "1", "--api", "none", option, place]
        result = runner.invoke(cli, ["chaos", "proxy", *arguments])
    assert result.exit_code == 1
    assert f"on {place}: the port is in use;" in result.output
    assert "bug" not in result.output


@pytest.mark.parametrize(
    ("text", "toxic"),
    [
        ("latency:latency=100,jitter=2.5", Latency(latency=100, jitter=2.5)),
        ("latency:stream=upstream,toxicity=0.5", Latency(stream="upstream", toxicity=0.5)),
        ("drop:verb=PUB*,every=2", DropFrames(verb="PUB*", every=2)),
    ],
)
def test_toxics_are_written_on_a_command_line(text: str, toxic: Toxic) -> None:
    assert parse_toxic(text) == toxic


def test_an_attribute_without_a_value_is_told() -> None:
    with pytest.raises(BadToxic, match="'latency' is no attribute; write NAME=VALUE"):
        parse_toxic("latency:latency")


def test_commands_of_chaos_are_listed_and_a_mistyped_one_is_told(runner: CliRunner) -> None:
    listed = runner.invoke(cli, ["chaos", "--help"])
    assert "proxy" in listed.output
    assert runner.invoke(cli, ["chaos", "prxy"]).exit_code == 2


async def test_what_it_is_made_of_is_not_imported_before_it_is_asked_for() -> None:
    code = "import sys, deployd.tools.cli; print('deployd.tools.chaos.proxy' in sys.modules)"
    done = await trio.run_process([sys.executable, "-P", "-c", code], capture_stdout=True)
    assert done.stdout == b"False\n"
