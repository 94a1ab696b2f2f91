"""Faults from inside the pods that the runner starts: clocks that are wrong, stores that fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from deployd.client import Degraded
from deployd.tools.chaos.runner import hindrance
from deployd.tools.chaos.runner.faults import takes_within
from deployd.tools.chaos.runner.pods import RealPod
from deployd.tools.chaos.runner.stores import StoreDoesNotObey, lock_stores, stop_stores
from deployd.tools.chaos.scenario import shipped
from deployd.tools.chaos.targets import (
    BenchTarget,
    Guest,
    GuestSeat,
    OurTarget,
    PodPost,
    PodStanding,
)
from deployd.tools.chaos.targets.deployd import OurGuest
from deployd.transport.protocols import OutageCode


class Stub(BenchTarget):
    """A system whose pods are `sleep`, and whose faults are written down."""

    name = "stub"
    version = "1"

    def __init__(self) -> None:
        self.done: list[object] = []
        self.fails = False

    def objection(self, broker: str, topology: str) -> None:
        """Be played on all."""

    def spared(self, scenario: object, trouble: object) -> None:
        """Be spared nothing."""

    def command(self, post: PodPost) -> list[str | Path]:
        return ["sleep", "60"]

    def answers(self, post: PodPost) -> bool:
        return True

    def standing(self, post: PodPost) -> PodStanding | None:
        return None

    def guests(self, *_: object) -> AbstractAsyncContextManager[list[Guest]]:
        raise NotImplementedError

    def inject(self, post: PodPost, fault: Mapping[str, object]) -> None:
        self.done.append((fault["fault"], fault.get("skew")))
        self.fails = fault["fault"] == "store.fail"

    def relieve(self, post: PodPost) -> None:
        self.done.append("relieved")
        self.fails = False

    def write(self, post: PodPost) -> bool:
        if self.fails:
            return False
        try:
            with sqlite3.connect(self.database(post), timeout=0) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS notes (id)")
                connection.execute("INSERT INTO notes VALUES (1)")
        except sqlite3.OperationalError:
            return False
        return True

    def database(self, post: PodPost) -> Path:
        return post.folder / "documents.db"


@pytest.fixture
def stub() -> Stub:
    return Stub()


def pod_of(stub: Stub, folder: Path) -> RealPod:
    return RealPod(stub, PodPost(0, 1, folder / "pod", 1, {}, ()))


async def test_a_clock_is_wrong_from_the_start_and_after_what_else_was_ended(
    stub: Stub, tmp_path: Path
) -> None:
    pod = pod_of(stub, tmp_path)
    try:
        await pod.start(300.0)
        assert pod.ahead() == 300
        await pod.jump(50.0)
        assert pod.ahead() == 350
        await pod.relieve()
        assert pod.ahead() == 300
        await pod.kill()
        await pod.start()
        assert pod.ahead() == 0
    finally:
        await pod.kill()
    skews = [("clock.skew", 300.0), ("clock.skew", 50.0), "relieved", ("clock.skew", 300.0)]
    assert stub.done == skews


async def test_what_a_pod_with_a_wrong_clock_tells_is_told_in_the_time_of_the_run(
    autojump_clock: MockClock,
) -> None:
    async def said_since(ahead: Callable[[], float], since: float) -> float:
        guest = OurGuest(GuestSeat(0, 0, "http://127.0.0.1:1", (), lambda: True, ahead), [])
        told = guest._told(1.0, Degraded(OutageCode.CUT_OFF, since, ""))
        return told.since

    await trio.lowlevel.checkpoint()
    right = await said_since(lambda: 0.0, 1_000.0)
    assert await said_since(lambda: 300.0, 1_300.0) == pytest.approx(right, abs=1)


async def test_a_store_is_stopped_when_it_takes_nothing_and_started_when_it_does(
    stub: Stub, tmp_path: Path
) -> None:
    pod = pod_of(stub, tmp_path)
    start = await stop_stores([pod])
    assert not await pod.write()
    pod._process.start()
    try:
        await start()
    finally:
        await pod.kill()
    assert await pod.write()


async def test_a_store_is_locked_as_by_another_process(stub: Stub, tmp_path: Path) -> None:
    pod = pod_of(stub, tmp_path)
    unlock = await lock_stores([pod])
    assert not await pod.write()
    await unlock()
    assert await pod.write()


async def test_a_store_that_goes_on_is_told(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(Stub, "inject", lambda *_: None)
    with pytest.raises(BaseExceptionGroup) as raised:
        await stop_stores([pod_of(stub, tmp_path)])
    assert raised.group_contains(StoreDoesNotObey, match="still takes documents")


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("clocks-differ", True),
        ("clocks-differ-signed", True),
        ("pod-clock-jumps", True),
        ("store-stops", True),
        ("store-and-broker", True),
        ("store-locked", False),
        ("broker-crash", False),
    ],
)
def test_what_is_played_from_inside_is_played(name: str, within: bool) -> None:
    scenario = shipped(name)
    assert hindrance(OurTarget(), scenario, None) is None
    assert takes_within(scenario) is within


def test_a_full_disk_is_none() -> None:
    assert (
        hindrance(OurTarget(), shipped("store-full"), None) == "A disk of limited size takes root."
    )
