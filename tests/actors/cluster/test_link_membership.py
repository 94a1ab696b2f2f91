"""Who is there, who is missing, who is awaited: against a clock that is passed in."""

from __future__ import annotations

from deployd.actors.cluster import Degraded, Healed, OutageCode
from deployd.actors.cluster.membership import FORGOTTEN, MOST_KNOWN, REMEMBERED, Peers
from deployd.transport.brokers import Beat, Miss


def hail(pod: str, word: str = "here", number: int = 1, name: str = "", epoch: int = 1) -> Beat:
    return Beat(pod, epoch, word, number, name=name)


def note(peers: Peers, *pods: str, at: float = 0.0, word: str = "here", number: int = 1) -> None:
    for pod in pods:
        peers.note(Beat(pod, 1, word, number, clock=at), at, 1000.0 + at)


def proven(*pods: str) -> Peers:
    """Return peers that have heard two beats of each of these."""
    peers = Peers("me")
    note(peers, *pods, number=1)
    note(peers, *pods, number=2)
    return peers


def complete(peers: Peers) -> bool:
    return peers.complete


def test_a_replay_waits_for_all_that_were_known() -> None:
    peers = Peers("me")
    note(peers, "me", "a", "b")
    assert len(peers) == 2
    peers.begin(1.0)
    note(peers, "a")
    assert not complete(peers)
    note(peers, "b", word="hello")
    assert complete(peers)
    assert peers.take_owed() == ["b"]


def test_a_replay_waits_for_who_is_heard_and_does_not_hear() -> None:
    peers = proven("a")
    peers.begin(1.0)
    peers.note(Beat("a", 1, number=3, clock=2.0, misses=(Miss("me", 1.0),)), 2.0, 1002.0)
    assert not complete(peers)
    peers.note(Beat("a", 1, number=4, clock=3.0, misses=(Miss("b", 1.0),)), 3.0, 1003.0)
    assert complete(peers)


def test_who_answers_this_pod_hears_it_though_it_misses_what_waits_here() -> None:
    peers = proven("a")
    peers.begin(1.0)
    answer = Beat("a", 1, number=3, clock=2.0, misses=(Miss("me", 1.0),))
    peers.note(answer, 2.0, 1002.0, answers=True)
    assert complete(peers)


def test_who_never_says_that_it_hears_is_counted_and_is_not_missing() -> None:
    peers = proven("a", "b")
    peers.begin(1.0)
    peers.note(Beat("a", 1, number=3, clock=2.0, misses=(Miss("me", 1.0),)), 2.0, 1002.0)
    assert peers.give_up() == 2
    assert complete(peers)
    assert peers.heard == ["a"]


def test_who_said_goodbye_is_not_waited_for() -> None:
    peers = Peers("me")
    note(peers, "a", "b")
    note(peers, "a", word="bye")
    peers.begin(1.0)
    note(peers, "b", word="bye")
    assert complete(peers)
    assert len(peers) == 0


def test_who_does_not_come_back_is_forgotten() -> None:
    peers = proven("a")
    peers.begin(1.0)
    assert peers.give_up() == 1
    assert complete(peers)
    peers.look(1.0 + FORGOTTEN + 0.1, 1010.0)
    assert len(peers) == 0


def test_strangers_that_say_hello_are_bounded_and_push_nobody_out() -> None:
    peers = proven("real")
    for n in range(3000):
        note(peers, f"pod{n}", word="hello")
    assert len(peers) == MOST_KNOWN == 1024
    assert "real" in peers.known
    assert len(peers.take_owed()) <= 1024


def test_a_stranger_that_is_heard_once_is_never_called_missing() -> None:
    peers = Peers("me")
    note(peers, "ghost", word="hello")
    assert peers.look(5.0, 1005.0) == []
    assert len(peers) == 0


def test_who_is_not_heard_is_told_missing_within_three_seconds_and_not_before_two() -> None:
    peers = proven("a", "b")
    note(peers, "b", at=2.0, number=3)
    assert peers.look(2.4, 1002.4) == []
    [told] = peers.look(2.6, 1002.6)
    assert isinstance(told, Degraded)
    assert (told.code, told.missing, told.since) == (OutageCode.PARTITIONED, 1, 999.0)
    assert peers.look(2.7, 1002.7) == []  # once
    assert peers.partition == told
    assert len(peers) == 2  # it is taken to be there for a while


