"""When changes are told: after their commit, in its order, each once, whatever breaks between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.actors import (
    ActorCell,
    DeadLetters,
    EnvironmentFailure,
    Mailbox,
    Overflow,
    Poisoned,
    Scope,
    Unanswered,
)
from deployd.config import Collections, Definition, Permissions, Right
from deployd.documents import RequestRefused, StoreUnavailable
from deployd.documents.collections import Collection, CollectionActor, CollectionEnvironment
from deployd.documents.collections.relay import OutboxRelay
from deployd.documents.collections.scripting import Call
from deployd.documents.collections.writing import WriteRequest
from deployd.documents.scripts.scripts import Scripts
from deployd.documents.store import Bounds, Change, Write
from deployd.documents.users import POD
from support.documents import document, put
from support.ledger import FakeHub, FakeStore

REPLAY_AFTER = 10.0


def left(*ids: str) -> list[Change]:
    return [Change(n, "created", document(one)) for n, one in enumerate(ids, 1)]


def collection_of(store: FakeStore, hub: FakeHub) -> tuple[Collection, CollectionEnvironment]:
    environment = CollectionEnvironment(
        store=store,
        hub=cast("Any", hub),
        runner=cast("Any", None),
        passwords=cast("Any", None),
        settings=Collections(replay_after=REPLAY_AFTER),
        answers=Bounds(1000, 2**20),
        queries=cast("Any", None),
        sign_ups=cast("Any", None),
        emit_timeout=1.0,
        wall=lambda: 0.0,
        internal=lambda: cast("Any", None),
    )
    return Collection(Definition("todos"), Scripts({}, {})), environment


class Running:
    """A collection's actor, started again whenever it crashes, as its supervisor does."""

    def __init__(self, store: FakeStore, hub: FakeHub) -> None:
        self.store, self.hub = store, hub
        self.collection, environment = collection_of(store, hub)
        self.cell: ActorCell[Any] = ActorCell(
            "todos",
            lambda: CollectionActor(self.collection, environment),
            mailbox=Mailbox(max_messages=1000, max_bytes=2**20, overflow=Overflow.BLOCK),
            dead_letters=DeadLetters(),
        )

    async def post(self, id: str) -> str:  # noqa: A002
        """Write a document and return its id, or the class of the refusal."""
        writing = WriteRequest("post", None, {"id": id}, Call(POD, method="POST"))
        try:
            return str((await self.cell.ref.ask(writing, timeout=60)).document["id"])
        except RequestRefused as refused:
            return str(refused.status)
        except (Unanswered, Poisoned) as error:
            return type(error).__name__

    async def live(self) -> None:
        again = True
        while again:
            again = False
            try:
                await self.cell.run(lambda: None)
            except (RuntimeError, EnvironmentFailure):
                again = True
                await trio.sleep(0.1)


@asynccontextmanager
async def running(store: FakeStore, hub: FakeHub) -> AsyncIterator[Running]:
    pod = Running(store, hub)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pod.live)
        yield pod
        nursery.cancel_scope.cancel()


def once(error: Exception, call: str = "") -> Callable[..., Awaitable[None]]:
    """Raise this at the first call (of that name), and never again."""
    errors = [error]

    async def fail(name: str = "") -> None:
        if errors and name == call:
            raise errors.pop()

    return fail


async def test_a_change_is_told_at_once_when_nothing_was_left(autojump_clock: MockClock) -> None:
    hub = FakeHub()
    async with running(FakeStore(), hub) as pod:
        assert await pod.post("a") == "a"
        await wait_all_tasks_blocked()
        assert hub.told == [(0.0, "a")]


