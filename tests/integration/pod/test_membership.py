"""Who is in which room: one truth, whatever the room is doing when it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from deployd.actors import JSON, Exit, Member, Room
from deployd.actors.clients import session
from deployd.config import AccessSettings, AuthSettings, Config, Rule, Speaker, Who
from deployd.supervisors import Pod
from deployd.transport import RequestId
from support import Client, connected, find_node, pod_config, running_pod
from support.clients import until

PATIENCE = 2.0
"""Seconds of `limits.emitTimeout` here."""


class Story(Room[None]):
    """Hangs, crashes and ends when it is told to, and writes down who comes and goes."""

    seen: ClassVar[list[tuple[str, str]]]
    released: ClassVar[trio.Event]
    entered: ClassVar[trio.Event]

    async def authorize_join(self, member: Member) -> bool:
        if member.user_id == "slow":
            await self.hang()
        return member.user_id != "mallory"

    async def on_join(self, member: Member) -> None:
        self.seen.append(("join", member.client_id))

    async def on_leave(self, member: Member, reason: str) -> None:
        self.seen.append(("leave", member.client_id))

    async def on_identity(self, member: Member) -> None:
        self.seen.append(("identity", str(member.user_id)))

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if event == "hang":
            await self.hang()
            self.broadcast("said in the hook", data)
            await trio.lowlevel.checkpoint()
        elif event == "crash":
            raise RuntimeError("on purpose")
        elif event == "end":
            self.stop("over")
        self.broadcast(event, data)

    async def on_server_emit(self, event: str, data: JSON) -> None:
        if event == "hang":
            await self.hang()
        self.broadcast(event, data)

    @classmethod
    async def hang(cls) -> None:
        cls.entered.set()
        await cls.released.wait()


def config(**limits: Any) -> Config:
    rules = {"closed-*": Rule(join=Who.AUTHENTICATED), "open-*": Rule(emit=Speaker.ANYONE)}
    limits = {"message_rate_limit": 0, "room_mailbox_size": 4, "abuse_limit": 1000} | limits
    return evolve(
        pod_config(emit_timeout=PATIENCE, **limits),
        access=AccessSettings(rules=rules),
        auth=AuthSettings(on_expiry="downgrade", leeway=0.0),
    )


@asynccontextmanager
async def story(count: int, **limits: Any) -> AsyncIterator[tuple[Pod, list[Client]]]:
    Story.seen, Story.released, Story.entered = [], trio.Event(), trio.Event()
    rooms: dict[str, type[Room[Any]]] = {"closed-*": Story, "open-*": Story, "tea": Story}
    async with (
        running_pod(config(**limits), rooms) as pod,
        connected(pod, count, ping_interval=None) as clients,
    ):
        yield pod, clients


async def sign_in(pod: Pod, client: Client, user: str, ttl: float = 3600.0) -> None:
    token = pod.tokens.sign(user, username=user, is_root=False, ttl=ttl)
    await client.send("auth", token=token, id="auth")
    await until_told(client, lambda m: m.get("id") == "auth")


async def until_told(
    client: Client, wanted: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Read up to the message that is wanted, and return all that came."""
    told: list[dict[str, Any]] = []
    while not told or not wanted(told[-1]):
        told.append(await client.receive())
    return told


async def everything(client: Client, seconds: float = 3 * PATIENCE) -> list[dict[str, Any]]:
    """Return all that a client is told within so many seconds."""
    told: list[dict[str, Any]] = []
    with trio.move_on_after(seconds):
        while True:
            told.append(await client.receive())
    return told


def code_of(message: dict[str, Any]) -> str | None:
    return message["data"]["code"] if message["type"] == "error" else None


def answers(told: list[dict[str, Any]], request_id: RequestId) -> list[str]:
    """Name the answers to a request: a type, or the code of an error."""
    mine = [m for m in told if m.get("id") == request_id]
    return [code_of(m) or m["type"] for m in mine]


def events(told: list[dict[str, Any]]) -> list[Any]:
    return [m["data"] for m in told if m["type"] == "emit"]


# Control messages × what the room is doing -----------------------------------------------------


