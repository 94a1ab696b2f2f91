"""Control messages × what the room is doing, and hooks that fail: who is in, what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
import trio
from trio.testing import MockClock

from deployd.actors import JSON, Exit, Member, Room
from deployd.actors.clients import environment
from deployd.supervisors import Pod
from support import Client, connected, find_node, running_pod
from support.clients import until
from support.membership import (
    PATIENCE,
    STATES,
    Story,
    answers,
    code_of,
    config,
    ended,
    events,
    everything,
    full,
    hung,
    rooms_of,
    sign_in,
    story,
    until_told,
)


async def leaves(pod: Pod, client: Client) -> None:
    await client.send("leave", room="closed-1", id="leave")
    told = await until_told(client, lambda m: m.get("id") == "leave")
    assert answers(told, "leave") == ["leave"]


async def becomes_nobody_allowed(pod: Pod, client: Client) -> None:
    await trio.sleep(11)  # its token is good for ten seconds
    told = await until_told(client, lambda m: code_of(m) == "expired_token")
    assert [m for m in told if m["type"] == "leave"] or not rooms_of(pod, client)


async def becomes_somebody_refused(pod: Pod, client: Client) -> None:
    await sign_in(pod, client, "mallory")


async def disconnects(pod: Pod, client: Client) -> None:
    await client.socket.aclose()
    await until(lambda: client.client_id not in pod.members)


GOES = [leaves, becomes_nobody_allowed, becomes_somebody_refused, disconnects]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("goes", GOES)
async def test_who_goes_is_out_at_once_and_on_leave_runs_once(
    goes: Callable[[Pod, Client], Awaitable[None]],
    state: Callable[[Pod, Client], Awaitable[None]],
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        await sign_in(pod, other, "other")
        await sign_in(pod, ada, "ada", ttl=10)
        for client in (ada, other):
            await client.join("closed-1")
        await state(pod, other)
        await goes(pod, ada)
        stays = goes is becomes_somebody_refused and state in (hung, full)
        assert rooms_of(pod, ada) == (["closed-1"] if stays else [])  # the room is still asked
        told = [] if goes is disconnects else await everything(ada, PATIENCE + 0.5)
        assert not rooms_of(pod, ada)
        Story.released.set()
        await trio.sleep(0.1)
        pod.hub.emit_to_room("closed-1", "said", "secret")
        if goes is not disconnects:
            told += await everything(ada, 0.5)
        assert events(told) == []
        came = ("join", ada.client_id) in Story.seen
        assert came
        left = 0 if state is ended else 1
        assert Story.seen.count(("leave", ada.client_id)) == left
        if goes is becomes_somebody_refused and state is not ended:
            assert [m["room"] for m in told if m["type"] == "leave"] == ["closed-1"]


@pytest.mark.parametrize("state", STATES)
async def test_a_join_has_one_answer_and_joining_again_runs_the_hook_again(
    state: Callable[[Pod, Client], Awaitable[None]], autojump_clock: MockClock
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
        await other.join("closed-1")
        await state(pod, other)
        await ada.send("join", room="closed-1", id=1)
        told = await everything(ada)
        expected = "room_busy" if state in (hung, full) else "join"
        assert answers(told, 1) == [expected]
        Story.released.set()
        await ada.send("join", room="closed-1", id=2)
        told = await everything(ada)
        assert answers(told, 2) == ["join"]
        assert Story.seen.count(("join", ada.client_id)) == 1
        await ada.send("leave", room="closed-1", id=3)
        await ada.send("join", room="closed-1", id=4)
        told = await everything(ada)
        assert (answers(told, 3), answers(told, 4)) == (["leave"], ["join"])
        assert Story.seen.count(("join", ada.client_id)) == 2


@pytest.mark.parametrize("state", STATES)
async def test_an_emit_with_an_id_has_one_answer(
    state: Callable[[Pod, Client], Awaitable[None]], autojump_clock: MockClock
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
            await client.join("closed-1")
        await state(pod, other)
        for n in range(10):
            await ada.send("emit", room="closed-1", event="said", data=n, id=n)
        told = await everything(ada)
        expected = {"well": "receipt", "crashed": "receipt", "ended": "not_a_member"}
        given = [answers(told, n) for n in range(10)]
        assert given == [[expected.get(state.__name__, "room_busy")]] * 10
        Story.released.set()
        told += await everything(ada)
        heard = [] if given[0] != ["receipt"] else list(range(10))
        assert [data for data in events(told) if isinstance(data, int)] == heard


# Failing to come in ----------------------------------------------------------------------------


class Fails(Room[None]):
    """Fails in the hook that its name says, the first time; `late` once it has waited."""

    times: ClassVar[dict[str, int]]

    async def _fail(self, where: str) -> None:
        if where in self.name:
            self.times[where] = self.times.get(where, 0) + 1
            if "late" in self.name:
                await trio.sleep(0.01)
            if self.times[where] == 1:
                raise RuntimeError(where)

    async def on_start(self) -> None:
        await self._fail("start")

    async def authorize_join(self, member: Member) -> bool:
        await self._fail("authorize")
        return True

    async def on_join(self, member: Member) -> None:
        self.broadcast("half", "said before it failed")
        await self._fail("joining")

    async def on_leave(self, member: Member, reason: str) -> None:
        await self._fail("leaving")

    async def on_stop(self, exit: Exit) -> None:  # noqa: A002
        await self._fail("stop")


@pytest.mark.parametrize("late", ["", "-late"])
@pytest.mark.parametrize("where", ["start", "authorize", "joining"])
async def test_a_hook_that_fails_leaves_nobody_half_in_and_runs_again(
    where: str, late: str, autojump_clock: MockClock
) -> None:
    Fails.times = {}
    room = where + late
    async with (
        running_pod(config(), {"*": Fails}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ada.send("join", room=room, id=1)
        told = await everything(ada, 1)
        half_way = where == "joining" and late
        assert answers(told, 1) == ["join" if half_way else "room_crashed"]
        assert events(told) == (["said before it failed"] if half_way else [])
        if half_way:  # it was told that it is in, so it is told that it is out
            assert [m["type"] for m in told[-2:]] == ["leave", "error"]
        assert not rooms_of(pod, ada)
        await ben.send("join", room=room, id=1)
        told = await everything(ben, 1)
        assert answers(told, 1) == ["join"]
        await ben.send("emit", room=room, event="said", data=1, id=2)
        assert answers(await everything(ben, 1), 2) == ["receipt"]
        assert events(await everything(ada, 0.5)) == []
        await ada.send("join", room=room, id=3)
        assert answers(await everything(ada, 1), 3) == ["join"]
        assert find_node(pod.tree(), f"pod/rooms/{room}").detail["members"] == 2
        assert Fails.times[where] == (2 if where == "start" else 3)


class NoWord:
    """What is neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("neither")


