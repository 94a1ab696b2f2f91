from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import check_name, is_reserved_room


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "collection:todos",
        "chat-room_123",
        "a.b/c@d#e+f~g=h",
        "Grüße",
        "комната",
        "हिन्दी",
        "部屋１",
        "x" * 16,
    ],
)
def test_letters_and_digits_of_any_script_make_a_name(name: str) -> None:
    assert check_name("room", name, 16) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "1 to 16"),
        ("x" * 17, "it has 17"),
        ("a b", "' ' at position 2"),
        ("tab\t", r"'\t' at position 4"),
        ("line\n", r"'\n' at position 5"),
        ("nul\0", r"'\x00'"),
        ("star*", "'*'"),
        ("what?", "'?'"),
        ("a>", "'>'"),
        ("[a]", "'['"),
        ("a\\", r"'\\'"),
        ("a{b}", "'{'"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}a", r"'\u202e'"),
        ("\N{NO-BREAK SPACE}", r"'\xa0'"),
        ("\ud800", r"'\ud800'"),
        ("🙂", "position 1"),
    ],
)
def test_what_a_broker_or_a_terminal_reads_otherwise_is_refused(name: str, told: str) -> None:
    sentence = check_name("event", name, 16)
    assert sentence is not None
    assert told in sentence
    assert "event" in sentence
    assert sentence.isprintable()


@given(st.text(min_size=1, max_size=20))
def test_a_good_name_holds_no_pattern_space_or_control(name: str) -> None:
    if check_name("room", name, 20) is None:
        assert not set(name) & set("*?>[]{}\\^$!|<\"'`,;&%()")
        assert all(unicodedata.category(char)[0] not in "ZC" for char in name)


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("collections", True),
        ("collection:todos", True),
        ("collection:", True),
        ("system:degraded", True),
        ("collections2", False),
        ("my-collection:todos", False),
        ("System:x", False),
        ("system", False),
    ],
)
def test_only_the_pods_own_rooms_are_reserved(name: str, *, reserved: bool) -> None:
    assert is_reserved_room(name) is reserved
