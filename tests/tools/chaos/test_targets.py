"""What each system on the bench has to do, a fake one among them, and what its clients write."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from deployd.config import ReceiptPolicy
from deployd.tools.chaos.runner.pods import RealPod
from deployd.tools.chaos.scenario import RoomTerms, Scenario, Trouble
from deployd.tools.chaos.scenario.broker_faults import BrokerDeny, BrokerKill
from deployd.tools.chaos.scenario.inner_faults import PodClock, PodKill
from deployd.tools.chaos.scenario.schema import Population
from deployd.tools.chaos.scenario.way_faults import WayCut, WayDrop
from deployd.tools.chaos.servers import NotInstalled, connects, free_port
from deployd.tools.chaos.targets import (
    TARGETS,
    BenchTarget,
    Guest,
    GuestSeat,
    OurTarget,
    PodPost,
    PodStanding,
    TargetError,
    find_target,
)
from deployd.tools.chaos.targets import node as npm
from deployd.tools.chaos.targets.socketio import SocketIoRedis, SocketIoStreams, redis_url
from deployd.tools.chaos.targets.socketio_clients import PROGRAM, SocketGuest
from deployd.tools.oracle import (
    EVERYBODY,
    Answered,
    Dropped,
    Entered,
    Gone,
    Hearing,
    Record,
    Spoken,
)
from support.servers import where_installed

REDIS = {"redis": {"host": "127.0.0.1", "port": 1, "username": "pod0", "password": "p"}}
ROOMS = (RoomTerms("plain"), RoomTerms("heard", receipt=ReceiptPolicy.HEARD))


def post(folder: Path, number: int = 0) -> PodPost:
    return PodPost(number, 2, folder, free_port(), REDIS, ROOMS)


def seat(number: int = 0, *, blameless: bool = True) -> GuestSeat:
    return GuestSeat(number, 0, "http://127.0.0.1:1", ROOMS, lambda: blameless)


class FakeGuest(Guest):
    """It is let in at once, and its words are answered at once."""

    def __init__(self, of: GuestSeat, history: list[Record]) -> None:
        names = [room.name for room in of.rooms]
        super().__init__(of.number, of.pod, of.url, names, history, of.blameless)

    async def visit(self) -> None:
        self.came()
        for room in self.rooms:
            self.entered(room)
        await trio.sleep_forever()

    async def emit(self, said: Spoken, size: int) -> None:
        self.answered(said.client, said.number, "cluster")
        await trio.lowlevel.checkpoint()


class FakeTarget(BenchTarget):
    """Its pods listen, and that is all."""

    name: ClassVar[str] = "fake"
    version = "1"

    def objection(self, broker: str, topology: str) -> str | None:
        return None

    def spared(self, scenario: Scenario, trouble: Trouble) -> str | None:
        return None

    def command(self, post: PodPost) -> Sequence[str | Path]:
        words = f"import socket, time; s = socket.create_server(('127.0.0.1', {post.port}))"
        return [sys.executable, "-c", f"{words}; time.sleep(60)"]

    def answers(self, post: PodPost) -> bool:
        return connects(post.port)

    def standing(self, post: PodPost) -> PodStanding | None:
        return PodStanding("closed", post.pods - 1) if connects(post.port) else None

    @asynccontextmanager
    async def guests(
        self, seats: Sequence[GuestSeat], history: list[Record]
    ) -> AsyncIterator[Sequence[Guest]]:
        await trio.lowlevel.checkpoint()
        yield [FakeGuest(seat, history) for seat in seats]


# The contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TARGETS, f"{__name__}:FakeTarget"])
def test_a_target_says_who_it_is_and_how_a_pod_is_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    with where_installed():
        target = find_target(name)
        command = target.command(post(tmp_path))
    assert target.version
    assert target.name in name or name.endswith("FakeTarget")
    assert Path(command[0]).name
    assert target.objection("redis", "single") is None
    assert target.spared(Scenario(), BrokerKill()) is None
    assert target.spared(Scenario(), PodKill()) is None
    assert target.spared(Scenario(), WayCut()) is None
    assert target.standing(post(tmp_path)) is None  # there is no pod


async def test_a_pod_of_any_system_lives_sleeps_and_dies(tmp_path: Path) -> None:
    pod = RealPod(FakeTarget(), post(tmp_path / "pod"))
    assert await pod.standing() is None
    await pod.start()
    try:
        assert await pod.standing() == PodStanding("closed", 1)
        pod.sleep()
        assert await pod.standing() is None
        pod.wake()
        assert await pod.standing() == ("closed", 1)
        with pytest.raises(TargetError, match="Pods of fake take no faults from inside"):
            await pod.inject({})
    finally:
        await pod.kill()
    assert not pod.running
    assert await pod.standing() is None


# Which there are ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("socketio-redi", "did you mean socketio-redis?"),
        ("nothing", "there are deployd, socketio-redis"),
        ("no_such_module:Mine", "No module named 'no_such_module'"),
        ("json:Mine", "has no attribute 'Mine'"),
        ("json:JSONDecoder", "it has to be a class made of BenchTarget"),
    ],
)
def test_what_is_no_target_is_told_with_what_there_is(name: str, sentence: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_target(name)
    assert sentence in str(caught.value)


def test_what_is_missing_of_npm_is_told_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(npm, "PACKAGES", tmp_path)
    with pytest.raises(NotInstalled, match=f"npm install --prefix {tmp_path} socket.io@4"):
        find_target("socketio-redis")


# What others are spared -----------------------------------------------------------------------


def test_others_are_spared_what_is_aimed_at_deployd_alone() -> None:
    redis, streams = SocketIoRedis(), SocketIoStreams()
    assert "own means" in str(redis.spared(Scenario(), PodClock()))
    assert "channels" in str(redis.spared(Scenario(), BrokerDeny()))
    assert "channels" in str(redis.spared(Scenario(), WayDrop(room="plain")))
    assert redis.spared(Scenario(), WayDrop()) is None
    assert "a stream is read" in str(streams.spared(Scenario(), WayDrop()))
    assert "sign" in str(redis.spared(Scenario(pods=Population(signed=True)), BrokerKill()))
    assert "single Redis" in str(redis.objection("nats", "cluster"))
    assert OurTarget().spared(Scenario(), PodClock()) is None


def test_others_are_told_of_redis_as_our_pods_are() -> None:
    assert redis_url(REDIS) == "redis://pod0:p@127.0.0.1:1"
    with pytest.raises(TargetError, match="single Redis"):
        redis_url({"redis": {"nodes": ["127.0.0.1:1"]}})


# What clients write ---------------------------------------------------------------------------


async def test_each_visit_has_a_name_of_its_own_and_ends_once(autojump_clock: MockClock) -> None:
    history: list[Record] = []
    guest = FakeGuest(seat(), history)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.live)
        await trio.sleep(1)
        well = [guest.well]
        guest.say("plain", 0, nursery)
        guest.say("elsewhere", 0, nursery)
        await trio.sleep(1)
        guest.go()
        await trio.sleep(1)
        well.append(guest.well)
        guest.say("plain", 0, nursery)  # who is gone says nothing
        await trio.sleep(1)
        guest.come()
        await trio.sleep(1)
        guest.go()
        guest.come()  # a herd: at once
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert well == [True, False]
    told = [each[1:] for each in history]
    first, second, third = (
        [(f"client0.{visit}", 0, room) for room in (EVERYBODY, "plain", "heard")]
        for visit in (1, 2, 3)
    )
    said = [("client0.1", 0, "plain", 1), ("client0.1", 1, "cluster", -1)]
    gone = [(f"client0.{visit}", None) for visit in (1, 2, 3)]
    assert told == [*first, *said, gone[0], *second, gone[1], *third, gone[2]]


@pytest.fixture
def orders() -> tuple[trio.MemorySendChannel[bytes], trio.MemoryReceiveChannel[bytes]]:
    return trio.open_memory_channel[bytes](10)


Orders = tuple[trio.MemorySendChannel[bytes], trio.MemoryReceiveChannel[bytes]]


async def test_what_befalls_a_client_of_socketio_is_written_down(
    autojump_clock: MockClock, orders: Orders
) -> None:
    history: list[Record] = []
    guest = SocketGuest(seat(), history, orders[0])
    guest.take({"guest": 0, "got": "connected"})
    guest.take({"guest": 0, "got": "entered", "room": "plain"})
    guest.take({"guest": 0, "got": "heard", "room": "plain", "by": "client1.1", "number": 7})
    guest.take({"guest": 0, "got": "answered", "by": "client0.1", "number": 1, "scope": "taken"})
    answer = {"guest": 0, "got": "answered", "by": "client0.1", "number": 2}
    guest.take(answer | {"scope": "cluster", "members": 4})
    guest.take({"guest": 0, "got": "gone", "reason": "transport close"})
    now = trio.current_time()
    assert history == [
        Entered(now, "client0.1", 0, EVERYBODY),
        Entered(now, "client0.1", 0, "plain"),
        Hearing(now, "client0.1", "plain", "client1.1", 7),
        Answered(now, "client0.1", 1, "taken", -1),
        Answered(now, "client0.1", 2, "cluster", 4),
        Dropped(now, "client0.1", 1006),
        Gone(now, "client0.1", None),
    ]
    with pytest.raises(TargetError, match="nobody understands"):
        guest.take({"guest": 0, "got": "rich"})


async def test_what_was_on_its_way_when_a_visit_ended_is_nobodys(orders: Orders) -> None:
    history: list[Record] = []
    guest = SocketGuest(seat(), history, orders[0])
    guest.take({"guest": 0, "got": "connected"})
    guest.left()
    guest.take({"guest": 0, "got": "entered", "room": "plain"})
    guest.take({"guest": 0, "got": "heard", "room": "plain", "by": "client1.1", "number": 7})
    guest.take({"guest": 0, "got": "gone", "reason": "io client disconnect"})
    assert [type(each) for each in history] == [Entered, Gone]
    assert not guest.inside


async def test_who_is_cut_off_by_our_own_doing_is_not_dropped(orders: Orders) -> None:
    history: list[Record] = []
    guest = SocketGuest(seat(blameless=False), history, orders[0])
    guest.take({"guest": 0, "got": "connected"})
    guest.take({"guest": 0, "got": "gone", "reason": "transport close"})
    assert not any(isinstance(each, Dropped) for each in history)


@pytest.mark.parametrize(("room", "of_all"), [("plain", b"false"), ("heard", b"true")])
async def test_where_a_room_asks_who_has_heard_all_are_to_acknowledge(
    room: str, of_all: bytes, orders: Orders
) -> None:
    guest = SocketGuest(seat(), [], orders[0])
    guest.take({"guest": 0, "got": "connected"})
    guest.take({"guest": 0, "got": "entered", "room": room})
    async with trio.open_nursery() as nursery:
        guest.say(room, 3, nursery)
    order = await orders[1].receive()
    assert b'"all":' + of_all in order
    assert b'"by":"client0.1","number":1,"size":3' in order


def test_the_process_of_clients_ends_when_who_started_it_is_gone() -> None:
    with where_installed():
        command = npm.node_command(PROGRAM)
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