class Wordless(Room[None]):
    """Answers neither yes nor no, or forgets to await the answer."""

    async def _says_no(self) -> bool:
        return False

    def _answer(self) -> Any:
        return self._says_no() if "forgets" in self.name else NoWord()

    async def authorize_join(self, member: Member) -> bool:
        return "joining" not in self.name or (member.user_id is None or self._answer())

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        return "joining" in self.name or self._answer()


@pytest.mark.parametrize("how", ["forgets", "neither"])
async def test_a_rule_that_gives_no_answer_lets_nobody_in_stay_or_speak(
    how: str, autojump_clock: MockClock
) -> None:
    async with (
        running_pod(config(), {"*": Wordless}) as pod,
        connected(pod, 2, ping_interval=None) as [ada, ben],
    ):
        await ada.join(f"{how}-joining")
        await sign_in(pod, ada, "ada")  # it has to say whether she stays
        told = await everything(ada, 1)
        assert [code_of(m) or m["type"] for m in told] == ["leave", "room_crashed"]
        await ada.send("join", room=f"{how}-joining", id=1)
        assert answers(await everything(ada, 1), 1) == ["room_crashed"]
        await ben.join(f"{how}-speaking")
        await ben.send("emit", room=f"{how}-speaking", event="said", data=1, id=2)
        told = await everything(ben, 1)
        assert answers(told, 2) == ["room_crashed"]
        assert events(told) == []


class NeverStarts(Room[None]):
    def initial_state(self) -> None:
        raise RuntimeError("no database")


async def test_a_room_that_cannot_start_is_not_called_busy(autojump_clock: MockClock) -> None:
    async with (
        running_pod(config(), {"broken": NeverStarts}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        for n in range(2):
            await client.send("join", room="broken", id=n)
        told = await everything(client, 9)
        assert [answers(told, n) for n in range(2)] == [["room_crashed"]] * 2
        assert "cannot start" in told[0]["error"]


async def test_an_on_leave_that_fails_loses_no_other(autojump_clock: MockClock) -> None:
    Fails.times = {}
    async with (
        running_pod(config(), {"*": Fails}) as pod,
        connected(pod, 4, ping_interval=None) as clients,
    ):
        for client in clients:
            await client.join("leaving")
            await everything(client, 0.1)
        for client in clients[:3]:
            await client.send("leave", room="leaving", id=1)
            told = await everything(client, 0.5)
            assert answers(told, 1) == ["leave"]
        await trio.sleep(1)
        assert Fails.times["leaving"] == 3
        assert find_node(pod.tree(), "pod/rooms/leaving").detail["members"] == 1


async def test_a_room_that_does_not_answer_is_named_in_the_log_and_in_the_tree(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []

    class Log:
        """Remembers what is written; whatever another test has made of the log does not matter."""

        def warning(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

        def debug(self, event: str, **fields: object) -> None:
            """Write nothing."""

    monkeypatch.setattr(environment, "_log", Log())
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await client.join("tea")
        await ada.send("emit", room="tea", event="hang", id=1)
        await other.send("emit", room="tea", event="said", id=2)
        assert answers(await everything(ada), 1) == ["room_busy"]
        assert answers(await everything(other, 0.1), 2) == ["room_busy"]
        node = find_node(pod.tree(), "pod/rooms/tea")
        assert node.statistics is not None
        assert node.statistics.handler_seconds >= PATIENCE
        line, *_ = lines
        assert (line["event"], line["room"]) == ("a room does not answer", "tea")
        assert line["handler"] == "RoomActor._emit"
        assert line["seconds"] >= PATIENCE
        Story.released.set()  # what was answered as dropped is not said later
        assert events(await everything(other)) == [None, None]