async def well(pod: Pod, other: Client) -> None:
    """Nothing is the matter with the room."""


async def hung(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="hang")
    await Story.entered.wait()


async def full(pod: Pod, other: Client) -> None:
    await hung(pod, other)
    for n in range(8):
        pod.hub.emit_to_room("closed-1", "said", f"before-{n}")
    node = find_node(pod.tree(), "pod/rooms/closed-1")
    assert node.statistics is not None
    assert node.statistics.mailbox.waiting == 4


async def crashed(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="crash", id="crash")
    await until_told(other, lambda m: m.get("id") == "crash")


async def ended(pod: Pod, other: Client) -> None:
    await other.send("emit", room="closed-1", event="end", id="end")
    await until_told(other, lambda m: code_of(m) == "room_closed")


STATES = [well, hung, full, crashed, ended]


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


def rooms_of(pod: Pod, client: Client) -> list[str]:
    member = pod.members.get(client.client_id)
    return [] if member is None else list(member.rooms)


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


# Joins that hang -------------------------------------------------------------------------------


async def test_a_join_that_hangs_holds_up_nothing_else_that_its_client_says(
    autojump_clock: MockClock,
) -> None:
    async with story(1) as (pod, [ada]):
        await sign_in(pod, ada, "slow")
        for n in range(5):
            await ada.send("join", room=f"closed-{n}", id=n)
        await ada.send("join", room="coffee", id="coffee")
        await ada.send("emit", room="coffee", event="said", data=1, id="said")
        started = trio.current_time()
        told = await until_told(ada, lambda m: m.get("id") == "said")
        assert trio.current_time() == started
        assert answers(told, "said") == ["receipt"]
        told = await everything(ada)
        assert [answers(told, n) for n in range(5)] == [["room_busy"]] * 5


async def test_a_full_room_holds_up_nothing_that_its_client_says_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
            await client.join("closed-1")
        await full(pod, other)
        await ada.join("coffee")
        for n in range(20):
            await ada.send("emit", room="closed-1", event="said", data=n)
        started = trio.current_time()
        await ada.send("emit", room="coffee", event="said", data="elsewhere", id="said")
        await until_told(ada, lambda m: m.get("id") == "said")
        assert trio.current_time() == started


async def test_what_is_said_behind_a_join_is_heard_in_order_or_refused_with_it(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, mallory]):
        await sign_in(pod, ada, "slow")
        await sign_in(pod, mallory, "mallory")
        for client in (ada, mallory):
            await client.send("join", room="closed-1", id="join")
            for n in range(3):
                await client.send("emit", room="closed-1", event="said", data=n, id=n)
        await Story.entered.wait()
        Story.released.set()
        told = await everything(ada)
        assert events(told) == [0, 1, 2]
        assert [answers(told, n) for n in ("join", 0, 1, 2)] == [["join"], *[["receipt"]] * 3]
        told = await everything(mallory)
        assert answers(told, "join") == ["room_forbidden"]
        assert [answers(told, n) for n in range(3)] == [["not_a_member"]] * 3
        assert events(told) == []


async def test_joins_that_wait_are_bounded(autojump_clock: MockClock) -> None:
    async with story(1, max_rooms_per_client=3, join_rate_limit=0) as (pod, [ada]):
        await sign_in(pod, ada, "slow")
        for n in range(5):
            await ada.send("join", room=f"closed-{n}", id=n)
        for n in range(30):
            await ada.send("join", room="closed-0", id=f"again-{n}")
        told = await everything(ada)
        assert [answers(told, n) for n in range(5)] == [["room_busy"]] * 3 + [
            ["too_many_rooms"]
        ] * 2
        assert [answers(told, f"again-{n}") for n in range(30)] == [["room_busy"]] * 30


