"""Who is in a room on all pods: pages, changes, what is missed and asked for again."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.actors import Person
from deployd.actors.rooms.pages import SILENT
from deployd.actors.rooms.people import News, People
from deployd.actors.rooms.person import Mention, Mistold, PageWord, merged
from deployd.transport import JSON

PODS = ("a", "b", "c")

Deed = tuple[str, str, int]


def deeds() -> st.SearchStrategy[list[tuple[Deed, bool]]]:
    """Somebody does something on a pod; whether others hear of it at once."""
    deed = st.tuples(
        st.sampled_from(PODS),
        st.sampled_from(("place", "remove", "track", "away")),
        st.integers(0, 5),
    )
    return st.lists(st.tuples(deed, st.booleans()), max_size=40)


class Pods:
    """Three pods of which each hears what the others say, unless it is lost."""

    def __init__(self) -> None:
        self.people = {pod: People(pod, number) for number, pod in enumerate(PODS)}
        self.now = 0.0

    def do(self, deed: Deed) -> None:
        pod, what, number = deed
        client, people = f"{pod}{number}", self.people[pod]
        self.now += 1
        if what == "place":
            people.place(client, f"user{number % 3}", f"name{number}", self.now)
        elif what == "remove":
            people.remove(client)
        elif what == "track":
            people.track(client, {"at": self.now}, self.now)
        else:
            people.away(client, away=bool(number % 2))

    def say(self, *, lost: bool) -> None:
        for pod, people in self.people.items():
            self._told(pod, people.changes(), lost=lost)

    def settle(self) -> None:
        """Let all ask and answer, with nothing lost."""
        for _ in range(4):
            for pod, people in self.people.items():
                self._told(pod, [*people.changes(), people.question(self.now)], lost=False)
            for pod, people in self.people.items():
                self._told(pod, people.answers(), lost=False)

    def _told(self, pod: str, words: list[PageWord], *, lost: bool) -> None:
        for said in words:
            read = PageWord.read(json_of(said))
            assert read == said
            for other, people in self.people.items():
                if other != pod and not lost:
                    people.hear(pod, read)

    def known(self) -> list[dict[str, Person]]:
        return [{one.user: one for one in people} for people in self.people.values()]


def json_of(said: PageWord) -> JSON:
    told: JSON = orjson.loads(said.encode())
    return told


def shown(news: News, there: dict[str, Person]) -> None:
    """Keep a list as a client does."""
    for person in (*news.came, *news.changed):
        there[person.user] = person
    for person in news.went:
        del there[person.user]


@settings(max_examples=200, deadline=None)
@given(deeds())
def test_whatever_is_lost_all_pods_know_the_same_people_once_they_have_asked(
    happened: list[tuple[Deed, bool]],
) -> None:
    pods = Pods()
    there: dict[str, Person] = {}
    for deed, lost in happened:
        pods.do(deed)
        pods.say(lost=lost)
        shown(pods.people["a"].news(), there)

    pods.settle()
    shown(pods.people["a"].news(), there)

    first, *others = pods.known()
    assert all(other == first for other in others)
    assert there == first


@given(st.lists(st.tuples(st.sampled_from(("place", "remove")), st.integers(0, 3)), max_size=20))
def test_whoever_has_left_is_there_for_nobody(happened: list[tuple[str, int]]) -> None:
    pods = Pods()
    inside: set[int] = set()
    for what, number in happened:
        pods.do(("a", what, number))
        inside = inside | {number} if what == "place" else inside - {number}

    pods.settle()

    users = {f"user{number % 3}" for number in inside}
    assert all({*known} == users for known in pods.known())


def test_a_change_is_told_once_and_nothing_that_was_taken_back_before_it_was_said() -> None:
    people = People("a", 1)
    people.place("tab", "ann", "Ann", 5.0)
    people.remove("tab")

    assert people.changes() == []
    assert not people.news()


def test_several_tabs_are_one_person_who_stays_until_the_last_is_gone() -> None:
    people = People("a", 1)
    people.place("tab1", "ann", "Ann", 5.0)
    people.place("tab2", "ann", "Ann", 9.0)

    assert list(people) == [Person("ann", "Ann", 5.0, 2)]
    people.remove("tab1")
    assert people.of("ann") == Person("ann", "Ann", 5.0, 1)
    people.remove("tab2")
    assert people.of("ann") is None


def test_of_what_pods_track_of_one_person_the_newest_counts_and_all_choose_the_same() -> None:
    old = Mention("Ann", 5.0, 5.0, 1, False, {"seat": 1})
    new = Mention("Ann", 7.0, 8.0, 2, True, {"seat": 2})

    assert merged("ann", {"a": old, "b": new}) == Person("ann", "Ann", 5.0, 3, False, {"seat": 2})
    assert merged("ann", {"b": new, "a": old}) == merged("ann", {"a": old, "b": new})


def test_who_is_somebody_else_now_is_not_two() -> None:
    people = People("a", 1)
    people.place("tab", "tab", "tab", 5.0)
    people.place("tab", "ann", "Ann", 6.0)

    assert [person.user for person in people] == ["ann"]


def test_a_page_of_which_a_change_is_missing_is_asked_for_and_taken_whole() -> None:
    pods = Pods()
    pods.do(("a", "place", 1))
    pods.say(lost=True)
    pods.do(("a", "place", 2))
    (change,) = pods.people["a"].changes()

    assert pods.people["b"].hear("a", change)
    assert not pods.people["b"].hear("a", change)  # it is asked for already
    assert list(pods.people["b"]) == []
    pods.people["a"].hear("b", pods.people["b"].question(0.0))
    for said in pods.people["a"].answers():
        pods.people["b"].hear("a", said)
    assert len(pods.people["b"]) == 2
    assert not pods.people["b"].behind


def test_a_page_of_many_comes_in_parts_and_counts_when_all_have_come() -> None:
    here, there = People("a", 1), People("b", 2)
    for number in range(1000):
        here.place(f"tab{number}", f"user{number}", "somebody", 1.0)
    assert len(here.changes()) > 1
    here.hear("b", there.question(0.0))
    *parts, last = here.answers()

    for part in parts:
        there.hear("a", part)
    assert len(there) == 0
    there.hear("a", last)
    assert len(there) == 1000


def test_a_room_that_was_closed_and_opened_again_has_none_of_those_before() -> None:
    other = People("b", 1)
    before, after = People("a", 1), People("a", 2)
    before.place("tab1", "ann", "Ann", 1.0)
    after.place("tab2", "ben", "Ben", 2.0)

    for said in (*before.changes(), *after.changes()):
        other.hear("a", said)
    for said in before.changes():
        other.hear("a", said)

    assert [person.user for person in other] == ["ben"]


def test_who_is_on_a_pod_that_is_not_counted_is_not_there() -> None:
    pods = Pods()
    pods.do(("a", "place", 1))
    pods.do(("b", "place", 1))
    pods.settle()
    people = pods.people["c"]
    assert [person.connections for person in people] == [2]

    people.count_only(frozenset({"b"}))
    assert [person.connections for person in people] == [1]
    people.count_only(frozenset())
    assert list(people) == []


def test_a_pod_that_says_nothing_to_question_after_question_has_no_such_room() -> None:
    pods = Pods()
    pods.do(("a", "place", 1))
    pods.settle()
    people = pods.people["b"]

    people.question(10.0)
    people.question(9.9 + SILENT)
    assert people.behind
    assert len(people) == 1
    people.question(10.0 + SILENT)
    assert len(people) == 0
    assert not people.behind


def test_people_without_number_are_not_taken_from_other_pods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deployd.actors.rooms.pages.MOST_PEOPLE", 3)
    here, there = People("a", 1), People("b", 2)
    for number in range(5):
        here.place(f"tab{number}", f"user{number}", "", 1.0)

    for said in here.changes():
        there.hear("a", said)

    assert len(there) == 3
    assert there.overfull == 2


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"v": 1},
        {"v": [1]},
        {"v": [1, -1]},
        {"v": [1, True]},
        {"v": [1, 1], "p": []},
        {"v": [1, 1], "p": {"ann": 1}},
        {"v": [1, 1], "p": {"ann": ["Ann", 1, 1, 1, 0]}},
        {"v": [1, 1], "p": {"ann": ["Ann", "1", 1, 1, 0, {}]}},
        {"v": [1, 1], "p": {"ann": ["Ann", 1, 1, 0, 0, {}]}},
        {"v": [1, 1], "p": {"ann": ["Ann", 1, 1, True, 0, {}]}},
        {"v": [1, 1], "p": {"ann": ["x" * 1025, 1, 1, 1, 0, {}]}},
        {"v": [1, 1], "p": {"ann": ["Ann", 1, 1, 1, 0, []]}},
        {"v": [1, 1], "p": {}, "part": [1, 1]},
        {"v": [1, 1], "p": {}, "part": [1, 4097]},
        {"v": [1, 1], "has": []},
        {"v": [1, 1], "has": {"a": 1}},
    ],
    ids=str,
)
def test_what_pods_do_not_tell_is_refused(told: JSON) -> None:
    with pytest.raises(Mistold):
        PageWord.read(told)


def test_who_is_asked_and_has_nothing_new_says_a_word() -> None:
    pods = Pods()
    pods.do(("a", "place", 1))
    pods.settle()
    people = pods.people["a"]

    people.hear("b", pods.people["b"].question(0.0))
    assert people.answers() == [PageWord(people.version)]
    assert people.answers() == []


def test_whoever_comes_when_all_have_gone_is_told_everything_anew() -> None:
    people = People("a", 1)
    people.place("tab1", "ann", "Ann", 1.0)
    people.hear("b", PageWord((1, 1), {"ben": Mention("Ben", 1.0, 1.0, 1, False, {})}))
    assert len(people.news().came) == 2
    people.remove("tab1")
    people.nobody_listens()
    people.place("tab2", "eve", "Eve", 2.0)

    assert [person.user for person in people.told("tab2")] == ["eve"]
    assert {person.user for person in people.news().came} == {"ben", "eve"}
