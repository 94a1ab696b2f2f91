"""What `$regex` may be. Found or not is said by RE2; PostgreSQL agreed when asked the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployd.documents.errors import QueryError
from deployd.documents.store.patterns import found, portable


def refusal(pattern: str, *, ignore_case: bool = False) -> str:
    with pytest.raises(QueryError) as caught:
        portable(pattern, ignore_case)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("", ""),
        ("abc é🦊 \n#/-", "abc é🦊 \n#/-"),
        (r"\d\w\s", "[0-9][0-9A-Za-z_][\t\n\f\r ]"),
        (r"\D\W\S", "[^0-9][^0-9A-Za-z_][^\t\n\f\r ]"),
        (r"[\d\w.x-]", r"[0-90-9A-Za-z_.x\-]"),
        (r"[^a-f\]\\]", r"[^a-f\]\\]"),
        ("[-a]", r"[\-a]"),
        ("[--9]", r"[\--9]"),
        ("[a^]", r"[a\^]"),
        (r"[\[:\]]", r"[\[:\]]"),
        (r"\n\t\r\f\v", "\n\t\r\f\v"),
        (r"\.\*\\\/\-\#", r"\.\*\\/-#"),
        ("]}", r"\]\}"),
        ("(a|b)*?(?:c){2,3}", "(a|b)*?(?:c){2,3}"),
        ("^a$|b+", "^a$|b+"),
    ],
)
def test_a_pattern_is_written_anew_in_what_all_engines_read_alike(
    pattern: str, written: str
) -> None:
    assert portable(pattern) == written
    assert portable(written) == written


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("a1É", "[Aa]1[Éé]"),
        ("[ab]", "[AaBb]"),
        ("[^x-z]", "[^x-zXYZ]"),
        ("[à-ã]", "[à-ãÀÁÂÃ]"),
        (r"\w", "[0-9A-Za-z_]"),
        ("ß", "ß"),
    ],
)
def test_letters_whose_case_is_ignored_become_classes_of_their_forms(
    pattern: str, written: str
) -> None:
    assert portable(pattern, ignore_case=True) == written


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"\b",
            r"\B",
            r"\A",
            r"\z",
            r"\Z",
            r"\C",
            r"\Q.\E",
            r"\pL",
            r"\PL",
            r"\1",
            r"\0",
            r"\x41",
        ),
        *(r"\x41", r"\a", r"\m", r"\y", r"\u0041", "\\é", "\\"),
        *("(?i)a", "(?P<n>a)", "(?<n>a)", "(?=a)", "(?!a)", "(?<=a)", "(?s:.)", "(?#x)", "(?"),
        *(
            "[[:alpha:]]",
            "[[.a.]]",
            "[[=a=]]",
            "[a",
            "[",
            "[]",
            "[]a]",
            "[^]",
            "[a-c-e]",
            r"[\d-z]",
        ),
        *(r"[a-\d]", r"[\D]", r"[\W]", r"[^\S]", r"[\b]", "[z-a]", "[a-"),
        *("{", "a{", "a{x}", "a{,3}", "a{2,1}", "a{256}", "a{1,256}", "a{99999}"),
        *(
            "*",
            "+a",
            "?",
            "a**",
            "a*+",
            "a+{2}",
            "(*a)",
            "(?:+)",
            "a|*",
            "^*",
            "$?",
            "(^)|+",
            "{2}",
        ),
        *("{2}", "(", ")", "a)", "(a", "***:a"),
    ],
)
def test_what_engines_read_differently_is_refused(pattern: str) -> None:
    assert "pattern" in refusal(pattern)


def test_a_refusal_names_the_part_and_the_remedy() -> None:
    assert '"\\\\b"' in refusal(r"a\bc")
    assert "backslash" in refusal(r"a\bc")
    assert "nothing that * could repeat" in refusal("a|*")
    assert "255" in refusal("a{256}")


def test_a_pattern_is_bounded_in_length_and_in_size() -> None:
    assert portable("a" * 500)
    assert "500" in refusal("a" * 501)
    assert portable("[a-z]{255}")
    assert "too large" in refusal("(é{100}){10}")
    assert "too large" in refusal("(.{0,30}){30}")
    assert portable("[a-\u0460]", ignore_case=True)
    assert "1024" in refusal("[a-\u0461]", ignore_case=True)


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("a.c", "a\nc", True),
        ("[^b]", "\n", True),
        ("^b", "a\nb", False),
        ("a$", "a\n", False),
        ("^$", "", True),
        ("^.$", "🦊", True),
        (r"^\w$", "é", False),
        (r"\s", "\u00a0", False),
        (r"\s", "\v", False),
        (r"^\d$", "٢", False),
        ("b", "abc", True),
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, text: str, *, is_found: bool) -> None:
    assert found(portable(pattern), text) is is_found


@pytest.mark.parametrize("pattern", ["[sS]|S", "K|[sS]", "[Ss]|[Kk]", "[s-sS]|k"])
def test_a_class_of_two_cases_stays_what_it_is_beside_another(pattern: str) -> None:
    assert not found(f"^(?:{portable(pattern)})$", "ſ")


@pytest.mark.parametrize("pattern", ["s|S", "S|k", "S", "[s-t]|s"])
def test_only_the_small_and_the_capital_form_of_a_letter_are_the_same(pattern: str) -> None:
    written = portable(pattern, ignore_case=True)
    assert found(written, "s")
    assert found(written, "S")
    assert not found(written, "ſ")


@given(st.text(alphabet=list("ab09_-^$.|?*+()[]{},\\ \ndwsDW:"), max_size=10))
@example("(?:)")
@example("[$]$")
def test_what_is_let_in_means_the_same_to_python_as_to_re2(pattern: str) -> None:
    """A third engine: it reads the portable form alike, but for `$` before a last line break."""
    try:
        written = portable(pattern)
    except QueryError:
        return
    # Not where it is escaped, nor where it is a member of a class.
    tokens = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", re.S)
    ends = tokens.sub(lambda token: r"\Z" if token[0] == "$" else token[0], written)
    python = re.compile(ends, re.S)
    for text in ("", "a", "ab", "b0_", "-a^", "a\nb\n", "$.|?*+()[]{},\\ ", pattern):
        assert found(written, text) is (python.search(text) is not None)


@given(st.text(max_size=12), st.booleans())
def test_no_pattern_does_more_than_be_refused(pattern: str, ignore_case: bool) -> None:
    try:
        written = portable(pattern, ignore_case)
    except QueryError:
        return
    assert isinstance(found(written, "a text"), bool)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_text_is_found_by_itself_escaped(text: str) -> None:
    escaped = "".join(f"\\{c}" if c in r"\.^$|?*+()[]{}" else c for c in text)
    assert found(f"^{portable(escaped)}$", text)
    assert found(f"^{portable(escaped, ignore_case=True)}$", text)
