"""What goes over a broker: channels that mean nothing to it, envelopes that survive anybody."""

from __future__ import annotations

import contextlib
import re

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.transport import EnvelopeError, Event
from deployd.transport.brokers import (
    AskEcho,
    AskSince,
    Beat,
    Envelope,
    Mark,
    Miss,
    Probe,
    ask_echo,
    ask_since,
    beat,
    pack,
    probe,
    unpack,
)
from deployd.transport.brokers.contract import EVERYONE, pod_channel, room_channel

SAFE = re.compile(r"(room|pod|all)\.[A-Za-z0-9_=-]+")
HOSTILE = ["*", ">", ".", "#", "{}", "a.b.>", "a\r\nPUB x", "", "=", "=-", "=2A", "x" * 5000]
HOSTILE += ["漢" * 300, "\ud800", "a b", "{tag}", "room.a", "-", "_"]


@given(st.sets(st.text(max_size=200), min_size=2, max_size=20))
@settings(max_examples=60, deadline=None)
def test_different_rooms_have_different_channels(names: set[str]) -> None:
    channels = {room_channel(name) for name in names}
    assert len(channels) == len(names)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_channel_means_nothing_to_any_broker(name: str) -> None:
    for channel in (room_channel(name), pod_channel(name)):
        assert len(channel.encode()) <= 200
        if name:
            assert SAFE.fullmatch(channel), channel


def test_channels_of_hostile_names_differ_from_each_other_and_from_other_kinds() -> None:
    rooms = {room_channel(name) for name in HOSTILE}
    pods = {pod_channel(name) for name in HOSTILE}
    assert len(rooms) == len(pods) == len(set(HOSTILE))
    assert not rooms & pods
    assert EVERYONE not in rooms | pods
    hashed = room_channel("x" * 5000)
    assert room_channel(hashed.removeprefix("room.")) != hashed


NAMES = st.text(alphabet="abcXYZ019_-.:/@#+~=äß漢क", min_size=1, max_size=40)
IDS = st.text(min_size=1, max_size=64).filter(lambda s: s.isprintable())
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
).filter(lambda data: "\\ud" not in repr(data))
EVENTS = st.tuples(
    st.integers(1, 2**53 - 1),
    IDS,
    NAMES,
    DATA,
    st.floats(0, 2e9),
    st.integers(0, 8),
    st.integers(0, 1),
)


