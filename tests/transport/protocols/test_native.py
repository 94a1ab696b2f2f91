from __future__ import annotations

import contextlib
import json
import math
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import (
    JSON,
    MAX_DEPTH,
    NATIVE,
    Auth,
    Authenticated,
    ClientMessage,
    Connected,
    Emit,
    Event,
    Failed,
    Join,
    Joined,
    Leave,
    Left,
    Ping,
    PodMessage,
    Pong,
    Problem,
    Receipted,
    RequestId,
    Scope,
    WireError,
    encode_data,
    encode_inner,
)

decode, encode = NATIVE.decode, NATIVE.encode
NOW = 1_800_000_000.9
META = {"timestamp": 1_800_000_000}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


def refusal(text: str) -> WireError:
    with pytest.raises(WireError) as caught:
        decode(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"auth","token":"t"}', Auth("t")),
        ('{"type":"join","room":"collection:todos"}', Join("collection:todos")),
        ('{"type":"leave","room":"r","id":7}', Leave("r", 7)),
        ('{"type":"emit","event":"e"}', Emit("e")),
        (
            '{"type":"emit","event":"e","data":{"a":[1]},"room":"r","id":"x"}',
            Emit("e", {"a": [1]}, "r", "x"),
        ),
        ('{"type":"emit","event":"e","room":""}', Emit("e")),
        ('{"type":"emit","event":"e","room":null,"id":null}', Emit("e")),
        ('{"type":"join","room":"r","id":1.5}', Join("r", 1.5)),
        ('{"type":"join","room":"r","meta":{"x":1},"whatever":[]}', Join("r")),
        ('{"type":"join","room":"first","room":"last"}', Join("last")),
        (' {"type" : "join", "room" : "\\u00e9"}\n', Join("é")),
        ('{"type":"join","room":""}', Join("")),
        ('{"type":"ping"}', Ping()),
        ('{"type":"ping","id":7,"data":"ignored"}', Ping(7)),
    ],
)
def test_what_clients_say_is_understood(text: str, message: ClientMessage) -> None:
    assert decode(text) == message


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "bad_json", "JSON"),
        ("{", "bad_json", "JSON"),
        ("{'type':'join'}", "bad_json", "JSON"),
        ('{"type":"join","room":"r"}{}', "bad_json", "one JSON object"),
        ('{"type":"join","room":"r"}\n{"type":"join","room":"r"}', "bad_json", "one JSON object"),
        ('"\\ud800"', "not_an_object", "a string"),
        ('"\ud800"', "bad_json", "JSON"),
        ('{"type":"emit","event":"e","data":NaN}', "bad_json", "JSON"),
        ('{"type":"emit","event":"e","data":-Infinity}', "bad_json", "JSON"),
        ('{"type":"emit","event":"e","data":1e999}', "bad_json", "infinity"),
        ("[]", "not_an_object", "an array"),
        ('"join"', "not_an_object", "a string"),
        ("7", "not_an_object", "a number"),
        ("null", "not_an_object", "null"),
        ("true", "not_an_object", "a boolean"),
        ("{}", "missing_type", "'join'"),
        ('{"type":null}', "missing_type", "'join'"),
        ('{"type":7}', "wrong_type", "'type'"),
        ('{"type":[]}', "wrong_type", "'type'"),
        ('{"type":"shout"}', "unknown_type", "'shout'"),
        ('{"type":"Join","room":"r"}', "unknown_type", "'Join'"),
        ('{"type":"auth"}', "missing_field", "'token'"),
        ('{"type":"join"}', "missing_field", "'room'"),
        ('{"type":"emit","room":"r"}', "missing_field", "'event'"),
        ('{"type":"auth","token":7}', "wrong_type", "'token' of the 'auth' message a string"),
        ('{"type":"join","room":null}', "wrong_type", "not null"),
        ('{"type":"join","room":1}', "wrong_type", "not a number"),
        ('{"type":"leave","room":true}', "wrong_type", "not a boolean"),
        ('{"type":"emit","event":"e","room":{}}', "wrong_type", "not an object"),
        ('{"type":"join","room":"r","id":true}', "wrong_type", "a string or a number"),
        ('{"type":"join","room":"r","id":[]}', "wrong_type", "not an array"),
    ],
)
def test_bad_input_gets_a_code_and_the_remedy(text: str, code: str, told: str) -> None:
    problem = refusal(text)
    assert problem.code == code
    assert told in problem.sentence
    assert str(problem) == problem.sentence


