"""The chat room in a real pod, with the clients that its users would write."""

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

import chat_room
from chat_client import PATIENCE, ROOM, conversation, hear, say
from chat_room import BURST, LONGEST_LINE, RATE, ChatRoom

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


def enter(client: BlockingClient) -> list[dict[str, str]]:
    """Join the room and return the history."""
    client.join(ROOM)
    history: list[dict[str, str]] = hear(client, "history")
    return history


def next_of(client: BlockingClient) -> tuple[str, Any]:
    """Return the next event of the room, whatever it is, and its data."""
    event = next(client.events(ROOM, timeout=PATIENCE))
    return event.name, event.data


def refused(client: BlockingClient, event: str = "say", data: JSON = "again") -> str:
    """Say what the pod does not take; return the code of the refusal."""
    with pytest.raises(Refused) as caught:
        client.emit(ROOM, event, data)
    return caught.value.code


# The clock stands still but where a test moves it, so what is too fast depends on no machine.
# The clients run in a thread and wait on the real clock, never longer than their PATIENCE.


async def test_the_client_program_shows_what_the_readme_says(mock_clock: MockClock) -> None:
    async with running_pod() as pod:
        lines = await trio.to_thread.run_sync(lambda: list(conversation(url(pod))))
    assert lines == readme()


async def test_the_history_holds_the_last_lines_and_who_said_them(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_room, "HISTORY", 3)

    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            ada_id = ada.id
            enter(ada)
            for n in range(5):
                say(ada, f"line {n}")
                assert hear(ada, "said") == {"from": ada_id, "text": f"line {n}"}
            assert enter(ben) == [{"from": ada_id, "text": f"line {n}"} for n in (2, 3, 4)]
            say(ben, "thanks")
            assert next_of(ada)[0] == "said"  # she was not sent the history again

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


async def test_a_line_said_too_fast_reaches_nobody_and_a_pause_mends_it(
    mock_clock: MockClock,
) -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            enter(ada)
            enter(ben)
            for _ in range(int(BURST)):
                say(ada, "quick")
                assert hear(ada, "said")["text"] == "quick"
                assert hear(ben, "said")["text"] == "quick"
            assert refused(ada, data="lost") == "room_forbidden"
            assert next_of(ada) == ("slow-down", {"seconds": 1 / RATE})
            say(ben, "I am not slowed down")
            assert next_of(ben)[1]["text"] == "I am not slowed down"
            trio.from_thread.run_sync(mock_clock.jump, 1 / RATE)
            say(ada, "patient")
            assert hear(ben, "said")["text"] == "patient"

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


async def test_leaving_and_coming_back_does_not_get_round_the_rule(mock_clock: MockClock) -> None:
    def story(url: str) -> None:
        with connect(url) as ada:
            enter(ada)
            for _ in range(int(BURST)):
                say(ada, "quick")
            ada.leave(ROOM)
            enter(ada)
            assert refused(ada) == "room_forbidden"
            assert hear(ada, "slow-down") == {"seconds": 1 / RATE}

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


class Observed(ChatRoom):
    """A chat room that tests can look into."""

    seen: "Observed"

    def __init__(self) -> None:
        super().__init__()
        Observed.seen = self

    @property
    def remembered(self) -> set[str]:
        return set(self._pace)


async def test_who_has_rested_is_forgotten(mock_clock: MockClock) -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben, connect(url) as eve:
            enter(ada)
            say(ada, "early")
            hear(ada, "said")
            trio.from_thread.run_sync(mock_clock.jump, BURST / RATE)
            ben_id = ben.id
            enter(ben)
            say(ben, "late")
            hear(ben, "said")
            enter(eve)
            assert Observed.seen.remembered == {ben_id}

    async with running_pod({ROOM: Observed}) as pod:
        await trio.to_thread.run_sync(story, url(pod))


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("said", "forged"),
        ("history", []),
        ("say", {"text": "not a line"}),
        ("say", None),
        ("say", "x" * (LONGEST_LINE + 1)),
    ],
    ids=["a forged event", "a forged history", "an object", "nothing", "a line too long"],
)
async def test_only_lines_are_taken(event: str, data: JSON) -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            enter(ada)
            assert refused(ada, event, data) == "room_forbidden"
            assert enter(ben) == []

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


async def test_who_is_not_in_the_room_cannot_speak_in_it() -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as eve:
            enter(ada)
            assert refused(eve, data="psst") == "not_a_member"
            say(ada, "hello")
            assert hear(ada, "said")["text"] == "hello"

    async with running_pod() as pod:
        await trio.to_thread.run_sync(story, url(pod))


class Fragile(ChatRoom):
    """A chat room with a bug."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if data == "boom":
            raise RuntimeError(data)
        await super().on_message(member, event, data)


async def test_the_history_outlives_a_crash() -> None:
    def story(url: str) -> None:
        with connect(url) as ada, connect(url) as ben:
            enter(ada)
            say(ada, "before")
            assert refused(ada, data="boom") == "room_crashed"
            say(ada, "after")
            assert hear(ada, "said")["text"] == "before"
            assert hear(ada, "said")["text"] == "after"
            assert [line["text"] for line in enter(ben)] == ["before", "after"]

    async with running_pod({ROOM: Fragile}) as pod:
        await trio.to_thread.run_sync(story, url(pod))
