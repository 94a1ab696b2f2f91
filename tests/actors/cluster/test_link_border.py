"""The border to the broker: whatever comes is let in, or counted by what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import orjson
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from deployd.actors import Degraded, Gap, Healed
from deployd.actors.cluster import sequences as sequences_module
from deployd.actors.cluster.counters import Counters
from deployd.actors.cluster.deduplicator import Deduplicator
from deployd.actors.cluster.inbound import OVERHEAD, Inbound
from deployd.actors.cluster.membership import Peers
from deployd.actors.cluster.packing import MOST_BYTES
from deployd.actors.cluster.sequences import Sequences
from deployd.actors.rooms.hub import ChangeType
from deployd.transport import EnvelopeError, EnvelopeFault, Event
from deployd.transport.brokers import (
    DEEPEST,
    MOST_EVENTS,
    AskRooms,
    Beat,
    Probe,
    RoomAnswer,
    RoomQuery,
    Signer,
    ask_rooms,
    beat,
    may_be_said,
    probe,
    room_answer,
    too_deep,
    unpack,
)
from deployd.transport.brokers.contract import EVERYONE, pod_channel, room_channel

SECRET = b"s" * 32
LARGEST = 100_000
ROOM, OWN = room_channel("tea"), pod_channel("me")
EVENT = [1, "pod1-1", "said", {"n": 1}, 1764072000.5, 0, 0]


@define
class Recorder:
    """The pod's rooms, as the border sees them."""

    delivered: list[tuple[str | None, Event]] = field(factory=list)
    told: list[tuple[str | None, int]] = field(factory=list)

    def deliver(self, room: str | None, events: Sequence[Event], nbytes: int) -> int:
        self.delivered += [(room, event) for event in events]
        return 0

    def missed(self, room: str | None, count: int) -> None:
        self.told.append((room, count))

    def gap(self, gap: Gap) -> None:
        raise AssertionError("the border finds holes and leaves it to the link to tell")

    def degraded(self, outage: Degraded) -> None:
        raise AssertionError("a broker's message tells of no outage")

    def healed(self, outage: Healed) -> None:
        raise AssertionError("a broker's message tells of no outage")


class Border:
    """A border on which `tea` and everyone are heard; signed when it has a secret."""

    def __init__(self, *, signed: bool = False) -> None:
        self.rooms, self.counters = Recorder(), Counters()
        seal = Signer("me", 1, [SECRET], 60.0, lambda: 1000.0) if signed else None
        self.deduplicator, self.peers = Deduplicator("me"), Peers("me")
        self.sequences = Sequences()
        heard = {ROOM: "tea", EVERYONE: None}
        self.inbound = Inbound(
            "me",
            self.rooms,
            self.counters,
            self.deduplicator,
            self.sequences,
            lambda: 1000.0,
            heard,
            LARGEST,
            seal,
        )

    def take(self, channel: str, payload: bytes) -> EnvelopeFault | Probe | None:
        """Return the fault that was counted, one at most, or the probe."""
        before = dict(self.counters.refused)
        found = self.inbound.receive(channel, payload)
        if isinstance(found, Beat):
            self.peers.note(found, 1.0, 1000.0)
        if not isinstance(found, Probe):
            found = None
        counted = [one for one in EnvelopeFault if self.counters.refused[one] != before[one]]
        assert sum(self.counters.refused.values()) - sum(before.values()) == len(counted) <= 1
        return counted[0] if counted else found

    @property
    def untouched(self) -> bool:
        """Whether nothing but the count of what was refused has changed."""
        deduplicator = self.deduplicator
        return not (
            self.rooms.delivered
            or len(self.peers)
            or self.sequences.missed
            or deduplicator.duplicates
            or deduplicator.own
            or self.sequences._orders
            or self.counters.received
        )


def hail(word: str, origin: str = "pod1") -> bytes:
    return beat(Beat(origin, 1, word, 3))


def envelope(room: object = "tea", **changes: object) -> bytes:
    whole: dict[str, object] = {"v": 1, "o": "pod1", "e": 1, "r": room, "m": [EVENT], **changes}
    if whole["r"] is None:
        del whole["r"]
    return orjson.dumps({key: value for key, value in whole.items() if value is not ...})


def event(**changes: object) -> bytes:
    fields = dict(zip(["seq", "id", "name", "data", "time", "hops", "rep"], EVENT, strict=True))
    return envelope(m=[list({**fields, **changes}.values())])


