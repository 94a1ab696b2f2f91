"""Who has heard an emit: decided without a network, the clock passed in."""

from __future__ import annotations

import pytest

from deployd.actors.cluster import hearing as hearing_module
from deployd.actors.cluster.hearing import ACQUAINTED, FRESH, PATIENCE, Reached, Receipts, Waiting
from deployd.actors.cluster.membership import Peers
from deployd.transport import Outcome, Reach, Scope
from deployd.transport.brokers import Acks, AskHeard, Beat, Got, Miss, Unattended

ROOM = "bids"
BEGAN = 100.0


class Desk:
    """A pod that knows others, all of which it hears, and says things in a room."""

    def __init__(self, *others: str) -> None:
        self.peers = Peers("me")
        self.receipts = Receipts(self.peers)
        self.now = BEGAN
        self.receipts.connected(self.now)
        self.told: dict[int, list[Outcome]] = {}
        self.waiting: dict[int, Waiting] = {}
        self.others = others
        self.pass_by(ACQUAINTED)
        self.questions()

    def pass_by(self, seconds: float, *silent: str) -> None:
        """Let time go by, in which the others beat, but those that are silent."""
        end = self.now + seconds
        while self.now < end - 1e-6:
            self.now = min(end, self.now + 0.25)
            for other in self.others:
                if other not in silent:
                    self.peers.note(Beat(other, 1), self.now, self.now)
            self.peers.look(self.now, self.now)
            self.settle(self.receipts.look(self.now))

    def say(self, number: int, *, taken: bool = True) -> None:
        outcomes = self.told.setdefault(number, [])
        waiting = self.waiting[number] = Waiting(outcomes.append)
        self.receipts.begin(waiting, ROOM, number, self.now)
        if taken:
            self.taken(number)

    def taken(self, number: int, scope: Scope = Scope.CLUSTER) -> None:
        self.settle(self.receipts.taken(self.waiting[number], scope, self.now))

    def got(self, pod: str, first: int, last: int = 0, members: int = 1) -> None:
        self.hears(Acks(pod, 1, got=[Got(ROOM, first, last or first, members)]))

    def nobody(self, pod: str, first: int, *, promised: bool = True) -> None:
        self.hears(Acks(pod, 1, nobody=[Unattended(ROOM, first, first, promised)]))

    def hears(self, said: Acks) -> None:
        self.settle(self.receipts.hears(said, self.now))

    def questions(self) -> dict[str, list[AskHeard]]:
        return self.receipts.take_questions()

    def outcome(self, number: int) -> Outcome | None:
        outcomes = self.told[number]
        assert len(outcomes) <= 1, outcomes
        return outcomes[0] if outcomes else None

    @staticmethod
    def settle(reached: list[Reached]) -> None:
        for tell, outcome in reached:
            tell(outcome)


def test_an_emit_waits_for_the_broker_and_for_each_pod_that_is_known() -> None:
    desk = Desk("a", "b")
    desk.say(1, taken=False)
    desk.got("a", 1, members=3)
    desk.taken(1)
    assert desk.outcome(1) is None
    desk.got("b", 1, members=4)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 2, 2, 7)
    assert len(desk.receipts) == 0


def test_who_is_alone_waits_for_nobody() -> None:
    desk = Desk()
    desk.say(1)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 0, 0, 0)


def test_whoever_acknowledges_twice_is_counted_once() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.got("a", 1, members=3)
    desk.got("a", 1, members=3)
    assert desk.outcome(1) is None
    desk.got("b", 1)
    desk.got("b", 1)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 2, 2, 4)


def test_one_acknowledgement_is_of_all_events_between_its_numbers_and_of_no_other() -> None:
    desk = Desk("a")
    for number in range(1, 6):
        desk.say(number)
    desk.got("a", 2, 4)
    assert [desk.outcome(n) is not None for n in range(1, 6)] == [False, True, True, True, False]
    desk.got("a", 1, 2**53 - 1)  # longer than there are events
    assert all(desk.outcome(n) == Reach(Scope.CLUSTER, 1, 1, 1) for n in range(1, 6))