def test_another_that_is_missing_is_told_with_the_time_of_the_first() -> None:
    peers = proven("a", "b")
    note(peers, "b", at=2.0, number=3)
    peers.look(2.6, 1002.6)
    [told] = peers.look(4.6, 1004.6)
    assert isinstance(told, Degraded)
    assert (told.missing, told.since) == (2, 999.0)


def test_a_partition_ends_when_all_are_heard() -> None:
    peers = proven("a")
    peers.look(3.0, 1003.0)
    note(peers, "a", at=30.0, number=9)
    [told] = peers.look(30.1, 1030.1)
    assert isinstance(told, Healed)
    assert (told.code, told.given_up) == (OutageCode.PARTITIONED, 0)
    assert round(told.seconds, 1) == 31.1
    assert peers.partition is None


def test_a_partition_does_not_end_because_time_has_passed() -> None:
    peers = proven("a")
    peers.look(3.0, 1003.0)
    assert peers.look(60.0, 1060.0) == []
    assert len(peers) == 0  # not counted
    assert peers.partition is not None  # and yet not known to be gone


def test_who_stays_away_for_long_is_given_up_and_that_is_said() -> None:
    peers = proven("a")
    peers.look(3.0, 1003.0)
    [told] = peers.look(REMEMBERED + 1.0, 1601.0)
    assert isinstance(told, Healed)
    assert told.given_up == 1


def test_who_says_goodbye_while_it_is_missing_is_gone() -> None:
    peers = proven("a")
    peers.look(3.0, 1003.0)
    note(peers, "a", at=4.0, word="bye")
    [told] = peers.look(4.1, 1004.1)
    assert isinstance(told, Healed)


def test_a_pod_that_comes_under_the_name_of_one_that_is_missing_is_in_its_place() -> None:
    peers = Peers("me")
    for number in (1, 2):
        peers.note(hail("old", number=number, name="ann", epoch=5), 0.0, 1000.0)
    peers.look(3.0, 1003.0)
    peers.note(hail("new", name="ann", epoch=9), 4.0, 1004.0)
    [told] = peers.look(4.1, 1004.1)
    assert isinstance(told, Healed)
    assert list(peers.known) == ["new"]


def test_who_is_replaced_is_seen_by_who_came_last_whatever_their_clocks_say() -> None:
    for old, new in ((5, 9), (9, 5)):
        peers = Peers("me")
        for number in (1, 2):
            peers.note(hail("old", number=number, name="ann", epoch=old), number, 1000.0)
        for number in (1, 2):
            peers.note(hail("new", number=number, name="ann", epoch=new), 3.0 + number, 1004.0)
        [told] = peers.look(5.5, 1005.5)  # its last words may be lost
        assert isinstance(told, Degraded)
        assert told.since == 998.0
        [healed] = peers.look(5.7, 1005.7)
        assert isinstance(healed, Healed)
        assert list(peers.known) == ["new"]


def test_nobody_is_missing_in_whose_place_another_is_as_soon_as_that_says_hello() -> None:
    peers = proven("a")
    for number in (1, 2):
        peers.note(hail("old", number=number, name="ann", epoch=5), 0.0, 1000.0)
    note(peers, "a", at=2.9, number=3)
    peers.look(3.0, 1003.0)
    assert [miss.pod for miss in peers.misses(1003.0)] == ["old"]
    peers.note(hail("new", "hello", name="ann", epoch=9), 3.0, 1003.0)
    assert peers.misses(1003.0) == []


def test_who_is_missed_by_others_is_missed_here_though_never_heard_until_they_miss_it_no_more() -> (
    None
):
    peers = proven("a", "b")
    misses = (Miss("c", 0.4), Miss("me", 1), Miss("a", 1))
    peers.note(Beat("b", 1, number=3, clock=1.0, misses=misses), 1.0, 1001.0)
    note(peers, "a", at=1.0, number=3)
    [told] = peers.look(1.1, 1001.1)
    assert isinstance(told, Degraded)
    assert (told.missing, told.since) == (1, 1000.6)
    assert "c" in told.detail
    assert peers.misses(1003.0) == []  # it is not said on
    note(peers, "a", "b", at=2.0, number=4)
    [healed] = peers.look(2.1, 1002.1)
    assert isinstance(healed, Healed)


