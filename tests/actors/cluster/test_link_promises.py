"""What is owed to those who wait for who has heard: decided without a network."""

from __future__ import annotations

import pytest

from deployd.actors.cluster import listening as listening_module
from deployd.actors.cluster import unsaid as unsaid_module
from deployd.actors.cluster.listening import LAPSE, Listening
from deployd.actors.cluster.membership import Peers
from deployd.actors.cluster.unsaid import Unsaid
from deployd.transport import Event
from deployd.transport.brokers import MOST_LINES, Acks, AskHeard, Beat, Got, Noted, Unattended

ROOM = "bids"


def said(number: int) -> Event:
    return Event(ROOM, "bid", b"1", f"a-{number}", number, 0.0, "a")


class Ear:
    """A pod that hears the pod `a`, and knows which rooms it attends."""

    def __init__(self, *, counts: bool = True) -> None:
        self.peers = Peers("me")
        self.attended: set[str] = set()
        self.listening = Listening(
            self.peers, lambda room: counts, lambda room: room in self.attended
        )
        self.beat(0.0)

    def beat(self, now: float, *pods: str) -> None:
        for pod in pods or ("a",):
            self.peers.note(Beat(pod, 1), now, now)

    def told(self, *numbers: int, room: str = ROOM) -> list[tuple[str, Got]]:
        self.listening.wants("a", room, numbers)
        return self.listening.told(room, [said(number) for number in numbers], 3)

    def ask(self, first: int = 1, last: int = 1) -> list[Got | Unattended]:
        return self.listening.answer("a", AskHeard(ROOM, first, last))


def test_who_asks_of_a_room_in_which_nobody_is_is_promised_to_be_told() -> None:
    ear = Ear()
    assert ear.ask(3, 4) == [Unattended(ROOM, 3, 4, promised=True)]
    assert ear.listening.enters(ROOM, 1.0)
    assert ear.listening.to_say(1.0) == [("a", ROOM)]
    assert ear.listening.to_say(1.1) == []
    assert ear.listening.to_say(1.3) == [("a", ROOM)]  # it is said until it is noted


def test_where_receipts_are_not_counted_nothing_is_promised() -> None:
    ear = Ear(counts=False)
    assert ear.ask() == [Unattended(ROOM, 1, 1, promised=False)]
    assert not ear.listening.enters(ROOM, 1.0)


def test_a_stranger_is_promised_nothing() -> None:
    ear = Ear()
    answer = ear.listening.answer("stranger", AskHeard(ROOM, 1, 1))
    assert answer == [Unattended(ROOM, 1, 1, promised=False)]


def test_promises_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "MOST_PROMISES", 0)
    assert Ear().ask() == [Unattended(ROOM, 1, 1, promised=False)]


def test_the_first_member_waits_until_the_promise_is_noted_to_be_over() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, 1.0)
    ear.listening.is_said("a", ROOM, 7)
    ear.beat(1.5)
    assert ear.listening.owes(ROOM, 1.5)
    assert not ear.listening.noted("a", ROOM, 6)  # of an earlier time
    assert ear.listening.owes(ROOM, 1.5)
    assert ear.listening.noted("a", ROOM, 7)
    assert not ear.listening.owes(ROOM, 1.5)
    assert ear.listening.idle


def test_a_note_before_anything_was_said_is_of_an_earlier_time() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, 1.0)
    assert not ear.listening.noted("a", ROOM, 1000)
    assert ear.listening.owes(ROOM, 1.0)


def test_who_does_not_answer_is_waited_for_until_it_cannot_rely_on_it_any_more() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, 1.0)
    for now in (2.0, 3.0, 4.0, 4.9):
        ear.beat(now)
        assert ear.listening.owes(ROOM, now)
    assert not ear.listening.owes(ROOM, 1.0 + LAPSE)


def test_who_has_been_silent_for_as_long_is_not_waited_for() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, LAPSE - 1)
    assert ear.listening.owes(ROOM, LAPSE - 0.1)
    assert not ear.listening.owes(ROOM, LAPSE)


