"""Answers that come after the handler has returned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import frozen
from trio.testing import wait_all_tasks_blocked

from deployd.actors import (
    Actor,
    ActorCell,
    ActorRef,
    DeadLetters,
    Exit,
    Later,
    Request,
    Unanswered,
    handles,
)


@frozen
class Buy(Request[str]):
    what: str


@frozen
class Deliver:
    pass


@frozen
class Break:
    pass


class Shop(Actor):
    """Takes orders and answers them all when the lorry comes."""

    attempts = 1

    def __init__(self) -> None:
        self.orders: list[tuple[str, Later[str]]] = []

    @handles(Buy)
    async def buy(self, message: Buy) -> Later[str]:
        later: Later[str] = Later()
        if message.what == "tea":
            later.answer("at once")
        elif message.what == "nothing":
            later.fail(ValueError("we do not sell that"))
        else:
            self.orders.append((message.what, later))
        return later

    @handles(Deliver)
    async def deliver(self, message: Deliver) -> None:
        for what, later in self.orders:
            later.answer(f"one {what}")
            later.answer("another")  # only the first counts

    @handles(Break)
    async def crash(self, message: Break) -> None:
        raise RuntimeError("told to")


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[ActorCell[Any], ActorRef[Any]]]:
    cell: ActorCell[Any] = ActorCell("shop", Shop, dead_letters=DeadLetters())

    async def live() -> None:
        for _ in range(2):  # a supervisor that starts it again once
            try:
                await cell.run(lambda: None)
            except RuntimeError:
                continue

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        yield cell, cell.ref
        nursery.cancel_scope.cancel()


async def test_those_who_ask_wait_until_the_answer_is_given() -> None:
    answers: list[str] = []

    async def ask(ref: ActorRef[Any], what: str) -> None:
        answers.append(await ref.ask(Buy(what), timeout=5))

    async with shop() as (_, ref), trio.open_nursery() as nursery:
        nursery.start_soon(ask, ref, "chair")
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, ref, "table")
        await wait_all_tasks_blocked()
        assert answers == []
        ref.tell(Deliver())
        await wait_all_tasks_blocked()
    assert sorted(answers) == ["one chair", "one table"]  # trio wakes them in any order


async def test_what_is_answered_before_the_handler_returns_goes_out_then() -> None:
    async with shop() as (_, ref):
        assert await ref.ask(Buy("tea"), timeout=5) == "at once"
        with pytest.raises(ValueError, match="do not sell"):
            await ref.ask(Buy("nothing"), timeout=5)


async def test_what_is_owed_at_a_crash_fails_at_once_and_says_that_nobody_knows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def ask(ref: ActorRef[Any]) -> None:
        with pytest.raises(Unanswered, match="may have been done or not"):
            await ref.ask(Buy("chair"), timeout=5)

    async with shop() as (_, ref):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, ref)
            await wait_all_tasks_blocked()
            ref.tell(Break())
        assert trio.current_time() < 5
        assert await ref.ask(Buy("tea"), timeout=5) == "at once"


async def test_an_order_that_nobody_waits_for_is_answered_to_nobody() -> None:
    async with shop() as (cell, ref):
        ref.tell(Buy("chair"))
        ref.tell(Deliver())
        assert await ref.ask(Buy("tea"), timeout=5) == "at once"
        cell.request_stop("over")
        await wait_all_tasks_blocked()
        cell.terminated(Exit.normal())
