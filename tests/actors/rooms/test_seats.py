"""One truth of who is where: only seats write it, and no control message can get lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from deployd.actors import (
    DeadLetters,
    Exit,
    Mailbox,
    Overflow,
    Roster,
    hand_over,
    hand_over_in_turn,
    own_up,
)
from deployd.actors.rooms.roster import RemoteEmits
from deployd.actors.rooms.seat import Seat
from deployd.actors.rooms.standing import Departed, Identified, Knock, Standing
from deployd.actors.runtime.recipient import Recipient
from deployd.transport import Event, Identity, Problem
from support.seats import Desk
from support.sinks import FakeSink

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("actors", "documents", "supervisors", "tools")
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)

NO_REFERENCES = {"farewell.tell", "self._notices.tell", "self.tell"}
"""Methods of that name that leave no message in a mailbox."""


def unread(source: str) -> Iterator[int]:
    """Yield the lines in which a message is left and nobody looks at what became of it."""
    for node in ast.walk(ast.parse(source)):
        call = node.value if isinstance(node, ast.Expr) else None
        call = call.value if isinstance(call, ast.Await) else call
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        name = ast.unparse(call.func)
        if name.endswith((".tell", "ref.send")) and name not in NO_REFERENCES:
            yield getattr(node, "lineno", 0)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_what_becomes_of_a_message_is_read_or_it_is_a_signal(path: Path) -> None:
    assert list(unread((ROOT / path).read_text())) == []


def test_an_outcome_that_nobody_reads_is_noticed() -> None:
    source = "ref.tell(1)\nawait ref.send(1)\nif not ref.tell(1): pass\nref.signal(1)\nx.tell(2)"
    assert list(unread(f"async def f():\n {source.replace(chr(10), chr(10) + ' ')}")) == [2, 3, 6]


OWNED = {"members", "knocking", "leaving", "seats", "_seats", "standing"}


def writes(source: str) -> Iterator[tuple[int, str]]:
    """Yield where something writes who is where."""
    for node in ast.walk(ast.parse(source)):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changes = node.func.attr in ("pop", "clear", "update", "setdefault", "popitem")
            targets = [node.func.value] if changes else []
        for target in targets:
            inner = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(inner, ast.Attribute) and inner.attr in OWNED:
                yield getattr(node, "lineno", 0), ast.unparse(inner)


ALLOWED = {
    ("seat.py", "self.seats"),
    ("member.py", "self.seats"),  # an empty one, and the client's own again
    ("member.py", "now.seats"),
    ("session.py", "self._seats"),  # the client's, under another name
    ("connection.py", "self._env.members"),
    ("connection.py", "env.members"),  # the room of everyone is who is connected
}


def test_only_seats_write_who_is_where() -> None:
    found = {
        (path.name, what)
        for package in ("actors", "documents")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "seat.py"
        for _, what in writes(path.read_text())
        if "cluster" not in path.parts
    }
    assert found - ALLOWED == set()


# The states of a seat --------------------------------------------------------------------------


def room() -> tuple[Roster[Any], Mailbox[Any]]:
    mailbox: Mailbox[Any] = Mailbox(max_messages=1, overflow=Overflow.BLOCK)
    roster: Roster[Any] = Roster(name="room")
    roster.ref = Recipient("room", mailbox, DeadLetters()).ref
    return roster, mailbox


def client(name: str = "ada") -> Desk:
    return Desk(name, Recipient(name, Mailbox(), DeadLetters()).ref, FakeSink())


def user(name: str, expires_at: float | None = None) -> Identity:
    return Identity(name, name, is_root=False, expires_at=expires_at)


async def seat_of(identity: Identity | None = None) -> tuple[Desk, Roster[Any], Seat, Mailbox[Any]]:
    desk, (roster, mailbox) = client(), room()
    desk.member.identity = identity
    seat = desk.knock(roster, 1)
    assert isinstance(mailbox.pop(), Knock)
    return desk, roster, seat, mailbox


async def test_a_full_mailbox_takes_every_control_message() -> None:
    desk, (roster, mailbox) = client(), room()
    assert mailbox.put_nowait("said")
    assert not mailbox.put_nowait("more")
    desk.member.identity = user("ada")
    seat = desk.knock(roster, 1)
    seat.admit()
    seat.identify(user("bob"))
    seat.leave("left")
    mailbox.pop()
    kinds = [type(mailbox.pop()) for _ in range(3)]
    assert kinds == [Knock, Identified, Departed]


async def test_what_a_full_room_did_not_hear_is_owned_up_to_by_one_signal() -> None:
    roster, mailbox = room()
    assert mailbox.put_nowait("said")
    assert roster.ref is not None
    event = Event("tea", "said", b"1", "id", 1, 0.0)
    for _ in range(5):
        assert hand_over(roster.ref, roster, [event, event], 10) == 2
        own_up(roster.ref, roster, 3)
    assert roster.undelivered == 15
    mailbox.pop()
    assert [type(mailbox.pop()) for _ in range(len(mailbox))] == [RemoteEmits]


async def test_of_what_a_room_has_place_for_in_part_nothing_overtakes() -> None:
    roster, mailbox = room()
    roster.takes_batches = False
    assert roster.ref is not None
    events = [Event("tea", "said", b"%d" % n, f"id{n}", n, 0.0) for n in range(4)]
    assert hand_over(roster.ref, roster, events, 40) == 3
    taken: list[object] = []
    async with trio.open_nursery() as nursery:

        async def hand_over_the_rest() -> None:
            assert roster.ref is not None
            left = 3
            while left:
                left = await hand_over_in_turn(roster.ref, roster, events[-left:], 10 * left)

        nursery.start_soon(hand_over_the_rest)
        while len(taken) < 4:
            await trio.testing.wait_all_tasks_blocked()
            taken.append(mailbox.pop())
    assert taken == [RemoteEmits([event], 10) for event in events]


async def test_what_never_finds_place_in_a_room_is_left_at_once() -> None:
    roster, mailbox = room()
    assert roster.ref is not None
    event = Event("tea", "said", b"1", "id", 1, 0.0)
    assert await hand_over_in_turn(roster.ref, roster, [event], 10 * mailbox.max_bytes) == 1
    mailbox.close()
    assert await hand_over_in_turn(roster.ref, roster, [event], 10) == 1


async def test_a_seat_has_one_signal_of_each_kind_in_the_mailbox_however_often_it_changes() -> None:
    _, roster, seat, mailbox = await seat_of(user("ada"))
    seat.admit()
    for n in range(10):
        seat.identify(user(f"user-{n}"))
    assert len(mailbox) == 1
    seat.reconsidered()
    assert seat.user_id == "user-9"
    seat.leave("left")
    seat.leave("left again")
    assert len(mailbox) == 2
    assert roster.present == 0
    assert seat.client_id in roster.members  # until on_leave has had its turn


async def test_a_withdrawn_knock_holds_when_the_client_knocks_again() -> None:
    desk, (roster, mailbox) = client(), room()
    for n in range(5):
        seat = desk.knock(roster, n)
        seat.withdraw(Problem("late", ""))
    assert (len(mailbox), roster.withdrawn) == (1, 1)
    assert desk.told == [("late", n) for n in range(5)]
    desk.knock(roster, 5)
    assert roster.withdrawn == 0
    assert seat.heard()
    assert [reply.id for reply in seat.admit()] == [5]


async def test_a_withdrawn_knock_is_passed_over() -> None:
    desk, roster, seat, _ = await seat_of()
    seat.withdraw(Problem("late", ""))
    assert not seat.heard()
    assert seat.standing is Standing.OUT
    assert (roster.withdrawn, roster.knocking, desk.member.seats) == (0, {}, {})


@pytest.mark.parametrize(
    ("was", "becomes", "doubted"),
    [
        (None, user("ada"), False),
        (user("ada"), user("bob"), True),
        (user("ada"), None, True),
        (user("ada", 1.0), user("ada", 2.0), False),
    ],
)
async def test_who_loses_an_identity_hears_nothing_until_the_room_says_that_it_stays(
    was: Identity | None, becomes: Identity | None, doubted: bool
) -> None:
    desk, roster, seat, _ = await seat_of(was)
    seat.admit()
    seat.identify(becomes)
    assert (seat.standing is Standing.DOUBTED) is doubted
    assert (seat.sink is desk.sink) is not doubted
    roster.sequence += 3
    if seat.reconsidered():
        assert seat.stay() == (3 if doubted else 0)
    assert seat.standing is Standing.IN
    assert seat.sink is desk.sink


async def test_on_leave_is_due_once_and_only_for_those_who_came_in() -> None:
    _, roster, seat, _ = await seat_of()
    seat.admit()
    seat.leave("left")
    assert seat.depart()
    assert not seat.depart()
    assert (roster.members, roster.leaving) == ({}, {})


async def test_a_room_that_ends_vacates_its_seats_and_each_client_is_told() -> None:
    desk, roster, seat, _ = await seat_of()
    seat.admit()
    for one in roster.seats():
        one.end(Exit.normal("over"))
        one.end(Exit.normal("over"))
    assert [known for known, _ in desk.ended] == [seat]
    assert desk.member.rooms == []