def test_who_has_gone_is_not_waited_for_nor_told() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, 1.0)
    ear.peers.note(Beat("a", 1, "bye"), 1.0, 1.0)
    assert not ear.listening.owes(ROOM, 1.0)
    assert ear.listening.to_say(1.0) == []
    assert ear.listening.idle


def test_while_somebody_comes_in_nobody_is_there_and_nothing_is_promised() -> None:
    ear = Ear()
    ear.attended.add(ROOM)
    ear.listening.enters(ROOM, 1.0)
    assert ear.ask() == [Unattended(ROOM, 1, 1, promised=False)]
    ear.listening.entered(ROOM)
    assert ear.ask() == []  # it will be told, and acknowledged then


def test_what_was_not_noted_before_the_room_emptied_is_still_promised() -> None:
    ear = Ear()
    ear.ask()
    ear.listening.enters(ROOM, 1.0)
    ear.listening.left(ROOM)
    assert ear.listening.to_say(2.0) == []
    assert ear.listening.enters(ROOM, 3.0)
    assert ear.listening.owes(ROOM, 3.0)


def test_what_is_told_is_acknowledged_in_runs_and_remembered_for_who_asks() -> None:
    ear = Ear()
    ear.attended.add(ROOM)
    got = ear.told(4, 5, 6, 9)
    assert got == [("a", Got(ROOM, 4, 6, 3)), ("a", Got(ROOM, 9, 9, 3))]
    assert ear.listening.told(ROOM, [said(4)], 3) == []  # once
    assert ear.ask(6, 8) == [Got(ROOM, 4, 6, 3)]
    assert ear.ask(7, 8) == []
    assert ear.listening.answer("b", AskHeard(ROOM, 6, 8)) == []


def test_what_its_pod_does_not_want_to_know_is_not_acknowledged() -> None:
    assert Ear().listening.told(ROOM, [said(1)], 3) == []


def test_what_is_to_be_acknowledged_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "MOST_WANTED", 1)
    assert Ear().told(1, 2) == [("a", Got(ROOM, 2, 2, 3))]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "MOST_REMEMBERED", 1)
    ear = Ear()
    ear.attended.add(ROOM)
    ear.told(1)
    ear.told(1, room="another")
    assert ear.ask() == []


# What is to be said -----------------------------------------------------------------------------


def test_all_that_one_pod_is_to_be_told_goes_in_one_message() -> None:
    unsaid = Unsaid("me")
    unsaid.got("a", Got(ROOM, 1, 2, 3))
    unsaid.got("a", Got(ROOM, 3, 3, 3))
    unsaid.got("a", Got(ROOM, 4, 4, 9))
    unsaid.coming("a", "cake")
    unsaid.coming("a", "cake")
    unsaid.noted("b", Noted("cake", 3))
    assert unsaid.take() == [
        ("a", Acks("me", 1, [Got(ROOM, 1, 3, 3), Got(ROOM, 4, 4, 9)], [], ["cake"], [], [])),
        ("b", Acks("me", 2, [], [], [], [Noted("cake", 3)], [])),
    ]
    assert unsaid.take() == []


def test_more_than_a_message_holds_goes_in_several() -> None:
    unsaid = Unsaid("me")
    unsaid.asked("a", [AskHeard(f"room-{n}", 1, 1) for n in range(MOST_LINES + 1)])
    assert [len(said.asked) for _, said in unsaid.take()] == [MOST_LINES, 1]


def test_what_waits_to_be_said_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsaid_module, "MOST_UNSAID", 2)
    monkeypatch.setattr(unsaid_module, "MOST_PODS", 1)
    unsaid = Unsaid("me")
    for n in range(4):
        unsaid.noted("a", Noted(ROOM, n))
        unsaid.noted("b", Noted(ROOM, n))
    [(pod, said)] = unsaid.take()
    assert (pod, len(said.noted)) == ("a", 2)
