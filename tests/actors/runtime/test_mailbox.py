"""The mailbox against a plain list, each overflow policy, and who waits for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import trio
import trio.testing
from attrs import frozen, mutable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from deployd.actors import Conflate, Delivery, Mailbox, Overflow, conflate


@frozen
class Note:
    topic: str
    number: int


def drain(mailbox: Mailbox[object]) -> list[object]:
    return [mailbox.pop() for _ in range(len(mailbox))]


def filled(overflow: Overflow, lost: list[tuple[object, str]] | None = None) -> Mailbox[object]:
    on_drop: Callable[[object, str], None] | None = None
    if lost is not None:
        keep = lost

        def on_drop(message: object, reason: str) -> None:
            keep.append((message, reason))

    mailbox: Mailbox[object] = Mailbox(max_messages=2, overflow=overflow, on_drop=on_drop)
    assert mailbox.put_nowait("a")
    assert mailbox.put_nowait("b")
    return mailbox


# -- policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("overflow", [Overflow.FAIL, Overflow.BLOCK])
def test_a_refused_message_is_counted_but_still_the_senders(overflow: Overflow) -> None:
    lost: list[tuple[object, str]] = []
    mailbox = filled(overflow, lost)
    assert mailbox.put_nowait("c") is Delivery.DROPPED
    assert lost == []
    assert mailbox.statistics().dropped == 1
    assert drain(mailbox) == ["a", "b"]


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEWEST, Overflow.DISCONNECT])
def test_the_newest_is_lost_and_reported(overflow: Overflow) -> None:
    lost: list[tuple[object, str]] = []
    mailbox = filled(overflow, lost)
    assert mailbox.put_nowait("c") is Delivery.DROPPED
    assert lost == [("c", "mailbox full")]
    assert mailbox.overflowed is (overflow is Overflow.DISCONNECT)
    assert drain(mailbox) == ["a", "b"]


def test_the_oldest_makes_room_but_signals_stay() -> None:
    lost: list[tuple[object, str]] = []
    mailbox: Mailbox[object] = Mailbox(
        max_messages=9,
        max_bytes=10,
        overflow=Overflow.DROP_OLDEST,
        on_drop=lambda message, reason: lost.append((message, reason)),
    )
    mailbox.put_signal("signal")
    mailbox.put_nowait("a", 4)
    mailbox.put_nowait("b", 4)
    assert mailbox.put_nowait("c", 9) is Delivery.ACCEPTED
    assert lost == [("a", "mailbox full"), ("b", "mailbox full")]
    assert drain(mailbox) == ["signal", "c"]


@pytest.mark.parametrize("overflow", Overflow)
def test_a_signal_waits_its_turn_between_the_messages(overflow: Overflow) -> None:
    mailbox: Mailbox[object] = Mailbox(max_messages=2, overflow=overflow)
    mailbox.put_nowait("a")
    mailbox.put_signal("first")
    mailbox.put_nowait("b")
    mailbox.put_signal("second")
    assert drain(mailbox) == ["a", "first", "b", "second"]


@pytest.mark.parametrize("overflow", [*Overflow, conflate(lambda message: message)])
async def test_a_message_that_never_fits_is_lost_under_every_policy(
    overflow: Overflow | Conflate[object],
) -> None:
    lost: list[tuple[object, str]] = []
    mailbox: Mailbox[object] = Mailbox(
        max_bytes=10,
        overflow=overflow,
        on_drop=lambda message, reason: lost.append((message, reason)),
    )
    mailbox.put_nowait("small", 10)
    assert mailbox.put_nowait("large", 11) is Delivery.DROPPED
    assert await mailbox.put("larger", 12) is Delivery.DROPPED
    assert lost == [("large", "too large"), ("larger", "too large")]
    assert drain(mailbox) == ["small"]


def test_conflation_keeps_the_latest_of_each_key_in_its_old_place() -> None:
    mailbox: Mailbox[Note] = Mailbox(max_messages=2, overflow=conflate(lambda note: note.topic))
    mailbox.put_nowait(Note("gone", 0))
    mailbox.pop()
    for note in (Note("x", 1), Note("y", 2), Note("x", 3)):
        assert mailbox.put_nowait(note) is Delivery.ACCEPTED
    assert mailbox.put_nowait(Note("z", 4)) is Delivery.DROPPED
    assert drain(cast("Mailbox[object]", mailbox)) == [Note("x", 3), Note("y", 2)]
    statistics = mailbox.statistics()
    assert (statistics.accepted, statistics.replaced, statistics.dropped) == (4, 1, 1)
    assert statistics.bytes == 0


def test_conflation_finds_its_place_after_others_were_taken() -> None:
    mailbox: Mailbox[Note] = Mailbox(overflow=conflate(lambda note: note.topic))
    for note in (Note("x", 1), Note("y", 2), Note("z", 3)):
        mailbox.put_nowait(note)
    assert mailbox.pop() == Note("x", 1)
    for note in (Note("y", 4), Note("x", 5)):
        mailbox.put_nowait(note)
    rest = [Note("y", 4), Note("z", 3), Note("x", 5)]
    assert drain(cast("Mailbox[object]", mailbox)) == rest


def test_conflation_does_not_break_the_bound_in_bytes() -> None:
    mailbox: Mailbox[Note] = Mailbox(max_bytes=10, overflow=conflate(lambda note: note.topic))
    mailbox.put_nowait(Note("x", 1), 5)
    mailbox.put_nowait(Note("y", 2), 5)
    assert mailbox.put_nowait(Note("x", 3), 6) is Delivery.DROPPED
    assert mailbox.put_nowait(Note("x", 4), 2) is Delivery.ACCEPTED
    assert mailbox.statistics().bytes == 7


def test_what_is_not_keyed_is_never_replaced() -> None:
    mailbox: Mailbox[str] = Mailbox(overflow=conflate(lambda _: "same"))
    mailbox.put_nowait("a", keyed=False)
    mailbox.put_nowait("b")
    mailbox.put_nowait("c")
    assert drain(cast("Mailbox[object]", mailbox)) == ["a", "c"]


def test_a_mailbox_without_room_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(max_messages=0)


def test_popping_an_empty_mailbox_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Mailbox[object]().pop()


def test_idle_mailboxes_do_not_share_what_comes_later() -> None:
    one: Mailbox[str] = Mailbox()
    other: Mailbox[str] = Mailbox()
    one.put_nowait("for one")
    assert len(other) == 0


# -- waiting for room --------------------------------------------------------------------------


async def test_blocked_senders_are_let_in_in_turn() -> None:
    mailbox = filled(Overflow.BLOCK)
    async with trio.open_nursery() as nursery:
        for message in ("c", "d", "e"):
            nursery.start_soon(mailbox.put, message)
            await trio.testing.wait_all_tasks_blocked()
        assert len(mailbox) == 2
        assert [mailbox.pop() for _ in range(5)] == ["a", "b", "c", "d", "e"]


async def test_nobody_overtakes_a_blocked_sender() -> None:
    mailbox: Mailbox[object] = Mailbox(max_bytes=10, overflow=Overflow.BLOCK)
    mailbox.put_nowait("a", 6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, "large", 8)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.put_nowait("small", 1) is Delivery.DROPPED
        mailbox.pop()
    assert drain(mailbox) == ["large"]


async def test_a_cancelled_sender_leaves_nothing_and_lets_the_next_in(
    autojump_clock: trio.testing.MockClock,
) -> None:
    mailbox: Mailbox[object] = Mailbox(max_bytes=10, overflow=Overflow.BLOCK)
    mailbox.put_nowait("a", 6)
    scope = trio.CancelScope()

    async def give_up() -> None:
        with scope:
            await mailbox.put("large", 8)

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(mailbox.put, "small", 4)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert drain(mailbox) == ["a", "small"]
    assert mailbox.statistics().bytes == 0


async def test_a_sender_let_in_and_cancelled_at_once_is_told_that_it_was_let_in() -> None:
    mailbox = filled(Overflow.BLOCK)
    told: list[Delivery] = []
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def put() -> None:
                told.append(await mailbox.put("c"))

            nursery.start_soon(put)
            await trio.testing.wait_all_tasks_blocked()
            mailbox.pop()
            scope.cancel()
    assert told == [Delivery.ACCEPTED]
    assert drain(mailbox) == ["b", "c"]


async def test_closing_tells_blocked_senders_and_returns_what_waited() -> None:
    mailbox = filled(Overflow.BLOCK)
    mailbox.put_signal("signal")
    told: list[Delivery] = []
    async with trio.open_nursery() as nursery:

        async def put() -> None:
            told.append(await mailbox.put("c"))

        nursery.start_soon(put)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.close() == ["a", "b"]
    assert told == [Delivery.DEAD]
    assert mailbox.put_nowait("d") is Delivery.DEAD
    assert mailbox.put_signal("e") is Delivery.DEAD
    assert await mailbox.put("f") is Delivery.DEAD
    assert len(mailbox) == 0


@pytest.mark.parametrize("overflow", [o for o in Overflow if o is not Overflow.BLOCK])
async def test_putting_where_nothing_ever_blocks_is_a_checkpoint(overflow: Overflow) -> None:
    mailbox: Mailbox[object] = Mailbox(overflow=overflow)
    with trio.testing.assert_checkpoints():
        await mailbox.put("a")
    mailbox.close()
    with trio.testing.assert_checkpoints():
        await mailbox.put("b")


# -- waiting for messages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        lambda mailbox: mailbox.put_nowait("a"),
        lambda mailbox: mailbox.put_signal("a"),
        lambda mailbox: mailbox.wake(),
        lambda mailbox: mailbox.close(),
    ],
    ids=["message", "signal", "wake", "close"],
)
async def test_the_reader_wakes_for(event: Callable[[Mailbox[object]], object]) -> None:
    for early in (True, False):
        mailbox: Mailbox[object] = Mailbox()
        if early:
            event(mailbox)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mailbox.wait)
            await trio.testing.wait_all_tasks_blocked()
            assert bool(nursery.child_tasks) is not early
            if not early:
                event(mailbox)


async def test_a_wake_up_counts_once(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Mailbox[object] = Mailbox()
    mailbox.wake()
    await mailbox.wait()
    with trio.move_on_after(1) as scope:
        await mailbox.wait()
    assert scope.cancelled_caught


async def test_a_second_reader_is_refused() -> None:
    mailbox: Mailbox[object] = Mailbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await mailbox.wait()
        mailbox.wake()


# -- the model ---------------------------------------------------------------------------------


@mutable
class Entry:
    message: Note
    size: int | None  # None: a signal


class MailboxMachine(RuleBasedStateMachine):
    """A list that does what the documentation says, step by step beside the mailbox."""

    @initialize(
        policy=st.sampled_from([*Overflow, "conflate"]),
        max_messages=st.integers(1, 4),
        max_bytes=st.integers(1, 12),
    )
    def open(self, policy: Overflow | str, max_messages: int, max_bytes: int) -> None:
        self.policy = policy
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.model: list[Entry] = []
        self.model_lost: list[Note] = []
        self.lost: list[Note] = []
        self.number = self.accepted = self.popped = self.replaced = self.refused = 0
        self.mailbox: Mailbox[Note] = Mailbox(
            max_messages=max_messages,
            max_bytes=max_bytes,
            overflow=policy if isinstance(policy, Overflow) else conflate(lambda n: n.topic),
            on_drop=lambda message, _: self.lost.append(message),
        )

    def counted(self) -> list[Entry]:
        return [entry for entry in self.model if entry.size is not None]

    def weight(self, entries: list[Entry]) -> int:
        return sum(entry.size or 0 for entry in entries)

    def fits(self, size: int) -> bool:
        counted = self.counted()
        return len(counted) < self.max_messages and self.weight(counted) + size <= self.max_bytes

    def expected(self, note: Note, size: int) -> Delivery:
        if self.policy == "conflate":
            for entry in self.counted():
                if entry.message.topic == note.topic:
                    rest = [other for other in self.counted() if other is not entry]
                    if self.weight(rest) + size <= self.max_bytes:
                        entry.message, entry.size = note, size
                        self.replaced += 1
                        return Delivery.ACCEPTED
                    self.model_lost.append(note)
                    return Delivery.DROPPED
        if size > self.max_bytes:
            self.model_lost.append(note)
            return Delivery.DROPPED
        while self.policy is Overflow.DROP_OLDEST and not self.fits(size):
            oldest = self.counted()[0]
            self.model.remove(oldest)
            self.model_lost.append(oldest.message)
        if self.fits(size):
            self.model.append(Entry(note, size))
            return Delivery.ACCEPTED
        if self.policy in (Overflow.FAIL, Overflow.BLOCK):
            self.refused += 1
        else:
            self.model_lost.append(note)
        return Delivery.DROPPED

    @rule(topic=st.sampled_from("xyz"), size=st.integers(0, 13))
    def put(self, topic: str, size: int) -> None:
        self.number += 1
        note = Note(topic, self.number)
        expected = self.expected(note, size)
        assert self.mailbox.put_nowait(note, size) is expected
        self.accepted += expected is Delivery.ACCEPTED

    @rule()
    def signal(self) -> None:
        self.number += 1
        note = Note("signal", self.number)
        self.model.append(Entry(note, None))
        assert self.mailbox.put_signal(note) is Delivery.ACCEPTED

    @rule()
    def pop(self) -> None:
        if self.model:
            entry = self.model.pop(0)
            self.popped += entry.size is not None
            assert self.mailbox.pop() == entry.message

    @invariant()
    def figures_agree(self) -> None:
        statistics = self.mailbox.statistics()
        counted = self.counted()
        assert len(self.mailbox) == len(self.model)
        assert statistics.waiting == len(counted) <= self.max_messages
        assert statistics.bytes == self.weight(counted) <= self.max_bytes
        assert statistics.high_water >= statistics.waiting
        assert statistics.high_water_bytes >= statistics.bytes
        assert statistics.accepted == self.accepted
        assert statistics.replaced == self.replaced
        assert statistics.dropped == len(self.lost) + self.refused
        assert self.lost == self.model_lost

    def teardown(self) -> None:
        if hasattr(self, "mailbox"):
            assert self.mailbox.close() == [entry.message for entry in self.counted()]


TestMailboxAgainstAList = MailboxMachine.TestCase
TestMailboxAgainstAList.settings = settings(max_examples=60, deadline=None)