# Every field, every wrong kind ---------------------------------------------------------------

KINDS = (
    [None, True, False, 0, -1, 1.5, -0.5, 1e308, -1.7e308, 2**53, 2**63, 2**64 - 1, -(2**63)],
    ["", "x", "x y", "\n", "x" * 65, "x" * 1025, "*", "system:x"],
    [[], {}, [1], {"a": 1}, [[]], [EVENT], ...],
)
WRONG = [value for kind in KINDS for value in kind]
RIGHT: dict[str, list[object]] = {
    "v": [],
    "o": ["x"],
    "e": [0],
    "r": ["x", None, ...],
    "m": [[EVENT]],
    "seq": [],
    "id": ["x", "x y", "\n", "*", "system:x"],
    "name": ["x", "x" * 65],
    "time": [0, 1.5],
    "hops": [0],
    "rep": [0],
}


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("name", RIGHT)
def test_a_field_of_a_wrong_kind_is_refused_and_changes_nothing(name: str, value: object) -> None:
    if any(_same(value, right) for right in RIGHT[name]):
        return
    payload = envelope(**{name: value}) if len(name) == 1 else _event_with(name, value)
    border = Border()
    assert border.take(ROOM, payload) in set(EnvelopeFault)
    assert border.untouched


def _event_with(name: str, value: object) -> bytes:
    if value is ...:
        return envelope(m=[EVENT[:-1]])
    return event(**{name: value})


@pytest.mark.parametrize("kind", ["p", "g", "rooms", "listed"])
@pytest.mark.parametrize("value", [v for v in WRONG if v is not ...], ids=repr)
def test_a_probe_or_greeting_of_a_wrong_kind_is_refused(kind: str, value: object) -> None:
    payload = orjson.dumps({"v": 1, "o": "pod1", kind: value})
    if kind == "p" and isinstance(value, str) and 0 < len(value) <= 64:
        return
    border = Border()
    for channel in (ROOM, EVERYONE, OWN):
        assert border.take(channel, payload) is EnvelopeFault.MALFORMED
    assert border.untouched


@pytest.mark.parametrize("value", [1, 2**53 - 1])
def test_the_largest_numbers_are_taken(value: int) -> None:
    border = Border()
    assert border.take(ROOM, event(seq=value)) is None
    assert border.take(ROOM, envelope(e=value)) is None


def test_what_orjson_would_read_beyond_what_it_writes_is_refused() -> None:
    deep = b'{"v":1,"o":"a","e":1,"r":"tea","m":[[1,"i","x",%b,1,0,0]]}' % (b"[" * 300 + b"]" * 300)
    for payload in (deep, b"[" * 100_000, b'{"v":' * 20_000, b'{"v":1,"o":' + b"9" * 50_000 + b"}"):
        border = Border()
        assert border.take(ROOM, payload) in (EnvelopeFault.MALFORMED, EnvelopeFault.TOO_LARGE)
        assert border.untouched


def nested(levels: int, *, wide: int = 0) -> object:
    inside: object = [[]] * wide or []
    for level in range(levels - 1 - bool(wide)):
        inside = {"a": inside} if level % 2 else [inside]
    return inside


def test_what_a_room_could_not_wrap_and_write_again_is_refused_and_never_said() -> None:
    for data in (nested(DEEPEST), nested(2, wide=1000), nested(DEEPEST, wide=9), "[" * 1000):
        border = Border()
        assert not too_deep(orjson.dumps(data))
        assert border.take(ROOM, event(data=data)) is None
        assert len(border.rooms.delivered) == 1
    for data in (nested(DEEPEST + 1), nested(DEEPEST + 1, wide=9), nested(240)):
        border = Border()
        assert too_deep(orjson.dumps(data))
        assert border.take(ROOM, event(data=data)) is EnvelopeFault.MALFORMED
        assert border.untouched


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["tea", "said", "system:healed", "_dashboard", "collections", "created"]),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from("abid"), inner),
    max_leaves=20,
)
EVENTS = st.lists(st.lists(JSON_VALUES, min_size=6, max_size=8), max_size=3)