async def test_who_joins_and_leaves_a_room_that_hangs_leaves_little_behind(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
        await other.join("closed-1")
        await hung(pod, other)
        for n in range(50):
            await ada.send("join", room="closed-1", id=n)
            await ada.send("leave", room="closed-1", id=f"leave-{n}")
        told = await everything(ada, 0.5)
        assert [answers(told, n) for n in range(50)] == [["left"]] * 50
        assert [answers(told, f"leave-{n}") for n in range(50)] == [["leave"]] * 50
        [cell] = [c for c in pod.room_tree.children.values() if c.path == "pod/rooms/closed-1"]
        assert cell.waiting <= 2  # type: ignore[attr-defined]
        Story.released.set()
        await trio.sleep(0.1)
        assert ("join", ada.client_id) not in Story.seen


async def test_clients_that_come_and_go_cannot_fill_a_room_that_hangs(
    autojump_clock: MockClock,
) -> None:
    async with story(1, room_mailbox_size=3) as (pod, [other]):
        await sign_in(pod, other, "other")
        await other.join("open-1")
        await other.send("emit", room="open-1", event="hang")
        await Story.entered.wait()
        for _ in range(10):
            async with connected(pod, ping_interval=None) as [client]:
                await client.send("join", room="open-1", id=1)
                await client.send("join", room="coffee", id=2)
                await until_told(client, lambda m: m.get("id") == 2)
            await until(lambda: len(pod.members) == 1)
        [cell] = [c for c in pod.room_tree.children.values() if c.path == "pod/rooms/open-1"]
        assert cell.waiting <= 3  # type: ignore[attr-defined]


# Who one is ------------------------------------------------------------------------------------


async def test_a_changed_identity_is_asked_again_and_the_hook_learns_of_it(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, ben]):
        await ada.join("tea")
        await sign_in(pod, ada, "ada")
        await sign_in(pod, ada, "ada")  # the same again: nobody needs to know
        await sign_in(pod, ada, "bob")
        await ben.join("tea")
        await ben.send("emit", room="tea", event="said", data=1)
        assert events(await everything(ada, 0.5)) == [1]
        seen = [what for what in Story.seen if what[0] == "identity"]
        assert seen == [("identity", "ada"), ("identity", "bob")]
        await sign_in(pod, ada, "mallory")
        told = await everything(ada, 0.5)
        assert [m["type"] for m in told] == ["leave", "error"]
        assert told[1]["data"]["code"] == "room_forbidden"


class Careful(Room[list[JSON]]):
    """Writes down whom it deals with, before and after it has waited."""

    seen: ClassVar[list[tuple[str | None, str | None]]]
    gate: ClassVar[trio.Event]

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        before = member.user_id
        await self.gate.wait()
        self.seen.append((before, member.user_id))