def test_an_acknowledgement_of_another_room_or_of_what_nobody_waits_for_changes_nothing() -> None:
    desk = Desk("a")
    desk.say(7)
    desk.hears(Acks("a", 1, got=[Got("cake", 7, 7, 1), Got(ROOM, 1, 6, 1)]))
    assert desk.outcome(7) is None


def test_who_does_not_acknowledge_in_time_has_not_heard() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.got("a", 1)
    desk.pass_by(PATIENCE - 0.5)
    assert desk.outcome(1) is None
    desk.pass_by(0.5)
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 1, 2, 1)
    desk.got("b", 1)  # too late, and told already
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 1, 2, 1)


def test_what_the_broker_takes_late_is_told_when_it_has_taken_it() -> None:
    desk = Desk("a")
    desk.say(1, taken=False)
    desk.pass_by(PATIENCE + 1)
    assert desk.outcome(1) is None
    desk.taken(1)
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 0, 1, 0)


@pytest.mark.parametrize("scope", [Scope.LOCAL, Scope.QUEUED])
def test_what_the_link_does_not_bring_to_others_waits_for_nobody(scope: Scope) -> None:
    desk = Desk("a")
    desk.say(1, taken=False)
    desk.taken(1, scope)
    desk.got("a", 1)
    assert desk.outcome(1) == scope
    assert len(desk.receipts) == 0


def test_what_is_in_doubt_and_was_heard_is_not_called_local() -> None:
    desk = Desk("a", "b")
    desk.say(1, taken=False)
    desk.got("a", 1)
    desk.taken(1, Scope.LOCAL)
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 1, 2, 1)


def test_who_is_not_known_is_asked_at_once_and_who_is_late_again_and_again() -> None:
    desk = Desk("a")
    desk.say(1)
    assert desk.questions() == {"a": [AskHeard(ROOM, 1, 1)]}
    desk.got("a", 1)
    desk.say(2)
    assert desk.questions() == {}  # it acknowledges by itself
    for _ in range(4):
        desk.pass_by(0.25)
        assert desk.questions() == {"a": [AskHeard(ROOM, 2, 2)]}


def test_events_that_follow_each_other_are_asked_about_in_one() -> None:
    desk = Desk("a")
    for number in (1, 2, 3, 7):
        desk.say(number)
    assert desk.questions() == {"a": [AskHeard(ROOM, 1, 3), AskHeard(ROOM, 7, 7)]}


def test_a_promise_holds_until_somebody_comes() -> None:
    desk = Desk("a")
    desk.say(1)
    desk.nobody("a", 1)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 0, 0, 0)
    desk.say(2)
    assert desk.outcome(2) == Reach(Scope.CLUSTER, 0, 0, 0)
    desk.hears(Acks("a", 2, coming=[ROOM]))
    desk.say(3)
    assert desk.outcome(3) is None
    desk.got("a", 3)
    assert desk.outcome(3) == Reach(Scope.CLUSTER, 1, 1, 1)


def test_a_promise_is_of_all_that_waits() -> None:
    desk = Desk("a")
    desk.say(1)
    desk.say(2)
    desk.nobody("a", 1)
    assert desk.outcome(2) == Reach(Scope.CLUSTER, 0, 0, 0)


def test_who_does_not_promise_is_asked_about_the_next() -> None:
    desk = Desk("a")
    desk.say(1)
    desk.say(2)
    desk.nobody("a", 1, promised=False)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 0, 0, 0)
    assert desk.outcome(2) is None
    desk.questions()
    desk.say(3)
    assert desk.questions() == {"a": [AskHeard(ROOM, 3, 3)]}


def test_a_pod_whose_room_has_handled_it_for_nobody_is_not_counted() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.got("a", 1, members=0)
    desk.got("b", 1, members=2)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 1, 1, 2)