@given(
    st.sampled_from([ROOM, EVERYONE, OWN, "room.other", room_channel("collections")]),
    st.fixed_dictionaries(
        {},
        optional={
            "v": st.just(1) | JSON_VALUES,
            "o": st.sampled_from(["pod1", "me"]) | JSON_VALUES,
            "e": st.just(1) | JSON_VALUES,
            "r": st.sampled_from(["tea", "collections"]) | JSON_VALUES,
            "m": EVENTS | st.just([EVENT]) | JSON_VALUES,
            "p": JSON_VALUES,
            "g": st.sampled_from(["hello", "here", "bye"]) | JSON_VALUES,
        },
    ),
)
@settings(max_examples=400, deadline=None)
def test_whatever_comes_nothing_else_is_raised(channel: str, fields: dict[str, object]) -> None:
    payload = orjson.dumps(fields)
    for signed in (False, True):
        border = Border(signed=signed)
        border.take(channel, payload)
        if signed:
            assert border.untouched
            assert border.counters.refused[EnvelopeFault.UNSIGNED] == 1


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_whatever_bytes_come_nothing_is_let_in(payload: bytes) -> None:
    border = Border()
    for channel in (ROOM, EVERYONE, OWN):
        assert border.take(channel, payload) is EnvelopeFault.MALFORMED
    assert border.untouched


# The pods' own voice -------------------------------------------------------------------------

DOCUMENT = {"id": "a"}
CHANGE: dict[str, object] = {"collection": "todos", "type": "created", "data": DOCUMENT}
NO_CHANGES: list[object] = [
    None,
    [],
    DOCUMENT,
    {**CHANGE, "collection": 5},
    {**CHANGE, "type": "deleted"},
    {**CHANGE, "data": None},
    {**CHANGE, "data": {}},
    {**CHANGE, "data": {"id": 5}},
]
NO_DOCUMENTS: list[object] = [None, [], 5, "x", {}, {"id": 5}]
RESERVED: list[tuple[str | None, str, object]] = [
    *((room, "system:degraded", {"reason": "x", "since": 0}) for room in ("tea", None)),
    *((room, "system:healed", {}) for room in ("tea", None)),
    ("tea", "system:", 1),
    ("_dashboard", "snapshot", {}),
    ("_dashboard", "said", {}),
    ("system:news", "said", 1),
    ("system:", "said", 1),
    ("collections", "said", CHANGE),
    ("collections", "system:healed", CHANGE),
    ("collection:todos", "said", DOCUMENT),
    ("collection:todos", "system:healed", DOCUMENT),
    ("collection:", "dropped", DOCUMENT),
]


@pytest.mark.parametrize(("room", "name", "data"), RESERVED)
def test_nobody_on_the_broker_speaks_as_a_pod(room: str | None, name: str, data: object) -> None:
    border = Border()
    raw = [1, "id", name, data, 1.0, 0, 0]
    assert border.take(room_channel(room), envelope(room, m=[raw])) is EnvelopeFault.RESERVED
    assert border.take(room_channel(room), envelope(room, m=[EVENT, raw])) is EnvelopeFault.RESERVED
    assert border.untouched
    assert not may_be_said(room, name)  # so no pod says what no other would take


@pytest.mark.parametrize(
    ("room", "name", "data"),
    [
        *(("collections", "created", data) for data in NO_CHANGES),
        *(("collection:todos", "updated", data) for data in NO_DOCUMENTS),
    ],
)
def test_a_change_of_no_document_is_refused(room: str, name: str, data: object) -> None:
    border = Border()
    payload = envelope(room, m=[[1, "id", name, data, 1.0, 0, 0]])
    assert border.take(room_channel(room), payload) is EnvelopeFault.MALFORMED
    assert border.untouched


@pytest.mark.parametrize("name", get_args(ChangeType))
def test_a_change_of_a_document_passes(name: str) -> None:
    border = Border()
    for room, data in (("collection:todos", DOCUMENT), ("collections", {**CHANGE, "type": name})):
        assert may_be_said(room, name)
        payload = envelope(room, m=[[1, "id", name, data, 1.0, 0, 0]])
        assert border.take(room_channel(room), payload) is None
    assert len(border.rooms.delivered) == 2