async def test_a_hook_deals_with_one_identity_to_its_end(autojump_clock: MockClock) -> None:
    Careful.seen, Careful.gate = [], trio.Event()
    async with (
        running_pod(config(), {"tea": Careful}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        await sign_in(pod, client, "ada")
        await client.join("tea")
        await client.send("emit", room="tea", event="said", id=1)
        await client.send("emit", room="tea", event="said", id=2)
        await sign_in(pod, client, "bob")
        await client.send("emit", room="tea", event="said", id=3)
        Careful.gate.set()
        await until_told(client, lambda m: m.get("id") == 3)
        assert Careful.seen == [("ada", "ada"), ("ada", "ada"), ("bob", "bob")]


async def test_who_was_somebody_hears_nothing_until_the_room_has_been_asked(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        for client in (ada, other):
            await sign_in(pod, client, client.client_id)
            await client.join("tea")
        await other.send("emit", room="tea", event="hang")
        await Story.entered.wait()
        pod.hub.emit_to_room("tea", "said", "for ada")
        await sign_in(pod, ada, "bob")
        Story.released.set()
        told = await everything(ada, 0.5)
        assert events(told) == []
        [problem] = told
        assert problem["data"]["code"] == "events_missed"  # and it is told so
        pod.hub.emit_to_room("tea", "said", "for bob")
        assert events(await everything(ada, 0.5)) == ["for bob"]


class Attributed(Room[None]):
    """Writes down who says what; the first thing said holds it up."""

    said: ClassVar[list[tuple[str | None, JSON]]]

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        if data == "first":
            await Story.hang()
        self.said.append((member.user_id, data))


@pytest.mark.parametrize("becomes", ["bob", "ada"])
async def test_what_waits_for_a_full_room_is_never_said_as_somebody_else(
    becomes: str, autojump_clock: MockClock
) -> None:
    Attributed.said, Story.released, Story.entered = [], trio.Event(), trio.Event()
    async with (
        running_pod(config(), {"*": Attributed}) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        await sign_in(pod, client, "ada")
        await client.join("diary")
        for n in ("first", 1, 2, 3, 4, 5, 6):  # the mailbox takes four
            await client.send("emit", room="diary", event="said", data=n, id=n)
        await Story.entered.wait()
        await sign_in(pod, client, becomes)
        await client.send("emit", room="diary", event="said", data="last", id="last")
        await trio.testing.wait_all_tasks_blocked()
        Story.released.set()
        told = await everything(client, 1)
        said = [what for who, what in Attributed.said if who == "ada"]
        if becomes == "ada":
            assert said == ["first", 1, 2, 3, 4, 5, 6, "last"]
        else:
            assert said == ["first", 1, 2, 3, 4]
            assert Attributed.said[5:] == [("bob", "last")]
            assert [answers(told, n) for n in (4, "last")] == [["receipt"], ["receipt"]]


async def test_whose_token_expires_is_told_in_time_that_a_room_that_hangs_did_not_say_it_stays(
    autojump_clock: MockClock,
) -> None:
    async with story(2) as (pod, [ada, other]):
        await sign_in(pod, ada, "ada", ttl=3.0)
        for client in (ada, other):
            await client.join("tea")
        await other.send("emit", room="tea", event="hang")
        await Story.entered.wait()
        told = await everything(ada, 3.0 + 2 * PATIENCE)  # and says nothing herself
        assert [code_of(m) or m["type"] for m in told] == ["expired_token", "leave", "room_busy"]
        assert rooms_of(pod, ada) == []


# Rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "room", "who", "code"),
    [
        (None, "coffee", "anonymous", "not_a_member"),
        (None, "coffee", "user", "not_a_member"),
        (Rule(join=Who.ROOT), "coffee", "user", "not_a_member"),
        (Rule(join=Who.ROOT, emit=Speaker.ANYONE), "coffee", "user", "forbidden"),
        (Rule(join=Who.NOBODY, emit=Speaker.ANYONE), "coffee", "user", "forbidden"),
        (Rule(join=Who.AUTHENTICATED, emit=Speaker.ANYONE), "coffee", "anonymous", "auth_required"),
        (Rule(join=Who.AUTHENTICATED, emit=Speaker.ANYONE), "coffee", "user", None),
        (Rule(emit=Speaker.ANYONE), "coffee", "anonymous", None),
        (Rule(emit=Speaker.AUTHENTICATED), "coffee", "anonymous", "auth_required"),
        (Rule(emit=Speaker.NOBODY), "coffee", "user", "forbidden"),
        (None, "tea", "user", "not_a_member"),
        (Rule(emit=Speaker.ANYONE), "tea", "user", None),
        (Rule(emit=Speaker.ANYONE), "tea", "mallory", "room_forbidden"),
    ],
)
async def test_who_has_not_joined_speaks_where_a_rule_lets_it_and_never_where_it_may_not_join(
    rule: Rule | None, room: str, who: str, code: str | None
) -> None:
    Story.seen = []
    access = AccessSettings(rules={} if rule is None else {room: rule})
    async with (
        running_pod(evolve(config(), access=access), {"tea": Story}) as pod,
        connected(pod) as [client],
    ):
        if who != "anonymous":
            await sign_in(pod, client, who)
        answer = await client.ask("emit", room=room, event="said", data=1, id=1)
        if code is None:
            assert answer["type"] == "receipt"
        else:
            assert answer["data"]["code"] == code
        if code == "not_a_member":
            assert "emit" in answer["error"]
            assert ("access.rules" in answer["error"]) == (rule is not None)


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


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
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

    monkeypatch.setattr(session, "_log", Log())
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
        assert line["handler"] == "Room._emit"
        assert line["seconds"] >= PATIENCE
        Story.released.set()  # what was answered as dropped is not said later
        assert events(await everything(other)) == [None, None]
