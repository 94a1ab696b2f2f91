"""The counter room in a real pod, with the clients that its users would write."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs
from trio.testing import MockClock

from deployd.actors import JSON, Member, Room
from deployd.client import Refused
from deployd.client.sync import BlockingClient, connect
from deployd.config import Drain, Secrets, Server, load
from deployd.supervisors import Pod, open_pod

sys.path.insert(0, str(Path(__file__).parent))  # as `deployd serve` does with the current folder

from counter_client import PATIENCE, ROOM, count, game, hear
from counter_room import ROUND, TICK, CounterRoom, Score

HERE = Path(__file__).parent
KEYS = Secrets(master_key="a-master-key-for-tests", jwt_secret="a-secret-for-tests-of-32-bytes!!")


@asynccontextmanager
async def running_pod(rooms: Mapping[str, type[Room[Any]]] | None = None) -> AsyncIterator[Pod]:
    """Run a pod with the example's own configuration on a free port."""
    config = load(HERE / "realtime.json", environ={}).config
    config = evolve(config, server=Server(port=0), drain=Drain(window=0.0))
    with capture_logs():  # rooms crash on purpose: not into the tests' output
        async with open_pod(config, keys=KEYS, rooms=rooms) as pod:
            yield pod


def url(pod: Pod) -> str:
    return f"http://127.0.0.1:{pod.port}"


def readme() -> list[str]:
    """Return what the README says that the client program prints."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return text.split("```text\n")[1].split("```")[0].splitlines()


def enter(client: BlockingClient) -> str:
    """Join the room and return the client's own id."""
    client.join(ROOM)
    assert client.id is not None
    return client.id


def refused(client: BlockingClient, event: str = "count", data: JSON = None) -> str:
    """Say what the pod does not take; return the code of the refusal."""
    with pytest.raises(Refused) as caught:
        client.emit(ROOM, event, data)
    return caught.value.code


def scores(pod: Pod) -> dict[str, int]:
    """Ask the room from outside; for a story, that runs in a thread."""

    async def ask() -> dict[str, int]:
        answer: dict[str, int] = await pod.hub.room(ROOM).ask(Score(), timeout=5)
        return answer

    return trio.from_thread.run(ask)


# The clock stands still but where a story moves it: a tick comes when a test wants it. The
# clients run in a thread and wait on the real clock, never longer than their PATIENCE.


def tick(clock: MockClock, times: int = 1) -> None:
    for _ in range(times):
        trio.from_thread.run_sync(clock.jump, TICK)


def tick_heard(clock: MockClock, client: BlockingClient) -> int:
    """Let one tick pass and return how many the client is told are left."""
    tick(clock)
    left: int = hear(client, "tick")
    return left


async def test_the_client_program_shows_what_the_readme_says(mock_clock: MockClock) -> None:
    def story(url: str) -> None:
        lines, shown = game(url), readme()
        assert [next(lines), next(lines)] == shown[:2]
        for line in shown[2:]:
            tick(mock_clock)
            assert next(lines) == line
        assert list(lines) == []
        assert len(shown) == 2 + ROUND

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


async def test_a_score_is_told_to_the_one_who_counted_and_to_nobody_else(
    mock_clock: MockClock,
) -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            enter(ada)
            enter(ben)
            assert count(ada) == 1
            tick(mock_clock)
            assert next(ben.events(ROOM, timeout=PATIENCE)).name == "tick"
            assert count(ben) == 1

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


async def test_code_outside_can_ask_for_the_scores(mock_clock: MockClock) -> None:
    def story(pod: Pod) -> None:
        assert scores(pod) == {}
        with connect(url(pod)) as ada, connect(url(pod)) as ben:
            ada_id, ben_id = enter(ada), enter(ben)
            count(ada)
            count(ben)
            count(ben)
            assert scores(pod) == {ada_id: 1, ben_id: 2}
            ben.leave(ROOM)
            assert scores(pod) == {ada_id: 1}

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


async def test_a_round_ends_with_everyones_score_and_another_begins(mock_clock: MockClock) -> None:
    def story(pod: Pod) -> None:
        with connect(url(pod)) as ada, connect(url(pod)) as ben:
            ada_id = enter(ada)
            enter(ben)
            count(ada)
            for _ in range(ROUND - 1):
                tick_heard(mock_clock, ben)
            tick(mock_clock)
            assert hear(ben, "over") == {"winner": ada_id, "scores": {ada_id: 1}}
            assert scores(pod) == {}
            assert tick_heard(mock_clock, ben) == ROUND - 1
            for _ in range(ROUND - 2):
                tick_heard(mock_clock, ben)
            tick(mock_clock)
            assert hear(ben, "over") == {"winner": None, "scores": {}}

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


async def test_the_clock_waits_while_nobody_is_there(mock_clock: MockClock) -> None:
    def story(pod: Pod) -> None:
        for _ in range(3):
            scores(pod)  # opens the room, and waits until it has seen the last tick
            tick(mock_clock)
        with connect(url(pod)) as ada:
            enter(ada)
            assert tick_heard(mock_clock, ada) == ROUND - 1

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


async def test_only_members_count_and_only_count(mock_clock: MockClock) -> None:
    def story(pod: Pod) -> None:
        with connect(url(pod)) as ada, connect(url(pod)) as eve:
            enter(ada)
            assert refused(ada, "over", {"winner": "me"}) == "room_forbidden"
            assert refused(eve) == "not_a_member"
            assert scores(pod) == {}

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, pod)


class Fragile(CounterRoom):
    """A counter room with a bug: it cannot count to three."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        await super().on_message(member, event, data)
        if self.state.counts[member.client_id] == 3:
            raise RuntimeError("three")


async def test_a_crash_begins_a_new_round_with_one_clock_and_the_same_members(
    mock_clock: MockClock,
) -> None:
    def story(pod: Pod) -> None:
        with connect(url(pod)) as ada, connect(url(pod)) as ben:
            ada_id = enter(ada)
            enter(ben)
            assert tick_heard(mock_clock, ben) == ROUND - 1
            assert [count(ada) for _ in range(2)] == [1, 2]
            assert refused(ada) == "room_crashed"  # what raises has said nothing
            assert scores(pod) == {}
            assert tick_heard(mock_clock, ben) == ROUND - 1
            assert tick_heard(mock_clock, ben) == ROUND - 2  # one clock: no tick came twice
            assert count(ada) == 1
            assert scores(pod) == {ada_id: 1}

    async with running_pod({ROOM: Fragile}) as pod:
        await trio.to_thread.run_sync(story, pod)
