"""Acknowledgements on the wire: what is written is read, and what is odd is refused."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import EnvelopeError, EnvelopeFault
from deployd.transport.brokers import (
    MOST_LINES,
    Acks,
    AskHeard,
    Envelope,
    Got,
    Noted,
    Unattended,
    acks,
    pack,
    unpack,
)

WHOLE = Acks(
    "9f3c21aa",
    17,
    (Got("bids", 41, 43, 12), Got("tea", 1, 1, 0)),
    (Unattended("tea", 7, 9, promised=True), Unattended("cake", 1, 1, promised=False)),
    ("cake",),
    (Noted("pub", 3),),
    (AskHeard("tea", 8, 9),),
)


def read(body: object) -> object:
    return unpack(orjson.dumps({"v": 1, "o": "9f3c21aa", "a": body}))


def test_what_is_written_is_read() -> None:
    assert unpack(acks(WHOLE)) == WHOLE
    assert unpack(acks(Acks("9f3c21aa", 1))) == Acks("9f3c21aa", 1)


def test_fields_that_a_later_version_appends_are_passed_over() -> None:
    body = {"n": 1, "got": [["tea", 1, 2, 3, "more"]], "later": True}
    assert read(body) == Acks("9f3c21aa", 1, (Got("tea", 1, 2, 3),))


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"n": "1"},
        {"n": -1},
        {"n": 2**53},
        {"n": True},
        {"n": 1, "got": {}},
        {"n": 1, "got": [["tea", 1, 2]]},
        {"n": 1, "got": ["tea"]},
        {"n": 1, "got": [["tea", 0, 2, 1]]},
        {"n": 1, "got": [["tea", 3, 2, 1]]},
        {"n": 1, "got": [["tea", 1, 2, -1]]},
        {"n": 1, "got": [["tea", 1, 2, 1.5]]},
        {"n": 1, "got": [[None, 1, 2, 1]]},
        {"n": 1, "got": [["system:x", 1, 2, 1]]},
        {"n": 1, "got": [["te a\n", 1, 2, 1]]},
        {"n": 1, "no": [["tea", 1, 2, "yes"]]},
        {"n": 1, "in": [7]},
        {"n": 1, "ok": [["tea"]]},
        {"n": 1, "ok": 7},
        {"n": 1, "ask": [7]},
    ],
)
def test_what_is_no_acknowledgement_is_refused(body: object) -> None:
    with pytest.raises(EnvelopeError):
        read(body)


@pytest.mark.parametrize("kind", ["got", "no", "in", "ok", "ask"])
def test_more_than_a_message_may_hold_is_refused(kind: str) -> None:
    line: object = "tea" if kind == "in" else ["tea", 1, 1, 1]
    read({"n": 1, kind: [line] * MOST_LINES})
    with pytest.raises(EnvelopeError) as caught:
        read({"n": 1, kind: [line] * (MOST_LINES + 1)})
    assert caught.value.fault is EnvelopeFault.TOO_LARGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**54) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["n", "got", "no", "in", "ok", "ask"]), JSON))
def test_whatever_comes_is_read_or_refused(body: dict[str, object]) -> None:
    with contextlib.suppress(EnvelopeError):
        assert isinstance(read({"n": 1, **body}), Acks)


def test_an_envelope_says_whether_it_wants_to_know_who_has_heard() -> None:
    event = (1, "pod1-1", "said", 1, 1764072000.5, 0, 0)
    for wants in (True, False):
        read_back = unpack(pack("pod1", 1, "tea", [event], wants=wants))
        assert isinstance(read_back, Envelope)
        assert read_back.wants is wants