def test_who_falls_silent_has_not_heard_whatever_it_promised() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.nobody("a", 1)
    desk.got("b", 1)
    desk.say(2)
    desk.pass_by(0.25, "a", "b")
    assert desk.outcome(2) is None
    desk.pass_by(3, "a", "b")
    assert desk.outcome(2) == Reach(Scope.PARTIAL, 0, 2, 0)
    desk.say(3)  # it is known by now: nobody is waited for
    assert desk.outcome(3) == Reach(Scope.PARTIAL, 0, 2, 0)
    desk.pass_by(1)
    desk.questions()
    desk.say(4)  # they are back, and it has forgotten what they promised
    assert desk.outcome(4) is None
    assert desk.questions().keys() == {"a", "b"}


def test_who_says_goodbye_has_no_members() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.got("a", 1)
    desk.others = ("a",)
    desk.peers.note(Beat("b", 1, "bye"), desk.now, desk.now)
    desk.pass_by(0.25)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 1, 1, 1)


def test_a_pod_that_comes_while_an_emit_waits_is_waited_for_too() -> None:
    desk = Desk("a")
    desk.say(1)
    desk.others = ("a", "b")
    desk.pass_by(0.25)
    desk.questions()
    desk.got("a", 1)
    assert desk.outcome(1) is None
    assert desk.questions() == {"b": [AskHeard(ROOM, 1, 1)]}
    desk.got("b", 1)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 2, 2, 2)


def test_who_is_missed_by_others_and_was_never_heard_here_has_not_heard() -> None:
    desk = Desk("a")
    desk.peers.note(Beat("a", 1, misses=(Miss("b", 3.0),)), desk.now, desk.now)
    desk.peers.look(desk.now, desk.now)
    desk.say(1)
    desk.got("a", 1)
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 1, 2, 1)


def test_a_pod_that_has_just_come_does_not_know_who_is_there() -> None:
    desk = Desk()
    desk.receipts.connected(desk.now)
    desk.say(1)
    assert desk.outcome(1) is None
    desk.pass_by(ACQUAINTED)
    assert desk.outcome(1) == Reach(Scope.CLUSTER, 0, 0, 0)


def test_a_pod_that_slept_has_forgotten_what_it_was_promised() -> None:
    desk = Desk("a")
    desk.say(1)
    desk.nobody("a", 1)
    desk.now += FRESH + 0.1
    desk.say(2)
    assert desk.outcome(2) is None
    assert desk.questions()["a"] == [AskHeard(ROOM, 1, 2)]


def test_a_link_that_is_gone_settles_what_waits_and_forgets_what_was_promised() -> None:
    desk = Desk("a", "b")
    desk.say(1)
    desk.nobody("a", 1)
    desk.say(2, taken=False)
    desk.settle(desk.receipts.lost())
    assert desk.outcome(1) == Reach(Scope.PARTIAL, 0, 1, 0)
    assert desk.outcome(2) is None  # the link has it, and will say
    desk.taken(2, Scope.LOCAL)
    assert desk.outcome(2) == Scope.LOCAL
    desk.receipts.connected(desk.now)
    desk.pass_by(ACQUAINTED)
    desk.questions()
    desk.say(3)
    assert desk.questions().keys() == {"a", "b"}


def test_more_than_can_wait_say_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing_module, "MOST_WAITING", 2)
    desk = Desk("a")
    for number in (1, 2, 3):
        desk.say(number)
    assert desk.outcome(3) == Reach(Scope.PARTIAL, 0, 1, 0)
    desk.got("a", 1, 2)
    assert desk.outcome(2) == Reach(Scope.CLUSTER, 1, 1, 1)


def test_what_is_known_of_rooms_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing_module, "MOST_ROOMS", 1)
    desk = Desk("a")
    desk.say(1)
    desk.nobody("a", 1)
    desk.receipts.begin(Waiting(print), "another", 1, desk.now)
    desk.questions()
    desk.say(2)
    assert desk.questions() == {"a": [AskHeard(ROOM, 2, 2)]}