HALF = r"\ud83d"
"""An emoji cut in two, as JavaScript writes it."""


@pytest.mark.parametrize(
    ("text", "echoed", "room"),
    [
        ('{"id":"x"}', "x", None),
        ('{"type":"shout","room":"r","id":7}', 7, "r"),
        ('{"type":"join","id":1.5}', 1.5, None),
        ('{"type":"join","room":1,"id":"x"}', "x", None),
        ('{"type":"emit","room":"r","id":0}', 0, "r"),
        ('{"type":"join","room":"","id":[1]}', None, None),
        ('{"type":"join","id":false}', None, None),
        ('{"type":"join","id":{}}', None, None),
        ('{"id":"x"', None, None),
        # What is not JSON, but clients write it: they wait for an answer too.
        ('{"type":"emit","room":"r","data":NaN,"id":7}', 7, "r"),
        ('{"type":"emit","room":"r","data":-Infinity,"id":7}', 7, "r"),
        ('{"type":"emit","room":"r","data":1e999,"id":"x"}', "x", "r"),
        (' {"type":"join","room":"r","id":7}\n{"type":"join","room":"s","id":8}', 7, "r"),
        (f'{{"data":NaN,"room":"{HALF}","id":"{HALF}"}}', "\ufffd", "\ufffd"),
        ('{"data":' + "[" * 70 + "]" * 70 + ',"room":"r","id":7}', 7, "r"),
        # And what could not be sent back as what it was.
        ('{"data":NaN,"id":NaN}', None, None),
        ('{"data":NaN,"id":1e999}', None, None),
        ('{"data":NaN,"id":18446744073709551616}', None, None),
        ('{"data":NaN,"id":' + "9" * 5000 + "}", None, None),
        ("[NaN]", None, None),
    ],
)
def test_id_and_room_come_back_where_they_could_be_read(
    text: str, echoed: RequestId, room: str | None
) -> None:
    problem = refusal(text)
    assert (problem.id, problem.room) == (echoed, room)
    sent_back = encode(Failed(Problem(problem.code, "No.", problem.room), NOW, problem.id))
    assert orjson.loads(sent_back).get("id") == echoed


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (HALF, "\ufffd"),
        (r"\uD83D", "\ufffd"),
        (r"\ude00 alone", "\ufffd alone"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d\ude00\ude00", "\U0001f600\ufffd"),
        (r"\ud83d\\ude00", "\ufffd\\ude00"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\\\\ud83d", "\\\\ud83d"),
    ],
)
def test_half_a_surrogate_pair_is_json_and_becomes_a_replacement_character(
    written: str, read: str
) -> None:
    """RFC 8259 section 8.2; `slice` cuts emoji in two, and JavaScript writes what is left so."""
    emit = '{"type":"emit","event":"e","data":'
    assert decode(f'{emit}"{written}"}}') == Emit("e", read)
    assert decode(f'{emit}{{"{written}":[]}}}}') == Emit("e", {read: []})
    assert decode(f'{{"type":"join","room":"{written}","id":"{written}"}}') == Join(read, read)


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
def test_every_text_that_javascript_writes_as_json_is_understood(text: str) -> None:
    assert cast("Emit", decode(json.dumps({"type": "emit", "event": "e", "data": text}))).data == (
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )


def test_a_long_unknown_type_is_not_sent_back_whole() -> None:
    assert len(refusal('{"type":"' + "x" * 10_000 + '"}').sentence) < 150


