"""What an author's class may be: any names but the offered ones; hooks that are hooks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from deployd.actors import (
    JSON,
    ActorDefinitionError,
    Exit,
    Member,
    Request,
    Room,
    StatePolicy,
    handles,
)
from deployd.actors.rooms.room_actor import RoomActor
from deployd.actors.rooms.roster import ServerEmit
from deployd.transport import Event
from support.rooms import emit, room_of


class Count(Request[int]):
    """Ask how often somebody has spoken."""


def machinery() -> list[str]:
    """List what the actor of a room is made of: methods, and what it remembers."""
    own = {name for base in RoomActor.__mro__ for name in vars(base) if not name.startswith("__")}
    remembered = set(inspect.getclosurevars(RoomActor.__init__).unbound)
    return sorted((own | remembered) - set(dir(Room)))


def test_the_machinery_is_not_an_authors_to_see() -> None:
    names = machinery()
    assert {"_end", "_emit", "_room", "_speech", "around", "held"} <= set(names)
    assert [name for name in dir(Room) if name.startswith("_") and not name.endswith("__")] == [
        "_is_protocol"
    ]


async def test_a_room_whose_author_takes_every_name_of_the_machinery_works() -> None:
    called: list[str] = []

    def trap(name: str) -> Callable[..., None]:
        return lambda *_: called.append(name)

    class Auction(Room[int]):
        def initial_state(self) -> int:
            return 0

        async def on_start(self) -> None:
            vars(self).update({name: trap(name) for name in names})
            self.after(0, self._end)

        async def _end(self) -> None:
            self.broadcast("ended", None)

        async def on_join(self, member: Member) -> None:
            self.state += 1

        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            self.broadcast(event, {"heard": data})

        @handles(Count)
        async def _count(self, message: Count) -> int:
            return self.state

    names = [name for name in machinery() if name not in vars(Auction)]
    for name in names:
        setattr(Auction, name, trap(name))
    async with room_of(Auction, 2) as (room, members, [sink, _]):
        room.ref.tell(emit(members[1], 5))
        room.ref.tell(ServerEmit(Event("room", "said", b"7", "id-1", 0, 0.0)))
        assert await room.ref.ask(Count(), timeout=1) == 2
        await trio.testing.wait_all_tasks_blocked()
        assert sink.said == [("said", {"heard": 5}), ("said", 7)]
    assert called == []


async def test_what_a_room_says_when_it_is_idle_is_heard() -> None:
    class Quiet(Room):
        async def on_idle(self) -> None:
            self.broadcast("quiet", None)

    async with room_of(Quiet, 1) as (room, members, [sink]):
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        assert sink.said == [("said", 1), ("quiet", None)]


async def forgotten_member(self: Room[Any], member: Member) -> None:
    """Take too little."""


async def with_more(self: Room[Any], member: Member, event: str, data: JSON, kept: int = 3) -> None:
    """Take more, and need it not."""


def plain(self: Room[Any], member: Member, event: str, data: JSON) -> None:
    """Be no coroutine."""


async def none(self: Room[Any]) -> None:
    """Take nothing."""


async def yielding(self: Room[Any], member: Member) -> Any:
    """Be a generator."""
    yield member


def logged(hook: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(hook)
    def logging(*args: object) -> Awaitable[None]:
        return hook(*args)

    return logging


@pytest.mark.parametrize(
    ("name", "method", "told"),
    [
        ("on_mesage", with_more, "did you mean `on_message`?"),
        ("on_joined", none, "did you mean `on_join`?"),
        ("authorise_emit", with_more, "did you mean `authorize_emit`?"),
        ("inital_state", plain, "did you mean `initial_state`?"),
        (
            "on_shipwreck",
            none,
            "the hooks are authorize_emit, authorize_join, initial_state",
        ),
        ("authorize_everything", none, "would never be called"),
        ("on_message", plain, "write `async def` before its name"),
        ("on_message", forgotten_member, "write `async def on_message(self, member, event, data)`"),
        ("on_start", forgotten_member, "takes (self, member) and is called with (self)"),
        ("initial_state", none, "write `def` before its name"),
        ("onMessage", with_more, "did you mean `on_message`?"),
        ("OnLeave", with_more, "did you mean `on_leave`?"),
        ("on_join", yielding, "`yield` makes a generator of it"),
        ("on_join", functools.partial(print), "not partial; write a method"),
        ("on_start", None, "not NoneType; write a method"),
        ("on_start", staticmethod(none), "not staticmethod; write a method"),
        ("keep_alife", True, "is no setting of a room; did you mean `keep_alive`?"),
        ("statePolicy", StatePolicy.KEEP, "did you mean `state_policy`?"),
        ("stop_dead_line", 3, "did you mean `stop_deadline`?"),
        ("broadcast", with_more, "is what rooms are offered; give yours another name"),
        ("stop", none, "is what rooms are offered"),
        ("after", 5, "is what rooms are offered"),
        ("state", 0, "is what rooms are offered"),
        ("members", functools.cached_property(repr), "is what rooms are offered"),
        ("name", "tea", "is what rooms are offered"),
    ],
)
def test_what_is_no_hook_is_refused_when_the_class_is_written(
    name: str, method: object, told: str
) -> None:
    with pytest.raises(ActorDefinitionError) as refused:
        type("Auction", (Room,), {name: method})
    assert str(refused.value).startswith(f"Auction.{name} ({__file__}:")
    assert told in str(refused.value)
    with pytest.raises(ActorDefinitionError) as inherited:
        type("Auction", (type("Mixin", (), {name: method}), Room), {})
    assert told in str(inherited.value)


def test_a_hook_of_a_class_that_comes_after_room_would_never_be_called_and_is_refused() -> None:
    mixin = type("Mixin", (), {"on_join": forgotten_member})
    with pytest.raises(ActorDefinitionError, match="write Mixin before it among the bases"):
        type("Auction", (Room, mixin), {})
    type("Auction", (mixin, Room), {})


def test_a_hook_may_be_wrapped_take_more_or_be_inherited_and_a_handler_have_any_name() -> None:
    class Base(Room):
        on_message = with_more
        on_join = logged(forgotten_member)  # type: ignore[assignment] # as authors write
        on_sale = True
        last_name = "Base"

        class OnJoin:
            """Be a class of its own."""

        def _on_message(self) -> None:
            """Be a helper."""

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            """Be one."""

        @handles(Count)
        async def on_count(self, message: Count) -> int:
            return 1

        def once(self) -> None:
            """Be a method of its own."""

    class Derived(Base):
        async def on_leave(self, *given: object) -> None:
            """Be another."""

    assert Derived.on_message is with_more


def test_a_room_says_where_it_may_be_used() -> None:
    class Hasty(Room):
        def __init__(self) -> None:
            self.broadcast("too early", None)

    with pytest.raises(ActorDefinitionError, match="do this in on_start, not in __init__"):
        Hasty()


async def test_an_event_without_a_name_that_can_be_spelt_is_refused_at_the_call() -> None:
    class Loose(Room):
        async def on_message(self, member: Member, event: str, data: JSON) -> None:
            for name in ("half \ud83d", 5, None):
                with pytest.raises(Exception, match="The name of an event is a text") as refused:
                    self.broadcast(name, data)  # type: ignore[arg-type] # what is tried
                assert getattr(refused.value, "code", "") == "not_json"
            self.broadcast("whole", data)

    async with room_of(Loose, 1) as (room, members, [sink]):
        room.ref.tell(emit(members[0], 1))
        await trio.testing.wait_all_tasks_blocked()
        assert sink.said == [("whole", 1)]
