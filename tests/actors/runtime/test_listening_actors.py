"""An actor that waits for something beside its mailbox: called away for whatever there is to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.actors import Actor, ActorCell, DeadLetters, Exit, handles


@frozen
class Note:
    text: str


@frozen
class Overheard:
    text: str


class Eavesdropper(Actor):
    """Hears what is left in `words`, one at a time, whenever nothing is in its mailbox."""

    attempts = 1

    def __init__(self) -> None:
        self.send, self.words = trio.open_memory_channel[str](10)
        self.book: list[str] = []
        self._scope = trio.CancelScope()

    async def listen(self) -> None:
        self.book.append("listens")
        with trio.CancelScope() as self._scope:
            while True:
                self.hear(await self.words.receive())

    def hear(self, word: str) -> None:
        if word == "crash":
            self.blame(Overheard(word))
            raise ValueError("told to")
        if word == "tell":
            self.ref.tell(Note("told itself"))
        self.book.append(word)

    def call_away(self) -> None:
        self._scope.cancel()

    @handles(Note)
    async def note(self, message: Note) -> None:
        self.book.append(message.text)

    async def tick(self) -> None:
        self.book.append("tick")


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[ActorCell[object], Eavesdropper]]:
    listener = Eavesdropper()
    letters = DeadLetters()
    cell: ActorCell[object] = ActorCell("pod/listener", lambda: listener, dead_letters=letters)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cell.run, lambda: None)
        await wait_all_tasks_blocked()
        yield cell, listener
        cell.request_stop()


async def test_it_listens_when_there_is_nothing_to_do_and_is_called_away_by_a_message() -> None:
    async with listening() as (cell, listener):
        listener.send.send_nowait("heard")
        await wait_all_tasks_blocked()
        cell.ref.tell(Note("one"))
        cell.ref.tell(Note("two"))
        await wait_all_tasks_blocked()
        listener.send.send_nowait("heard again")
        await wait_all_tasks_blocked()
    assert listener.book == ["listens", "heard", "one", "two", "listens", "heard again"]


async def test_what_it_leaves_for_itself_calls_it_away_too() -> None:
    async with listening() as (_, listener):
        listener.send.send_nowait("tell")
        await wait_all_tasks_blocked()
    assert listener.book == ["listens", "tell", "told itself", "listens"]


async def test_a_timer_that_is_due_ends_the_listening(autojump_clock: MockClock) -> None:
    async with listening() as (cell, listener):
        listener.after(5, listener.tick)
        await trio.sleep(6)
        assert listener.book == ["listens", "listens", "tick", "listens"]  # anew with the timer
        assert cell.idle


async def test_an_actor_that_cannot_be_called_away_has_its_listen_to_itself() -> None:
    class Radio(Actor):
        heard = 0

        async def listen(self) -> None:
            self.heard += 1

        @handles(Note)
        async def note(self, message: Note) -> None:
            await self.listen()

    radio, letters = Radio(), DeadLetters()
    cell: ActorCell[object] = ActorCell("pod/radio", lambda: radio, dead_letters=letters)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cell.run, lambda: None)
        cell.ref.tell(Note("on"))
        await wait_all_tasks_blocked()
        cell.request_stop()
    assert radio.heard == 1


async def test_a_stop_ends_it() -> None:
    async with listening() as (cell, listener):
        cell.request_stop("enough")
    assert listener.book == ["listens"]


async def test_what_it_crashes_on_is_set_aside_as_a_message_is() -> None:
    listener, letters = Eavesdropper(), DeadLetters()
    cell: ActorCell[object] = ActorCell("pod/listener", lambda: listener, dead_letters=letters)
    listener.send.send_nowait("crash")
    with structlog.testing.capture_logs(), pytest.raises(ValueError, match="told to"):
        await cell.run(lambda: None)
    cell.terminated(Exit.normal())
    assert (cell.poison, cell.crashed_on) == (
        (("Overheard", "ValueError: told to"),),
        {"message": "Overheard"},
    )
    assert letters.statistics().by_reason == {"poison": 1}