@given(st.none() | NAMES, st.lists(EVENTS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_what_is_packed_comes_out_the_same(
    room: str | None, events: list[tuple[int, str, str, object, float, int, int]]
) -> None:
    raw = [
        (seq, id_, name, orjson.Fragment(orjson.dumps(data)), time, hops, replayed)
        for seq, id_, name, data, time, hops, replayed in events
    ]
    message = unpack(pack("pod1", 1764072000123, room, raw))
    assert isinstance(message, Envelope)
    assert (message.origin, message.epoch, message.room) == ("pod1", 1764072000123, room)
    for heard, said in zip(message.events, events, strict=True):
        assert (heard.sequence, heard.id, heard.name) == said[:3]
        assert orjson.loads(heard.encoded) == said[3]
        assert (heard.time, heard.hops, heard.replayed) == said[4:]
        assert (heard.room, heard.origin) == (room, "pod1")


def test_probes_beats_and_questions_come_out_the_same() -> None:
    assert unpack(probe("pod1", "nonce")) == Probe("pod1", "nonce")
    said = Beat(
        "pod1",
        7,
        "hello",
        3,
        2.5,
        "ann",
        "1.0",
        "NX-1",
        120,
        14,
        0.25,
        ("pod2", "pod3"),
        (Miss("pod4", 3.2),),
        81.5,
        2.4,
        7.5,
        2,
        (Mark("tea", 1, 4, 0.82, 0.015), Mark(None, 2, 2, 0.0, 0.0)),
    )
    assert unpack(beat(said)) == said
    assert unpack(beat(evolve(said, hears=None))) == evolve(said, hears=None)
    assert unpack(ask_since("pod1", 12)) == AskSince("pod1", 12)
    asked = AskEcho("pod1", "f00d", ("room.tea", "all.pods"))
    assert unpack(ask_echo("pod1", "f00d", asked.channels)) == asked


@pytest.mark.parametrize("named", [7, None, ["pod2"], {}, "x" * 65])
def test_a_beat_that_hears_what_is_no_pod_is_refused(named: object) -> None:
    message = orjson.loads(beat(Beat("pod1", 7, hears=("pod2",))))
    message["b"]["h"].append(named)
    with pytest.raises(EnvelopeError, match="no pod"):
        unpack(orjson.dumps(message))


EVENT = [7, "id-1", "said", {}, 1764072000.5, 0, 0]


def envelope(**changes: object) -> bytes:
    whole = {"v": 1, "o": "pod1", "e": 1, "r": "tea", "m": [EVENT]}
    return orjson.dumps({key: value for key, value in {**whole, **changes}.items() if value != ...})


def event(**changes: object) -> bytes:
    fields = dict(zip(["seq", "id", "name", "data", "time", "hops", "rep"], EVENT, strict=True))
    return envelope(m=[list({**fields, **changes}.values())])


def test_what_a_later_version_adds_is_passed_over() -> None:
    payload = envelope(z={"new": 1}, m=[[*EVENT, "more", 3]])
    message = unpack(payload)
    assert isinstance(message, Envelope)
    assert message.events == [Event("tea", "said", b"{}", "id-1", 7, 1764072000.5, "pod1")]


BOMB = b'{"v":1,"o":"a","e":1,"r":"t","m":[[1,"i","x",' + b"[" * 300 + b"]" * 300 + b",1,0,0]]}"
DEEPER = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b'"v"',
        b"{}",
        b"NaN",
        envelope(v=2),
        envelope(v="1"),
        envelope(o=...),
        envelope(o=""),
        envelope(o="x" * 65),
        envelope(o=5),
        envelope(e=...),
        envelope(e=-1),
        envelope(e=1.5),
        envelope(e=True),
        envelope(r=5),
        envelope(r=""),
        envelope(r="a b"),
        envelope(r="*"),
        envelope(r="x" * 1025),
        envelope(m=...),
        envelope(m=[]),
        envelope(m={}),
        envelope(m=[EVENT] * 5000),
        envelope(m=[EVENT[:6]]),
        envelope(m=["event"]),
        envelope(p=5),
        envelope(p=""),
        envelope(g="x" * 65),
        event(seq=0),
        event(seq=-1),
        event(seq="1"),
        event(seq=True),
        event(id=""),
        event(id=5),
        event(id="x" * 65),
        event(name=""),
        event(name="a b"),
        event(name=None),
        event(name="x" * 1025),
        event(time="now"),
        event(time=True),
        event(hops=9),
        event(hops=0.5),
        event(rep="yes"),
        envelope(m=[[]]),
        envelope().replace(b"1764072000.5", b"NaN"),
        envelope().replace(b"1764072000.5", b"Infinity"),
        envelope().replace(b"[[7,", b"[[" + b"9" * 400 + b","),
        envelope().replace(b'"said"', b'"\\ud800"'),
        BOMB,
        DEEPER,
    ],
)
def test_what_is_no_envelope_is_refused_in_one_sentence(payload: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        unpack(payload)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_bytes_of_anybody_raise_nothing_else(payload: bytes) -> None:
    with pytest.raises(EnvelopeError):
        unpack(payload)


@given(st.integers(0, 200), st.binary(min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_damaged_envelope_is_read_or_refused(position: int, damage: bytes) -> None:
    whole = envelope()
    with contextlib.suppress(EnvelopeError):
        unpack(whole[:position] + damage + whole[position + len(damage) :])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*"oermpgxa", "rooms", "listed"]), JSON_VALUES))
@settings(max_examples=60, deadline=None)
def test_any_json_with_an_envelopes_keys_is_read_or_refused(fields: dict[str, object]) -> None:
    try:
        payload = orjson.dumps({"v": 1, **fields})
    except TypeError:  # a number that JSON has and orjson does not write, or half a character
        return
    with contextlib.suppress(EnvelopeError):
        unpack(payload)


def test_a_pod_whose_words_have_waited_for_hours_is_heard_all_the_same() -> None:
    said = Beat("b", 1, behind=3 * 3600.0, held=3 * 3600.0)
    assert unpack(beat(said)) == said
