"""What one writes: handlers, their inheritance, hooks, timers, and the mistakes one can make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from attrs import frozen

from deployd.actors import (
    Actor,
    ActorCell,
    ActorDefinitionError,
    DeadLetters,
    Exit,
    Request,
    handles,
)


class Animal:
    pass


class Dog(Animal):
    pass


@frozen
class Get(Request[int]):
    pass


class Recorder(Actor):
    def __init__(self) -> None:
        self.log_book: list[str] = []

    @handles(Animal)
    async def animal(self, message: Animal) -> None:
        self.log_book.append(f"animal {type(message).__name__}")


def new_cell(actor: Actor) -> ActorCell[Any]:
    return ActorCell("pod/actor", lambda: actor, dead_letters=DeadLetters())


async def handled_by(actor: Recorder, *messages: object) -> list[str]:
    cell = new_cell(actor)
    for message in messages:
        cell.ref.tell(message)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cell.run, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        cell.request_stop()
    return actor.log_book


async def test_a_handler_takes_subclasses_of_its_message() -> None:
    assert await handled_by(Recorder(), Dog(), Animal()) == ["animal Dog", "animal Animal"]


async def test_the_nearest_class_of_the_message_wins() -> None:
    class Kennel(Recorder):
        @handles(Dog)
        async def dog(self, message: Dog) -> None:
            self.log_book.append("dog")

    assert await handled_by(Kennel(), Dog(), Animal()) == ["dog", "animal Animal"]
    assert await handled_by(Recorder(), Dog()) == ["animal Dog"]


async def test_an_override_needs_no_mark_and_may_call_the_one_it_overrides() -> None:
    class Loud(Recorder):
        async def animal(self, message: Animal) -> None:
            self.log_book.append("loud")
            await super().animal(message)

    assert await handled_by(Loud(), Dog()) == ["loud", "animal Dog"]


async def test_a_subclass_may_handle_the_type_elsewhere_or_the_method_another_type() -> None:
    class Elsewhere(Recorder):
        @handles(Animal)
        async def other(self, message: Animal) -> None:
            self.log_book.append("other")

    class Remarked(Recorder):
        @handles(Dog)
        async def animal(self, message: Animal) -> None:  # type: ignore[override]
            self.log_book.append("only dogs")

    assert await handled_by(Elsewhere(), Dog()) == ["other"]
    assert await handled_by(Remarked(), Dog(), Animal()) == ["only dogs"]


def test_two_handlers_of_one_type_in_a_class_are_a_mistake() -> None:
    with pytest.raises(ActorDefinitionError, match="handles Dog in both one and two"):

        class Torn(Actor):
            @handles(Dog)
            async def one(self, message: Dog) -> None: ...

            @handles(Dog)
            async def two(self, message: Dog) -> None: ...


def test_a_handler_must_be_async_and_its_message_a_class() -> None:
    def plain(self: object, message: Dog) -> None: ...

    with pytest.raises(ActorDefinitionError, match="make it async"):
        handles(Dog)(plain)  # type: ignore[arg-type]
    with pytest.raises(ActorDefinitionError, match="needs a class"):
        handles(Request[int])(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "use", [lambda actor: actor.ref, lambda actor: actor.stop(), lambda actor: actor.log]
)
def test_an_actor_that_is_not_started_has_no_place(use: Callable[[Actor], object]) -> None:
    with pytest.raises(ActorDefinitionError, match="on_start, not in __init__"):
        use(Recorder())


async def test_the_log_names_the_actor() -> None:
    with structlog.testing.capture_logs() as lines:

        class Chatty(Recorder):
            async def on_start(self) -> None:
                self.log.info("hello")
                self.log.info("again")

        await handled_by(Chatty())
    assert [(line["event"], line["actor"]) for line in lines] == [
        ("hello", "pod/actor"),
        ("again", "pod/actor"),
    ]


async def test_the_hooks_come_in_order() -> None:
    class Whole(Recorder):
        async def on_start(self) -> None:
            self.log_book.append("start")

        async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
            self.log_book.append("before")
            await loop()
            self.log_book.append("after")

        async def on_idle(self) -> None:
            self.log_book.append("idle")

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            self.log_book.append(f"stop {exit.kind.value}")

    assert await handled_by(Whole(), Dog(), Dog()) == [
        "start",
        "before",
        "animal Dog",
        "animal Dog",
        "idle",
        "after",
        "stop shutdown",
    ]


async def test_an_actor_may_stop_itself_after_the_current_message() -> None:
    class Once(Recorder):
        async def animal(self, message: Animal) -> None:
            self.stop("enough")
            self.log_book.append("still here")

        async def on_stop(self, exit: Exit) -> None:  # noqa: A002
            self.log_book.append(repr((exit.kind.value, exit.reason)))

    assert await handled_by(Once(), Dog(), Dog()) == ["still here", "('normal', 'enough')"]


# -- timers in a running actor -----------------------------------------------------------------


class Clockwork(Actor):
    def __init__(self) -> None:
        self.ticks: list[float] = []

    async def tick(self) -> None:
        self.ticks.append(trio.current_time())


async def run_for(seconds: float, actor: Actor) -> ActorCell[Any]:
    cell = new_cell(actor)
    with trio.move_on_after(seconds):
        await cell.run(lambda: None)
    return cell


async def test_timers_fire_when_they_are_due(autojump_clock: trio.testing.MockClock) -> None:
    class Timed(Clockwork):
        async def on_start(self) -> None:
            self.every(10, self.tick)
            self.after(15, self.tick)
            self.cancel(self.after(20.5, self.tick))

    actor = Timed()
    await run_for(35, actor)
    assert actor.ticks == pytest.approx([10, 15, 20, 30])


async def test_a_timer_may_be_set_before_the_start(autojump_clock: trio.testing.MockClock) -> None:
    actor = Clockwork()
    actor.after(5, actor.tick)
    await run_for(6, actor)
    assert actor.ticks == pytest.approx([5])


async def test_a_timer_may_cancel_itself_and_stop_the_actor(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Thrice(Clockwork):
        async def on_start(self) -> None:
            self.timer = self.every(1, self.tick)

        async def tick(self) -> None:
            await super().tick()
            if len(self.ticks) == 3:
                self.timer.cancel()
                self.after(10, self.end)

        async def end(self) -> None:
            self.stop("over")

    actor = Thrice()
    await run_for(100, actor)
    assert actor.ticks == pytest.approx([1, 2, 3])
    assert trio.current_time() == pytest.approx(13)


async def test_a_timer_set_by_another_task_of_the_actor_is_noticed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Busy(Clockwork):
        async def around(self, loop: Callable[[], Awaitable[None]]) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.background)
                await loop()

        async def background(self) -> None:
            await trio.sleep(3)
            self.after(2, self.tick)

    actor = Busy()
    await run_for(10, actor)
    assert actor.ticks == pytest.approx([5])


async def test_ticks_missed_in_a_slow_handler_are_skipped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Slow(Clockwork):
        async def on_start(self) -> None:
            self.every(10, self.tick)

        @handles(Dog)
        async def dog(self, message: Dog) -> None:
            await trio.sleep(35)

    actor = Slow()
    cell = new_cell(actor)
    cell.ref.tell(Dog())
    with trio.move_on_after(55):
        await cell.run(lambda: None)
    assert actor.ticks == pytest.approx([35, 40, 50])


async def test_a_busy_mailbox_does_not_starve_timers_nor_a_busy_timer_the_mailbox(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Torn(Clockwork):
        handled = 0

        async def on_start(self) -> None:
            self.after(0, self.tick)

        async def tick(self) -> None:
            await super().tick()
            self.after(0, self.tick)

        @handles(Dog)
        async def dog(self, message: Dog) -> None:
            self.handled += 1
            self.ref.tell(message)
            if self.handled == 500:
                self.stop()

    actor = Torn()
    cell = new_cell(actor)
    cell.ref.tell(Dog())
    await cell.run(lambda: None)
    assert len(actor.ticks) == pytest.approx(500, abs=1)


async def test_timers_die_with_their_incarnation(autojump_clock: trio.testing.MockClock) -> None:
    fired: list[int] = []

    class Reborn(Actor):
        async def on_start(self) -> None:
            incarnation = self.ref.incarnation

            async def tick() -> None:
                fired.append(incarnation)

            self.every(1, tick)
            if incarnation == 1:
                self.after(1.5, self.fail)

        async def fail(self) -> None:
            raise ValueError("a timer that raises crashes its actor")

    cell = ActorCell[Any]("pod/reborn", Reborn, dead_letters=DeadLetters())
    with pytest.raises(ValueError, match="a timer that raises"):
        await cell.run(lambda: None)
    with trio.move_on_after(2.5):
        await cell.run(lambda: None)
    assert fired == [1, 2, 2]
    assert cell.statistics().timers == 0


# -- an `async` that was forgotten -----------------------------------------------------------------


async def why_it_ends(actor: type[Actor]) -> str:
    cell: ActorCell[Any] = ActorCell("pod/forgot", actor, dead_letters=DeadLetters())
    cell.ref.tell(Get())
    with pytest.raises(ActorDefinitionError) as caught:
        with trio.fail_after(10):
            await cell.run(lambda: None)
    return str(caught.value)


async def test_a_hook_or_timer_that_is_not_async_is_named() -> None:
    class Starts(Actor):
        def on_start(self) -> None:  # type: ignore[override]
            """Forget something."""

    class Ticks(Actor):
        async def on_start(self) -> None:
            self.after(0, self.tick)  # type: ignore[arg-type]

        def tick(self) -> None:
            """Forget something."""

    assert "Starts.on_start gave NoneType" in await why_it_ends(Starts)
    assert "Ticks.tick gave NoneType" in await why_it_ends(Ticks)


async def test_a_plain_hook_that_gives_something_to_await_is_as_good() -> None:
    started: list[str] = []

    class Delegates(Actor):
        def on_start(self) -> Awaitable[None]:  # type: ignore[override]
            return self.begin()

        async def begin(self) -> None:
            started.append("begun")
            self.stop()

    cell: ActorCell[Any] = ActorCell("pod/ok", Delegates, dead_letters=DeadLetters())
    await cell.run(lambda: None)
    assert started == ["begun"]
