"""When two names are one, and which nobody may have."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.documents.users import RESERVED_NAMES, fold_name, misleading

ONE = [
    ("ada", "Ada"),
    ("ada", "ＡＤＡ"),
    ("zoë", "Zoe\u0308"),
    ("file", "ﬁle"),
    ("strasse", "STRAßE"),
    ("σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("kelvin", "\u212aelvin"),
    ("x2", "x²"),
    ("victim", "vıctim"),
    ("victim", "VİCTIM"),
    ("paypal", "pɑypaǀ"),
    ("google", "ɡooɡle"),
    ("sam", "ꜱᴀᴍ"),
    ("íris", "ı\u0301ris"),
    *(("ada-l", f"ada{hyphen}l") for hyphen in "\u2010\u2011\u2013\u2212\u02d7"),
    *(("o'brien", f"O{sign}Brien") for sign in "\u2018\u2019\u02bc\u2032\ua78c"),
    ("bank", "ƅanĸ"),
]


@pytest.mark.parametrize(("one", "other"), ONE)
def test_names_that_somebody_folds_are_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@given(st.text())
def test_what_is_folded_is_the_same_folded_again_and_in_every_form(name: str) -> None:
    folded = fold_name(name)
    assert fold_name(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold_name(unicodedata.normalize(form, name)) == folded


GOOD = [
    *("ada", "Ada Lovelace", "a_b-c.9", "O'Brien", "Zoë", "Nguyễn", "Иван", "Αλέξης", "山田太郎"),
    *("山田taro", "김철수", "אבי", "محمد", "हिन्दी", "สวัสดี", "Արամ", "🦊", "x" * 256, "42", "ß"),
    *("Işıl", "İpek", "O\u2019Brien", "Jean\u2011Luc", "Gal·la", "王·明", "ジャン・リュック", "ר׳"),
]
UNSEEN = [
    *("ann\u3164", "ann\ufe0f", "ann\u034f", "ann\u115f", "ann\uffa0", "ann\u2800", "ann\u00ad"),
    *(
        "a\u200bnn",
        "a\u200dnn",
        "\u202eann",
        "ann\u2066",
        "\ufeffann",
        "a\tnn",
        "ann\0",
        "a\u0085n",
    ),
    *("ann\U000e0041", "\ud83d", "\ue000", "ann\u2028"),
]
BLANK = [" ann", "ann ", "a  b", "\u00a0ann", "a\u3000b", "ann\n"]
MIXED = ["аda", "ad\u0430", "pаypal", "αda", "Ꭺda", "Ivanов", "\U00010338da", "ha\u05d0"]
ALIKE = ["сосо", "АДА"[:1] + "сс", "ооо", "ΑΝΝ", "ոսո"]
ODD = [
    *(
        "ad\u212e",
        "ma\xd7",
        "\u2228era",
        "a\u201ab",
        "ann\u01c3",
        "ann\u2223",
        "a\u2236b",
        "a\ua789b",
    ),
    *(
        "ꬲda",
        "ꬽtt",
        "\u201cann\u201d",
        "ann\u02cd",
        "a\u2044b",
        "ann\u02d0",
        "ke\u20ac",
        "a\u221eb",
    ),
]
MARKED = ["a\u0300\u0301\u0302\u0303", "\u0301ann", "a \u0301b"]


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_what_people_are_called_is_clear(name: str) -> None:
    assert misleading(name) is None


@pytest.mark.parametrize("name", [*UNSEEN, *BLANK, *MIXED, *ALIKE, *ODD, *MARKED], ids=ascii)
def test_what_cannot_be_told_from_another_name_is_refused(name: str) -> None:
    assert misleading(name)
    assert misleading(name, address=True)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_the_pods_own_names_are_refused_however_they_are_written(name: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in name)
    alike = name.translate(str.maketrans("aginorst", "ɑɡıɴᴏʀꜱᴛ"))
    for written in (name, name.upper(), name.title(), wide, alike):
        assert "the pod's own" in (misleading(written) or "")
    assert misleading(f"{name}@example.org", address=True) is None


def test_every_part_of_an_address_is_looked_at_by_itself() -> None:
    assert misleading("иван@example.org", address=True) is None
    assert misleading("ivan@пример.рф", address=True) is None
    assert misleading("ivаn@example.org", address=True)
    assert misleading("ivan@exаmple.org", address=True)


@given(st.text(max_size=40), st.booleans())
def test_any_text_is_judged(name: str, address: bool) -> None:
    assert misleading(name, address=address) != ""