def test_who_is_heard_by_others_and_not_here_is_missed_after_a_beat_and_a_half() -> None:
    peers = proven("a")
    peers.note(Beat("a", 1, number=3, clock=1.0, hears=("b", "me")), 1.0, 1001.0)
    assert peers.look(2.4, 1002.4) == []
    peers.note(Beat("a", 1, number=4, clock=2.5, hears=None), 2.5, 1002.5)  # as before
    [told] = peers.look(2.6, 1002.6)
    assert isinstance(told, Degraded)
    assert (told.missing, told.since) == (1, 1001.0)
    assert peers.rumoured == ["b"]
    note(peers, "b", at=2.7)
    [healed] = peers.look(2.8, 1002.8)
    assert isinstance(healed, Healed)


def test_of_whom_others_speak_a_receipt_knows_before_anybody_is_missed() -> None:
    peers = proven("a")
    peers.note(Beat("a", 1, number=3, clock=1.0, hears=("b", "me")), 1.0, 1001.0)
    assert peers.look(1.1, 1001.1) == []
    assert peers.rumoured == ["b"]
    note(peers, "b", at=1.2)
    assert peers.rumoured == []


def test_what_a_frozen_server_kept_of_a_pod_that_is_replaced_makes_it_no_younger() -> None:
    peers = Peers("me")
    for at in (0.0, 1.0, 2.0):
        peers.note(Beat("old", 1, number=1, name="ann", clock=at), at, 1000.0 + at)
    for at in (5.0, 6.0, 7.0):
        peers.note(Beat("new", 2, number=1, name="ann", clock=at), at, 1000.0 + at)
    peers.note(Beat("old", 1, number=2, name="ann", clock=3.0), 7.1, 1007.1)  # when it thaws
    news = []
    for at in (8.0, 9.0, 10.0, 11.0):
        peers.note(Beat("new", 2, number=1, name="ann", clock=at), at, 1000.0 + at)
        news += peers.look(at, 1000.0 + at)
    assert [type(one) for one in news] == [Degraded, Healed]  # its last words may be lost
    assert list(peers.known) == ["new"]


def test_who_was_heard_once_is_missed_where_others_hear_it_and_else_was_nobody() -> None:
    for hears in (("b",), ()):
        peers = proven("a")
        note(peers, "b", at=0.5)
        for at in (1.0, 2.0, 3.0):
            peers.note(Beat("a", 1, number=3, clock=at, hears=hears), at, 1000.0 + at)
        assert len(peers.look(3.2, 1003.2)) == len(hears)
        assert ("b" in peers.known) is bool(hears)


def test_who_has_left_is_not_missed_because_others_did_not_hear_that() -> None:
    peers = proven("a", "c")
    note(peers, "c", word="bye", at=1.0)
    peers.note(Beat("a", 1, number=3, clock=1.0, misses=(Miss("c", 1),)), 1.0, 1001.0)
    assert peers.look(1.1, 1001.1) == []
    note(peers, "c", at=1.2)  # it has not, after all
    note(peers, "c", at=1.3, number=2)
    note(peers, "a", at=3.9, number=4)
    [told] = peers.look(4.0, 1004.0)
    assert isinstance(told, Degraded)


def test_a_pod_that_keeps_events_for_a_replay_is_known_to_have_said_all_until_the_oldest() -> None:
    peers = proven("a")
    peers.note(Beat("a", 1, number=3, clock=5.0, held=2.0), 5.0, 1005.0)
    assert peers.heard == ["a"]
    assert peers.lost(1005.2) == 1002.0


def test_who_came_under_the_name_of_a_missing_pod_is_one_though_it_was_heard_once() -> None:
    peers = Peers("me")
    for number in (1, 2):
        peers.note(hail("old", number=number, name="ann"), 0.0, 1000.0)
    peers.look(3.0, 1003.0)
    peers.note(hail("new", "hello", name="ann"), 3.1, 1003.1)
    assert isinstance(peers.look(3.2, 1003.2)[0], Healed)
    assert isinstance(peers.look(5.8, 1005.8)[0], Degraded)


def test_who_is_there_is_known_when_all_whom_others_hear_are_heard() -> None:
    peers = Peers("me")
    assert not peers.acquainted
    peers.note(Beat("a", 1, number=1, hears=("b", "me")), 0.0, 1000.0)
    assert not peers.acquainted
    note(peers, "b")
    assert peers.acquainted


def test_an_outage_begins_before_what_the_last_beats_have_told_of() -> None:
    peers = proven("a", "b")
    note(peers, "a", at=5.0, number=3)
    note(peers, "b", at=5.6, number=3)
    assert peers.lost(1005.8) == 1004.0
    assert Peers("me").lost(1005.8) == 1005.8
    peers.note(Beat("a", 1, number=4, clock=6.0), 7.5, 1007.5)  # it was 1.5 s late
    peers.note(Beat("b", 1, number=4, clock=7.5), 7.5, 1007.5)
    assert peers.lost(1008.0) == 1005.0


