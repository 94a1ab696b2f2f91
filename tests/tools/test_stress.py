"""`deployd stress`: the schedule, what is counted, and a small test of a real pod."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import trio
import wsproto
from attrs import evolve
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deployd.actors import Member, Room
from deployd.supervisors.pod.stress import SLACK
from deployd.tools.cli import cli
from deployd.tools.common import BadAddress
from deployd.tools.stress import Latencies, Plan, Tally, put_under_load
from deployd.tools.stress.client import ConnectionClosed, StressClient
from deployd.tools.stress.report import rows
from support import pod_config, running_pod
from support.certificates import AUTHORITY, issued
from support.processes import serving


@given(st.floats(0.5, 500), st.floats(0.1, 4), st.integers(1, 300))
def test_a_schedule_is_even_and_gives_everybody_a_turn(
    rate: float, duration: float, connections: int
) -> None:
    plan = Plan("ws://a", connections=connections, rate=rate, duration=duration)
    due = list(plan.schedule())
    assert len(due) == plan.messages == int(rate * duration)
    assert all(math.isclose(at, number / rate) for number, (at, _) in enumerate(due))
    turns = Counter(who for _, who in due)
    assert set(turns) <= set(range(connections))
    counts = [turns[client] for client in range(connections)]
    assert max(counts) - min(counts) <= 1


@given(st.lists(st.floats(1e-5, 60), min_size=1, max_size=200), st.floats(1, 100))
def test_percentiles_are_right_within_a_twentieth(values: list[float], percent: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[math.ceil(len(values) * percent / 100 - 1e-9) - 1]
    found = latencies.percentile(percent)
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.051


def test_nothing_counted_has_no_percentile() -> None:
    assert Latencies().percentile(99) is None


def test_kinds_of_errors_are_bounded() -> None:
    tally = Tally()
    for number in range(100):
        tally.failed(f"kind {number}")
    assert len(tally.errors) == 21
    assert tally.errors.total() == 100


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("ws://a", ("a", 80, False)),
        ("wss://a/", ("a", 443, True)),
        ("http://a:2403", ("a", 2403, False)),
        ("a:2403", ("a", 2403, False)),
        ("ws://[::1]:9", ("::1", 9, False)),
    ],
)
def test_where_a_pod_is_can_be_written_in_several_ways(
    url: str, endpoint: tuple[str, int, bool]
) -> None:
    assert Plan(url).endpoint == endpoint


@pytest.mark.parametrize(
    ("url", "host"),
    [("ws://a", "a:80"), ("wss://a", "a:443"), ("ws://[::1]:9", "[::1]:9")],
)
def test_a_pod_is_asked_for_by_its_name_and_an_address_of_ipv6_in_brackets(
    url: str, host: str
) -> None:
    assert Plan(url).host == host


@pytest.mark.parametrize("url", ["ftp://a", "ws://", "ws://a:port", "ftp://user:hunter2@a"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(BadAddress, match="ws://HOST:PORT") as caught:
        Plan(url).endpoint  # noqa: B018
    assert "hunter2" not in str(caught.value)


def test_a_report_that_is_passed_on_does_not_say_who_signs_in_by_a_url() -> None:
    assert Plan("wss://user:hunter2@pod.example/").shown_url == "wss://********@pod.example/"


async def test_a_test_of_a_pod_counts_every_delivery() -> None:
    async with running_pod(pod_config(message_rate_limit=0)) as pod:
        url = f"ws://127.0.0.1:{pod.port}"
        plan = Plan(url, connections=20, rate=100.0, duration=1.0, rooms=4, prefix="t")
        tally = Tally()
        with trio.fail_after(30):
            await put_under_load(plan, tally)
    assert (tally.connected, tally.joined, tally.sent) == (20, 20, 100)
    assert tally.received == tally.expected == 100 * 5
    assert tally.latencies.count == 500
    assert tally.good
    assert tally.done
    assert ("connected", "20 of 20") in rows(tally)
    assert ("in their rooms", "20 of 20") in rows(tally)


async def test_who_is_told_to_wait_comes_again() -> None:
    async with running_pod(pod_config(accept_rate=20.0, accept_burst=5)) as pod:
        plan = Plan(f"ws://127.0.0.1:{pod.port}", connections=12, rate=5.0, duration=0.4)
        tally = Tally()
        with trio.fail_after(60):
            await put_under_load(plan, tally)
    assert tally.connected == 12
    assert tally.told_to_wait > 0
    assert tally.good


async def test_what_the_pod_refuses_is_an_error_of_its_kind() -> None:
    async with running_pod(pod_config(message_rate_limit=1.0, abuse_limit=1000)) as pod:
        plan = Plan(f"ws://127.0.0.1:{pod.port}", connections=1, rate=20.0, duration=1.0)
        tally = Tally()
        with trio.fail_after(30):
            await put_under_load(plan, tally)
    assert tally.errors["told too_fast"] >= 1
    assert tally.received < tally.expected
    assert not tally.good


async def test_a_pod_that_is_not_there_is_an_error_for_each_client(
    autojump_clock: trio.testing.MockClock,
) -> None:
    plan = Plan("ws://127.0.0.1:1", connections=2, rate=1.0, duration=0.1)
    tally = Tally()
    await put_under_load(plan, tally)
    assert tally.connected == 0
    assert tally.errors == {"no connection: OSError": 2}


class Shut(Room[None]):
    async def authorize_join(self, member: Member) -> bool:
        return False


async def test_who_is_not_let_into_its_room_is_an_error_of_its_kind() -> None:
    async with running_pod(pod_config(), {"shut-0": Shut}) as pod:
        url, tally = f"ws://127.0.0.1:{pod.port}", Tally()
        plan = Plan(url, connections=3, rate=20.0, duration=600.0, rooms=1, prefix="shut")
        with trio.fail_after(20):
            await put_under_load(plan, tally)
    assert (tally.wanted, tally.connected, tally.joined) == (3, 3, 0)
    assert tally.errors == {"not in its room: told room_forbidden": 3}
    assert tally.sent == 0
    assert not tally.good


def test_a_test_ends_by_itself_before_the_pod_that_started_it_ends_it() -> None:
    plan = Plan("ws://a", duration=100.0)
    assert plan.longest - plan.duration <= SLACK - 10


async def half_a_pod(does: str, stream: trio.SocketStream) -> None:
    """Answer a handshake, answer or refuse a join, and read nothing more: as far as told."""
    server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    while does != "nothing" and (data := bytes(await stream.receive_some())):
        server.receive_data(data)
        for event in server.events():
            if isinstance(event, wsproto.events.Request):
                await stream.send_all(server.send(wsproto.events.AcceptConnection()))
            elif isinstance(event, wsproto.events.TextMessage) and does == "join":
                await stream.send_all(server.send(wsproto.events.TextMessage('{"type":"join"}')))
                does = "nothing"
            elif isinstance(event, wsproto.events.TextMessage) and does == "close":
                await stream.send_all(server.send(wsproto.events.CloseConnection(4503)))
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("does", "came", "why"),
    [
        ("nothing", (0, 0), "no handshake in time"),
        ("greet", (2, 0), "not in its room: no answer in time"),
        ("close", (2, 0), "not in its room: closed with 4503"),
        ("join", (2, 2), "not sent: no time was left"),
    ],
)
async def test_a_pod_that_does_half_its_part_does_not_hold_a_test_up(
    does: str, came: tuple[int, int], why: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, partial(half_a_pod, does), [listener])
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        plan = Plan(url, connections=2, rate=400.0, duration=1.0, size=60_000)
        tally, began = Tally(), trio.current_time()
        await put_under_load(plan, tally)
        assert trio.current_time() - began <= plan.longest
        nursery.cancel_scope.cancel()
    assert (tally.connected, tally.joined) == came
    assert list(tally.errors) == [why]
    assert tally.closed == {}
    assert tally.sent == (400 - tally.errors[why] if tally.joined else 0)
    assert tally.done


async def test_the_command_tells_of_a_real_pod_in_lines_of_json(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits": {"messageRateLimit": 0}}) as pod:
        arguments = ["stress", "--url", f"ws://localhost:{pod.port}", "--connections", "5"]
        arguments += ["--rate", "20", "--duration", "1", "--json", "--html", str(tmp_path / "r")]
        result = await trio.to_thread.run_sync(CliRunner().invoke, cli, arguments)
    assert result.exit_code == 0, result.output
    last = json.loads(result.stdout.strip().splitlines()[-1])
    assert last["done"] is True
    assert (last["sent"], last["received"], last["errors"]) == (20, last["expected"], {})
    assert (last["wanted"], last["connected"], last["joined"]) == (5, 5, 5)
    assert (tmp_path / "r").read_text().startswith("<!doctype html>")


async def test_an_encrypted_pod_is_tested_with_an_authority_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    config = evolve(pod_config(message_rate_limit=0), tls=issued(tmp_path))
    async with running_pod(config) as pod:
        url = f"wss://localhost:{pod.port}"
        plan = Plan(url, connections=20, rate=100.0, duration=0.5, rooms=4)
        tally = Tally()
        with trio.fail_after(30):
            await put_under_load(plan, tally)
        assert tally.connected == 0
        [(kind, count)] = tally.errors.items()
        assert kind.startswith("certificate not trusted: unable to get local issuer certificate")
        assert "SSL_CERT_FILE" in kind
        assert count == 20
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        tally = Tally()
        with trio.fail_after(30):
            await put_under_load(plan, tally)
    assert (tally.joined, tally.sent, tally.received) == (20, 50, 250)
    assert tally.good


def test_a_wrong_url_is_an_error_of_usage() -> None:
    result = CliRunner().invoke(cli, ["stress", "--url", "ftp://a"])
    assert result.exit_code == 2
    assert "ws://HOST:PORT" in result.output


async def test_a_pod_that_goes_amid_a_test_is_counted_by_the_code_it_closes_with() -> None:
    tally, config = Tally(), pod_config(message_rate_limit=0)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, running_pod(config) as pod:
            url = f"ws://127.0.0.1:{pod.port}"
            plan = Plan(url, connections=20, rate=4000.0, duration=1.5, rooms=20)
            nursery.start_soon(put_under_load, plan, tally)
            while tally.received < 20:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)
    assert tally.closed == {1012: 20}
    assert tally.done
    assert not tally.good


async def acquainted() -> tuple[StressClient, trio.abc.SendStream, wsproto.WSConnection]:
    """Return a client after its handshake, and the other side's stream and protocol."""
    ours, theirs = trio.testing.memory_stream_pair()
    client = StressClient(ours)
    server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client._shake_hands, "a")
        server.receive_data(bytes(await theirs.receive_some()))
        assert [type(event) for event in server.events()] == [wsproto.events.Request]
        await theirs.send_all(server.send(wsproto.events.AcceptConnection()))
    return client, theirs, server


