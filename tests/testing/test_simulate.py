"""Tests that run in the simulator, seed after seed."""

from __future__ import annotations

import pytest
import trio

from deployd.actors import JSON, Member, Room
from deployd.testing import SimulationFailed, Story, simulate
from deployd.testing.story import room_crashes
from deployd.tools.simulator.faults import Kind
from deployd.tools.simulator.plan import plan

seen: list[tuple[int, str, float]] = []


class Shouting(Room[None]):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, str(data).upper())


@simulate(seeds=3, first=5, rooms={"loud-*": Shouting}, faults=False)
async def test_a_room_of_ones_own_is_heard_on_all_pods(story: Story, word: str) -> None:
    """It has a fixture, too."""
    clients = [await story.client(pod, "loud-1") for pod in range(story.pods)]
    await trio.sleep(3)
    assert await clients[0].emit("loud-1", "said", word) in ("cluster", "partial")
    await trio.sleep(1)
    for client in clients:
        assert client.heard("loud-1", "said") == [word.upper()]


@pytest.fixture
def word() -> str:
    return "hello"


class Counted(Room[None]):
    lives = 0

    def __init__(self) -> None:
        Counted.lives += 1


def test_rooms_crash_when_the_seed_says_so_and_never_without_faults() -> None:
    faults: list[str] = []

    async def stay(story: Story) -> None:
        await story.client(0, "room-1")
        faults.extend(story.faults)
        await story.calm()

    seed = next(
        seed
        for seed in range(100)
        if any(crash.pod == 0 for crash in room_crashes(plan(seed)))
        and not any(
            fault.kind in (Kind.CRASH, Kind.STOP, Kind.PAUSE) for fault in plan(seed).faults
        )
        and plan(seed).faults
    )
    Counted.lives = 0
    simulate(seeds=1, first=seed, rooms={"room-*": Counted})(stay)()
    assert faults
    assert Counted.lives > 1
    faults.clear()
    Counted.lives = 0
    simulate(seeds=1, first=seed, rooms={"room-*": Counted}, faults=False)(stay)()
    assert faults == []
    assert Counted.lives == 1


def test_it_keeps_its_name_and_its_words() -> None:
    test = test_a_room_of_ones_own_is_heard_on_all_pods
    assert test.__name__ == "test_a_room_of_ones_own_is_heard_on_all_pods"
    assert test.__doc__ == "It has a fixture, too."


def test_the_same_seed_is_the_same_run() -> None:
    heard: list[list[JSON]] = []

    async def story(story: Story) -> None:
        clients = [await story.client(pod, "chat") for pod in range(story.pods)]
        for number in range(30):
            await trio.sleep(0.4)
            await clients[number % story.pods].emit("chat", "said", number)
        await story.calm()
        heard.append([trio.current_time(), *(c.heard("chat") for c in clients)])

    for _ in range(2):
        simulate(seeds=1, first=3)(story)()
    assert heard[0] == heard[1]


def test_failing_seeds_are_named_with_how_to_repeat_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def odd_ones_fail(story: Story) -> None:
        await trio.sleep(1)
        assert story.seed % 2 == 0, "odd"

    with pytest.raises(SimulationFailed) as failed:
        simulate(seeds=6)(odd_ones_fail)()
    assert failed.value.seeds == (1, 3, 5)
    text = str(failed.value)
    assert text.startswith("3 of 6 seeds fail: 1, 3, 5\nseed 1, ")
    assert "DEPLOYD_SEED=1 pytest tests/testing/test_simulate.py::" in text
    assert isinstance(failed.value.__cause__, AssertionError)
    monkeypatch.setenv("DEPLOYD_SEED", "3")
    with pytest.raises(SimulationFailed) as again:
        simulate(seeds=6)(odd_ones_fail)()
    assert again.value.seeds == (3,)
    monkeypatch.setenv("DEPLOYD_SEED", "three")
    with pytest.raises(ValueError, match="a whole number"):
        simulate(seeds=6)(odd_ones_fail)()


def test_a_test_that_waits_for_what_never_comes_does_not_hang() -> None:
    async def wait(story: Story) -> None:
        await trio.sleep_forever()

    with pytest.raises(SimulationFailed, match="300 virtual seconds"):
        simulate(seeds=1)(wait)()


@simulate(seeds=4)
async def test_clients_come_back_and_the_oracle_judges_what_they_say(story: Story) -> None:
    clients = [await story.client(pod, "plain-1") for pod in range(story.pods)]
    for number in range(25):
        await trio.sleep(0.7)
        clients[number % story.pods].say("plain-1")
    await story.calm()
    await trio.sleep(1)
    assert all(client.connected for client in clients)
    before = [len(client.heard("plain-1")) for client in clients]
    for client in clients:
        client.say("plain-1")
    await trio.sleep(4)
    story.check()
    heard = [len(client.heard("plain-1")) for client in clients]
    assert [now - then for now, then in zip(heard, before, strict=True)] == [
        story.pods
    ] * story.pods


def test_a_room_that_says_all_twice_is_found_by_the_oracle() -> None:
    class Twice(Room[None]):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            self.broadcast(event, data)
            self.broadcast(event, data)

    async def say(story: Story) -> None:
        client = await story.client(0, "plain-1")
        await trio.sleep(2)
        client.say("plain-1")
        await trio.sleep(1)
        story.check()

    with pytest.raises(SimulationFailed, match="came twice"):
        simulate(seeds=2, rooms={"plain-*": Twice}, faults=False)(say)()


@pytest.mark.parametrize("bad", [{"seeds": 0}, {"first": -1}, {"seeds": 10**9}])
def test_a_number_of_seeds_that_cannot_be_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Ask for"):
        simulate(**bad)  # type: ignore[arg-type]