def test_a_wrong_value_is_never_quoted() -> None:
    assert "secret" not in refusal('{"type":"auth","token":["secret"]}').sentence


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    inside = opening * levels + "1" + closing * levels
    return f'{{"type":"emit","event":"e","data":{inside}}}'


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('["]",', "]")])
def test_nesting_is_allowed_up_to_its_limit(opening: str, closing: str) -> None:
    levels = MAX_DEPTH - 1  # the message itself is one
    assert isinstance(decode(nested(levels, opening, closing)), Emit)
    assert refusal(nested(levels + 1, opening, closing)).code == "too_deep"


def test_what_stands_beside_the_deepest_level_does_not_count() -> None:
    inside = "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2)
    deepest = f'{{"type":"emit","event":"e","data":[{inside},{inside}]}}'
    assert isinstance(decode(deepest), Emit)
    assert refusal(deepest.replace("[]", "[[]]")).code == "too_deep"


@pytest.mark.parametrize("text", ["[" * 50_000, nested(30_000), '{"a":' * 20_000, "[" * 65])
def test_however_deep_it_is_refused(text: str) -> None:
    assert refusal(text).code == "too_deep"


@pytest.mark.parametrize("data", ["[" * 100, '\\"[{' * 50, "}" * 100, "\\\\"])
def test_brackets_in_strings_do_not_nest(data: str) -> None:
    assert isinstance(decode(f'{{"type":"emit","event":"e","data":["{data}",[]]}}'), Emit)


def test_wide_is_not_deep() -> None:
    wide = ",".join(["[]", "{}"] * 1000)
    assert isinstance(decode(f'{{"type":"emit","event":"e","data":[{wide}]}}'), Emit)


@pytest.mark.parametrize(
    "rest", ["[" * 100, '\\"[' * 20_000, "\\\\" * 30_000 + "[" * 99, "[" * 99 + "\\"]
)
def test_a_string_that_nobody_closed_swallows_its_brackets(rest: str) -> None:
    # Looking for its end again and again would be quadratic, a way to stop the pod.
    assert refusal('{"type":"emit","event":"e","data":"' + rest).code == "bad_json"


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    refusal(text)


@given(json_values)
def test_no_json_does_more_than_be_refused(value: JSON) -> None:
    with contextlib.suppress(WireError):
        decode(orjson.dumps(value).decode())


@given(
    kind=st.sampled_from(["auth", "join", "leave", "emit", "ping"]),
    fields=st.dictionaries(
        st.sampled_from(["token", "room", "event", "data", "id"]), json_values, max_size=5
    ),
)
def test_a_message_is_understood_exactly_when_its_fields_are_right(
    kind: str, fields: dict[str, JSON]
) -> None:
    required = {"auth": ["token"], "join": ["room"], "leave": ["room"], "emit": ["event"]}.get(
        kind, []
    )
    right = all(isinstance(fields.get(name), str) for name in required)
    right = right and (type(fields.get("id")) in (str, int, float, type(None)))
    if kind == "emit":
        right = right and isinstance(fields.get("room"), str | None)
    text = orjson.dumps({"type": kind, **fields}).decode()
    if not right:
        assert refusal(text).code in ("wrong_type", "missing_field")
        return
    message = decode(text)
    assert type(message).__name__.lower() == kind
    assert message.id == fields.get("id")
    assert type(message.id) is type(fields.get("id"))