async def test_what_was_left_is_told_when_clients_have_had_time_to_return_and_comes_first(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore(*left("x", "y"))
    async with running(store, hub) as pod:
        await trio.sleep(3)
        assert await pod.post("a") == "a"
        await trio.sleep(REPLAY_AFTER - 3.5)
        assert hub.told == []
        await trio.sleep(1)
        assert hub.told == [(REPLAY_AFTER, one) for one in "xya"]
        assert await pod.post("b") == "b"
        await trio.sleep(1)
        assert hub.ids == list("xyab")
        assert store.outbox == []


async def test_a_crash_does_not_shorten_the_time_that_clients_have(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore(*left("x"))
    async with running(store, hub) as pod:
        store.before = once(RuntimeError("bug"), "commit")
        assert await pod.post("a") == "Unanswered"
        await trio.sleep(REPLAY_AFTER + 1)
        assert hub.told == [(REPLAY_AFTER, "x")]
        assert pod.cell.incarnation == 2


async def test_a_crash_between_commit_and_telling_loses_and_repeats_nothing(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    async with running(store, hub) as pod:
        assert await pod.post("a") == "a"
        hub.before = once(RuntimeError("bug"))
        assert await pod.post("b") == "b"  # it is committed, whatever becomes of the telling
        assert await pod.post("c") == "c"
        await trio.sleep(REPLAY_AFTER + 100)
        assert hub.ids == list("abc")
        assert store.outbox == []


async def test_a_crash_in_the_middle_of_telling_a_batch_tells_each_once(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    fuse = iter(range(1000))

    async def third() -> None:
        if next(fuse) == 2:
            raise RuntimeError("bug")

    hub.before = third
    async with running(store, hub) as pod:
        async with trio.open_nursery() as nursery:
            for id_ in "abcde":
                nursery.start_soon(pod.post, id_)
        await trio.sleep(REPLAY_AFTER)
        assert sorted(hub.ids) == list("abcde")
        assert hub.ids == list(store.documents)


async def test_writes_that_a_crash_overtook_are_told_so_and_those_behind_go_on(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    crash = iter([None, RuntimeError("bug")])

    def after_write() -> None:
        error = next(crash, None)
        if error is not None:
            raise error

    store.after_write = after_write
    answers: dict[str, str] = {}
    async with running(store, hub) as pod:
        assert await pod.post("first") == "first"

        async def ask(id_: str) -> None:
            answers[id_] = await pod.post(id_)

        async with trio.open_nursery() as nursery:
            for number in range(120):  # a full batch, which the hundredth commits, and 20 more
                nursery.start_soon(ask, f"d{number}")
        await trio.sleep(1)
        unsure = [id_ for id_, answer in answers.items() if answer in ("Unanswered", "Poisoned")]
        assert len(unsure) == 100
        assert sum(answer == "Poisoned" for answer in answers.values()) == 1
        assert len(store.documents) == 121
        assert hub.ids == list(store.documents)


async def test_a_store_that_does_not_say_what_is_left_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore(*left("x"))

    async def away(call: str) -> None:
        if call == "claim_outbox" and trio.current_time() < 12:
            raise StoreUnavailable("away")

    store.before = away
    async with running(store, hub) as pod:
        await trio.sleep(11)
        assert await pod.post("a") == "a"  # as if the store told it while it would not tell that
        assert hub.told == []
        await trio.sleep(20)
        assert hub.told == [(15.0, "x"), (15.0, "a")]


async def test_what_may_have_been_committed_is_looked_for_before_the_next_change_is_told(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    async with running(store, hub) as pod:
        fuse = iter([True])

        def lost() -> None:
            if next(fuse, False):
                raise RuntimeError("the connection was lost while it committed")

        store.after_write = lost
        assert await pod.post("a") == "Unanswered"
        assert await pod.post("b") == "b"
        await wait_all_tasks_blocked()
        assert hub.ids == ["a", "b"]


async def test_changes_are_told_once_though_their_notes_cannot_be_removed(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()

    async def locked(call: str) -> None:
        if call == "clear_outbox" and trio.current_time() < 200:
            raise StoreUnavailable("locked")

    store.before = locked
    async with running(store, hub) as pod:
        await pod.post("a")
        await trio.sleep(150)
        assert len(store.outbox) == 1
        await trio.sleep(150)
        assert hub.ids == ["a"]
        assert store.outbox == []


async def test_a_collection_that_is_asked_to_stop_commits_and_answers_what_it_has_taken(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    answers: dict[str, str] = {}
    async with running(store, hub) as pod:
        taken = iter(range(1000))
        find = pod.collection.scripts.find

        def stopping(event: Any) -> Any:
            if next(taken) == 4:  # at the second write: three scripts are looked for at each
                pod.cell.request_stop("pod stopping")
            return find(event)

        pod.collection.scripts = cast("Any", type("_", (), {"find": staticmethod(stopping)}))

        async def ask(id_: str) -> None:
            answers[id_] = await pod.post(id_)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(ask, f"d{number}")
            await trio.sleep(1)
            assert sorted(answers) == sorted(answers.values()) == sorted(store.documents)
            assert hub.ids == list(store.documents)
            assert store.outbox == []
            nursery.cancel_scope.cancel()


async def test_writes_that_were_not_begun_when_the_collection_crashed_may_be_tried_again(
    autojump_clock: MockClock,
) -> None:
    store = FakeStore()
    answers: dict[str, str] = {}
    async with running(store, FakeHub()) as pod:
        lookups = iter(range(1000))
        find = pod.collection.scripts.find

        def crashing(event: Any) -> Any:
            if next(lookups) == 6:  # three at each write: the third crashes while two wait
                raise RuntimeError("bug")
            return find(event)

        pod.collection.scripts = cast("Any", type("_", (), {"find": staticmethod(crashing)}))

        async def ask(id_: str) -> None:
            answers[id_] = await pod.post(id_)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(ask, f"d{number}")
        by_answer = sorted(answers.values())
        assert by_answer[:3] == ["503", "503", "Poisoned"]
        assert list(store.documents) == by_answer[3:]


async def test_a_change_that_a_room_would_not_take_is_counted_and_not_repeated(
    autojump_clock: MockClock,
) -> None:
    hub, store = FakeHub(), FakeStore()
    hub.scope = Scope.REJECTED
    async with running(store, hub) as pod:
        await pod.post("a")
        await trio.sleep(200)
        assert hub.ids == ["a"]
        assert pod.cell.statistics().detail == {
            "changes": 1,
            "untold": 1,
            "trouble": "",
            "misfits": [],
        }
        assert store.outbox == []


@pytest.fixture
async def relay() -> tuple[OutboxRelay, FakeStore, FakeHub]:
    store, hub = FakeStore(), FakeHub()
    collection, environment = collection_of(store, hub)
    one = OutboxRelay(collection, environment, lambda _, __: None)
    await one.start()
    return one, store, hub


async def test_who_commits_second_tells_second_however_long_the_first_takes(
    autojump_clock: MockClock, relay: tuple[OutboxRelay, FakeStore, FakeHub]
) -> None:
    one, _, hub = relay
    slow = iter([5.0])

    async def before() -> None:
        await trio.sleep(next(slow, 0.0))

    hub.before = before
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.commit_and_relay, [put("a")])
        await wait_all_tasks_blocked()
        nursery.start_soon(one.commit_and_relay, [put("b")])
    assert hub.ids == ["a", "b"]


async def test_an_update_that_others_may_see_is_told_with_what_was_before_it(
    autojump_clock: MockClock,
) -> None:
    store, hub = FakeStore(), FakeHub()
    collection, environment = collection_of(store, hub)
    collection.definition = Definition("todos", access=Permissions(get=Right.OWNER))
    one = OutboxRelay(collection, environment, lambda _, __: None)
    await one.start()
    for owner, n in (("ada", 1), ("ada", 2), ("ben", 3)):
        await one.commit_and_relay([put("a", ownerId=owner, n=n)])
    assert hub.events == ["created", "updated", "revised"]


async def test_a_script_that_is_ended_between_commit_and_telling_leaves_it_to_the_next_write(
    autojump_clock: MockClock, relay: tuple[OutboxRelay, FakeStore, FakeHub]
) -> None:
    one, _, hub = relay
    slow = iter([100.0])

    async def before() -> None:
        await trio.sleep(next(slow, 0.0))

    hub.before = before
    with trio.move_on_after(1):
        await one.commit_and_relay([put("a")])
    assert hub.ids == []
    await trio.sleep(REPLAY_AFTER)
    await one.commit_and_relay([Write("b", lambda _: document("b"))])
    assert hub.ids == ["a", "b"]