def test_what_a_pod_slept_is_held_against_nobody() -> None:
    peers = proven("a")
    peers.excuse(20.0, 20.5)
    assert peers.look(21.0, 1021.0) == []
    peers.excuse(20.0, 21.0)  # no more than it was: silence begins now
    [told] = peers.look(23.6, 1023.6)
    assert isinstance(told, Degraded)


def test_nobody_is_missing_over_a_link_that_is_gone_and_all_get_time_to_come_back() -> None:
    peers = proven("a")
    [told] = peers.look(3.0, 1003.0)
    assert peers.lost(1003.5) == told.since
    assert peers.partition is None
    peers.begin(6.0)
    assert peers.look(8.0, 1008.0) == []
    assert len(peers.look(8.6, 1008.6)) == 1


def test_beats_that_were_missed_are_noticed_and_asked_for_until_they_are_answered() -> None:
    peers = Peers("me")
    first = peers.note(hail("a", number=4), 0.0, 1000.0)
    assert first is not None
    assert (first.came, first.after) == (True, 0)
    steps = []
    for beat in (
        hail("a", number=5),
        hail("a", number=8),  # 6 and 7 have not come
        hail("a", number=9),
        Beat("a", 1, "here", 9, after=5),  # the answer
        hail("a", number=10),
        Beat("a", 1, "here", 10, after=10),  # a plain one
        Beat("a", 1, "here", 12, after=12),  # which shows that two are missing
    ):
        news = peers.note(beat, 1.0, 1001.0)
        assert news is not None
        steps.append(news.after)
    assert steps == [None, 5, 5, None, None, None, 10]


def test_a_beat_that_was_longer_on_its_way_than_the_fastest_is_late_by_the_difference() -> None:
    peers, late = Peers("me"), []
    for at, clock in ((1.0, 70.9), (2.0, 71.99), (3.8, 73.0), (4.0, 74.0), (5.0, 0.0)):
        news = peers.note(Beat("a", 1, clock=clock), at, 1000.0 + at)
        assert news is not None
        late.append(round(news.late, 3))
    assert late == [0.0, 0.0, 0.79, 0.0, 30.0]


def test_clocks_that_drift_are_compared_anew() -> None:
    peers = Peers("me")
    peers.note(Beat("a", 1, clock=0.0), 0.0, 1000.0)
    for minute in range(1, 4):
        now = minute * 61.0
        news = peers.note(Beat("a", 1, clock=now - 1.0), now, 1000.0 + now)
    assert news is not None
    assert news.late == 0.0


def test_a_beat_of_an_older_life_changes_nothing() -> None:
    peers = Peers("me")
    peers.note(hail("a", epoch=9), 0.0, 1000.0)
    assert peers.note(hail("a", "bye", epoch=3), 1.0, 1001.0) is None
    assert peers.note(hail("a", epoch=3, number=7), 1.0, 1001.0) is None
    assert len(peers) == 1


def test_a_replay_that_waits_for_a_pod_goes_on_to_wait_when_it_is_not_counted_any_more() -> None:
    peers = proven("a")
    peers.begin(1.0)
    peers.look(1.0 + FORGOTTEN + 0.1, 1010.0)
    assert len(peers) == 0
    assert not complete(peers)
    note(peers, "a", at=20.0, number=3)
    assert complete(peers)


def test_a_pod_that_is_back_under_its_name_before_it_was_missed_is_missed_once() -> None:
    peers = Peers("me")
    for number in (1, 2):
        peers.note(hail("old", number=number, name="ann", epoch=5), 0.0, 1000.0)
    for number in (1, 2):
        peers.note(hail("new", number=number, name="ann", epoch=9), 1.0 + number, 1001.0)
    [told] = peers.look(3.5, 1003.5)  # its last words may be lost
    assert isinstance(told, Degraded)
    [healed] = peers.look(3.75, 1003.75)
    assert isinstance(healed, Healed)
    assert list(peers.known) == ["new"]


def test_whom_a_pod_hears_is_as_it_said_last_where_a_beat_says_nothing_of_it() -> None:
    peers = Peers("me")
    for number, hears in enumerate((("b", "me"), None, ("me",), None), 1):
        peers.note(Beat("a", 1, number=number, hears=hears), float(number), 1000.0 + number)
        if number == 2:
            assert peers.known["a"].hears == ("b", "me")
    assert peers.known["a"].hears == ("me",)