@given(
    event=st.text(st.characters(exclude_categories=["Cs"])),
    data=json_values,
    room=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_an_emit_comes_out_as_it_went_in(event: str, data: JSON, room: str | None) -> None:
    encoded = encode(Event(room, event, encode_data(data), "p-1", 3, NOW))
    assert decode(encoded.decode()) == Emit(event, data, room)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            Connected("c1", 64, NOW),
            {
                "type": "connect",
                "data": {
                    "client_id": "c1",
                    "timestamp": 1_800_000_000,
                    "limits": {"maxMessageBytes": 64},
                },
                "meta": META,
            },
        ),
        (
            Authenticated("u1", False, NOW),
            {
                "type": "auth",
                "data": {"authenticated": True, "user_id": "u1", "is_root": False},
                "meta": META,
            },
        ),
        (Joined("r", NOW, "x"), {"type": "join", "room": "r", "id": "x", "meta": META}),
        (Left("r", NOW, 0), {"type": "leave", "room": "r", "id": 0, "meta": META}),
        (
            Left("r", NOW, reason="token expired"),
            {
                "type": "leave",
                "room": "r",
                "data": {"code": "taken_out", "reason": "token expired"},
                "meta": META,
            },
        ),
        (Pong(NOW, 7), {"type": "pong", "id": 7, "meta": META}),
        (Pong(NOW), {"type": "pong", "meta": META}),
        (
            Failed(Problem("forbidden", "Do this."), NOW, 1.5),
            {
                "type": "error",
                "error": "Do this.",
                "data": {"code": "forbidden"},
                "id": 1.5,
                "meta": META,
            },
        ),
        (
            Failed(Problem("forbidden", "Do this."), NOW),
            {"type": "error", "error": "Do this.", "data": {"code": "forbidden"}, "meta": META},
        ),
        (
            Failed(Problem("too_fast", "Slow down.", "r", 0.25), NOW, "x"),
            {
                "type": "error",
                "error": "Slow down.",
                "data": {"code": "too_fast", "retryAfter": 0.25},
                "room": "r",
                "id": "x",
                "meta": META,
            },
        ),
        (
            Receipted(Scope.LOCAL, "p-1", NOW, "x"),
            {"type": "receipt", "data": {"scope": "local", "id": "p-1"}, "id": "x", "meta": META},
        ),
        (
            Receipted(Scope.LOCAL, "p-1", NOW, "x", "r"),
            {
                "type": "receipt",
                "data": {"scope": "local", "id": "p-1"},
                "room": "r",
                "id": "x",
                "meta": META,
            },
        ),
        (
            Event("r", "e", b"[1]", "p-1", 3, NOW),
            {
                "type": "emit",
                "event": "e",
                "data": [1],
                "room": "r",
                "meta": {**META, "id": "p-1", "seq": 3},
            },
        ),
        (
            Event(None, "e", b"null", "p-1", 3, NOW),
            {"type": "emit", "event": "e", "data": None, "meta": {**META, "id": "p-1", "seq": 3}},
        ),
    ],
)
def test_what_the_pod_says_has_the_documented_fields_and_no_others(
    said: PodMessage, message: dict[str, object]
) -> None:
    encoded = encode(said)
    assert orjson.loads(encoded) == message
    assert b"\n" not in encoded


class Unencodable:
    pass


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (Unencodable(), "Unencodable"),
        ({"deep": [{1, 2}]}, "set"),
        ({1: "a"}, "str"),
        ("\ud800", "UTF-8"),
        (2**64, "64-bit"),
    ],
)
def test_data_that_is_not_json_is_the_applications_fault(data: object, told: str) -> None:
    with pytest.raises(WireError, match=told) as caught:
        encode_data(data)
    assert caught.value.code == "not_json"
    with pytest.raises(WireError, match=told):
        encode_data({"in": [data]})


def test_what_is_not_json_is_named_by_its_place() -> None:
    faults: list[tuple[object, str]] = [
        ({"bids": [1, {"by": {2}}]}, "data.bids[1].by: Type is not JSON serializable: set"),
        ([(1, 2**70)], "data[0][1]: Integer exceeds 64-bit range"),
        ({"a": {5: 1}}, "data.a: Dict key must be str"),
        ({"half": "\ud83d"}, "data.half: str is not valid UTF-8"),
        ({1, 2}, "as JSON: Type is not JSON serializable: set"),
    ]
    for data, told in faults:
        for encode_it in (encode_data, encode_inner):
            with pytest.raises(WireError) as caught:
                encode_it(data)
            assert told in str(caught.value)


def test_endless_data_is_the_applications_fault() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(WireError):
        encode_data(endless)


def test_data_encoded_once_is_used_as_it_is() -> None:
    encoded = encode_data({"a": [1, 2]})
    emit = decode(encode(Event("r", "e", encoded, "1", 1, NOW)).decode())
    assert cast("Emit", emit).data == {"a": [1, 2]}


def test_not_a_number_becomes_null() -> None:
    assert encode_data([math.nan, math.inf]) == b"[null,null]"