async def test_a_message_to_a_client_that_the_pod_has_closed_is_told_like_a_lost_line() -> None:
    client, theirs, server = await acquainted()
    await theirs.send_all(server.send(wsproto.events.CloseConnection(1012)))
    with pytest.raises(ConnectionClosed) as told:
        await anext(client.messages())
    assert told.value.code == 1012
    with pytest.raises(trio.ClosedResourceError):
        await client.send({"type": "emit"})


@pytest.mark.parametrize("text", ["garbage", "[1]", "3", ""])
async def test_a_message_that_is_none_is_an_error_and_no_crash(text: str) -> None:
    client, theirs, server = await acquainted()
    await theirs.send_all(server.send(wsproto.events.TextMessage(text)))
    with pytest.raises(ConnectionClosed) as told:
        await anext(client.messages())
    assert told.value.code == 1007


async def test_what_speaks_no_websocket_is_an_error_and_no_crash() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(b"garbage\r\n\r\n")
    with pytest.raises(ConnectionClosed) as told:
        await StressClient(ours)._shake_hands("a")
    assert told.value.code == 1002


async def test_an_interrupt_ends_it_early_with_what_was(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits": {"messageRateLimit": 0}}) as pod:
        command = [sys.executable, "-P", "-m", "deployd.tools", "stress", "--json"]
        command += ["--url", f"ws://127.0.0.1:{pod.port}", "--connections", "5"]
        process = await trio.lowlevel.open_process(
            [*command, "--duration", "300"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with trio.fail_after(30):
                output = bytes(await process.stdout.receive_some())
                process.send_signal(signal.SIGINT)
                async for data in process.stdout:
                    output += data
                errors = b"".join([bytes(data) async for data in process.stderr])
                code = await process.wait()
        finally:
            process.kill()
    assert errors == b""
    assert code in (0, 1)
    assert json.loads(output.splitlines()[-1])["done"] is True