@pytest.mark.parametrize(
    ("channel", "payload"),
    [
        (EVERYONE, envelope()),
        (OWN, envelope()),
        (OWN, envelope(None)),
        (ROOM, envelope(None)),
        (ROOM, envelope("other")),
        (ROOM, hail("hello")),
        (pod_channel("pod9"), hail("here")),
        (OWN, ask_rooms(AskRooms("pod1", 1, RoomQuery()))),
        (ROOM, ask_rooms(AskRooms("pod1", 1, RoomQuery()))),
        (EVERYONE, room_answer(RoomAnswer("pod1", 1, []))),
        (ROOM, room_answer(RoomAnswer("pod1", 1, []))),
    ],
)
def test_what_came_to_another_place_is_refused(channel: str, payload: bytes) -> None:
    border = Border()
    assert border.take(channel, payload) is EnvelopeFault.MISPLACED
    assert border.untouched


# Signed --------------------------------------------------------------------------------------

GOOD = {
    "room": (ROOM, envelope()),
    "everyone": (EVERYONE, envelope(None)),
    "hello": (EVERYONE, hail("hello")),
    "bye": (EVERYONE, hail("bye")),
    "here": (OWN, hail("here")),
    "canary": (OWN, probe("me", "nonce")),
    "changes": (
        room_channel("collection:todos"),
        envelope("collection:todos", m=[[1, "id", "created", DOCUMENT, 1.0, 0, 0]]),
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_with_a_secret_every_message_must_be_signed_for_where_it_goes(what: str) -> None:
    channel, payload = GOOD[what]
    now = [1000.0]
    pod = Signer("pod1", 1, [SECRET], 60.0, lambda: now[0])
    stranger = Signer("pod1", 1, [b"x" * 32], 60.0, lambda: now[0])
    border = Border(signed=True)
    elsewhere = pod.sign("room.elsewhere", payload)
    now[0] -= 61
    old = pod.sign(channel, payload)
    now[0] += 122
    early = pod.sign(channel, payload)
    now[0] = 1000.0
    signed = pod.sign(channel, payload)
    for forged, expected in (
        (payload, EnvelopeFault.UNSIGNED),
        (stranger.sign(channel, payload), EnvelopeFault.FORGED),
        (elsewhere, EnvelopeFault.FORGED),
        (signed.replace(b'"v":1', b'"v":2', 1), EnvelopeFault.FORGED),
        (old, EnvelopeFault.STALE),
        (early, EnvelopeFault.STALE),
    ):
        assert border.take(channel, forged) is expected
        assert border.untouched
    assert border.take(channel, signed) not in set(EnvelopeFault)
    assert border.take(channel, signed) is EnvelopeFault.REPLAYED


# Ids that others know ------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["evil", "pod1"])
@pytest.mark.parametrize("epoch", [1, 7])
def test_nobody_silences_an_event_by_saying_its_id_or_number_first(origin: str, epoch: int) -> None:
    border = Border()
    forged = [[n, f"pod1-{n}", "noise", None, 1.0, 0, 0] for n in range(1, 30)]
    assert border.take(ROOM, envelope(o=origin, e=epoch, m=forged)) is None
    for number in range(1, 30):
        real = [number, f"pod1-{number}", "said", {"n": number}, 2.0, 0, 0]
        heard = Event("tea", "said", b'{"n":%d}' % number, f"pod1-{number}", number, 2.0, "pod1")
        assert border.take(ROOM, envelope(m=[real])) is None
        assert border.rooms.delivered[-1] == ("tea", heard)


@pytest.mark.parametrize(
    ("place", "value"), list(enumerate([2, "pod1-2", "cried", {"n": 2}, 1764072000.75]))
)
def test_what_says_something_else_is_no_repetition(place: int, value: object) -> None:
    border = Border()
    other = [value if index == place else given for index, given in enumerate(EVENT)]
    assert border.take(ROOM, envelope(m=[EVENT, other])) is None
    assert len(border.rooms.delivered) == 2
    assert border.deduplicator.duplicates == 0


@pytest.mark.parametrize("marks", [[0, 1], [1, 0], [3, 1]])
def test_what_says_the_same_is_a_repetition_however_it_came(marks: list[int]) -> None:
    border = Border()
    for again in (EVENT, EVENT, [*EVENT[:5], *marks]):
        border.take(ROOM, envelope(m=[again]))
    assert len(border.rooms.delivered) == 1
    assert border.deduplicator.duplicates == 2


# Figures -------------------------------------------------------------------------------------


def test_one_made_up_number_does_not_stand_above_all_that_was_missed() -> None:
    border = Border()
    for number in (1, 2**53 - 1):
        assert border.take(ROOM, event(seq=number, id=f"i{number}")) is None
    assert border.sequences.missed == sequences_module.LONGEST_GAP < 1_000_000


def test_whose_order_is_followed_is_bounded_over_all_rooms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequences_module, "REMEMBERED_ORDERS", 20)
    border = Border()
    sequences = border.sequences
    for number in range(200):
        room = f"room{number % 9}"
        payload = envelope(room, o=f"pod{number}", m=[[1, f"i{number}", "x", 1, 1.0, 0, 0]])
        assert border.take(room_channel(room), payload) is None
        assert sum(len(origins) for origins in sequences._orders.values()) <= 20
        assert sequences._count == sum(len(origins) for origins in sequences._orders.values())
        if number % 17 == 0:
            sequences.forget(room)
    sequences.forget("never heard of")
    assert sequences._count == sum(len(origins) for origins in sequences._orders.values())


# What is too large ---------------------------------------------------------------------------


def sized(nbytes: int) -> str:
    return "x" * (nbytes - 2)


def test_an_event_that_no_clients_buffer_takes_is_declared_and_the_rest_goes_on() -> None:
    border = Border()
    small = [[n, f"i{n}", "said", n, 1.0, 0, 0] for n in (1, 3)]
    large = [2, "i2", "said", sized(LARGEST - 200), 1.0, 0, 0]
    assert border.take(ROOM, envelope(m=[small[0], large, small[1]])) is EnvelopeFault.TOO_LARGE
    assert [heard.sequence for _, heard in border.rooms.delivered] == [1, 3]
    assert border.rooms.told == [("tea", 1)]
    assert border.counters.undelivered == 1
    assert border.sequences.missed == 0  # it is known to have come


@pytest.mark.parametrize(("channel", "room"), [(ROOM, "tea"), (EVERYONE, None)])
def test_a_message_too_large_to_be_read_is_declared_to_its_room(
    channel: str, room: str | None
) -> None:
    border = Border()
    assert border.take(channel, b"{" * (MOST_BYTES + OVERHEAD + 1)) is EnvelopeFault.TOO_LARGE
    assert border.rooms.told == [(room, 1)]
    assert border.untouched


def test_who_has_no_secret_cannot_have_a_room_told_of_anything() -> None:
    border = Border(signed=True)
    assert border.take(ROOM, b"{" * (MOST_BYTES + OVERHEAD + 1)) is EnvelopeFault.UNSIGNED
    assert border.rooms.told == []


def test_what_is_too_large_on_a_channel_of_nobody_is_only_counted() -> None:
    border = Border()
    payload = b"{" * (MOST_BYTES + OVERHEAD + 1)
    assert border.take("room.other", payload) is EnvelopeFault.TOO_LARGE
    assert border.rooms.told == []


def test_more_events_at_once_than_pods_join_are_refused() -> None:
    border = Border()
    assert border.take(ROOM, envelope(m=[EVENT] * (MOST_EVENTS + 1))) is EnvelopeFault.TOO_LARGE
    assert border.untouched


def test_several_large_events_at_once_are_refused_and_declared() -> None:
    border = Border()
    border.inbound._largest = 4 * MOST_BYTES
    large = [[n, f"i{n}", "x", sized(MOST_BYTES // 2), 1.0, 0, 0] for n in range(1, 4)]
    assert border.take(ROOM, envelope(m=large)) is EnvelopeFault.TOO_LARGE
    assert border.rooms.told == [("tea", 3)]
    assert border.untouched
    alone = [9, "i9", "x", sized(3 * MOST_BYTES), 1.0, 0, 0]
    assert border.take(ROOM, envelope(m=[alone])) is None


def test_each_fault_is_logged_ever_less() -> None:
    border = Border()
    with capture_logs() as lines:
        for _ in range(100):
            border.take(ROOM, b"")
            border.take(ROOM, hail("hello"))
    assert [line["dropped"] for line in lines if line["fault"] == "misplaced"] == [
        2**n for n in range(7)
    ]
    assert len(lines) == 2 * 7


def test_the_sentences_name_no_more_than_is_wrong() -> None:
    for payload in (b"", envelope(v=2), envelope(r="system:x"), event(name="system:x")):
        with pytest.raises(EnvelopeError) as caught:
            unpack(payload)
        assert len(str(caught.value)) < 200
