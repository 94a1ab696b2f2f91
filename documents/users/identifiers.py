"""Names of people: when two are one, and which nobody may have.

Two names are one when they are the same after case folding and compatibility normalisation (NFKC,
UAX 15), and when they differ by Latin letters alone that look like those of ASCII (`ı`, `ɡ`). What
looks like another name is refused: characters that cannot be seen, signs that those
of ASCII are taken for, letters of several scripts in one name ("Highly Restrictive", UTS 39 section
5.2), and names of another script in which every
letter looks like a Latin one (whole-script confusables, UTS 39 section 4).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import re2  # type: ignore[import-untyped] # has no stubs

__all__ = ["RESERVED_NAMES", "fold_name", "misleading"]

RESERVED_NAMES: Final = frozenset(
    {
        *("root", "admin", "administrator", "superuser", "sysadmin", "moderator", "operator"),
        *("system", "server", "pod", "deployd", "support", "security", "daemon"),
        *("anonymous", "nobody", "everyone", "everybody", "guest", "me", "self"),
        *("null", "none", "undefined", "true", "false", "nan"),
    }
)
"""What others take for the pod itself, for who has the master key, or for nobody, when folded."""

_SCRIPTS: Final = (
    *("Arabic", "Armenian", "Bengali", "Bopomofo", "Cyrillic", "Devanagari", "Ethiopic"),
    *("Georgian", "Greek", "Gujarati", "Gurmukhi", "Han", "Hangul", "Hebrew", "Hiragana"),
    *("Kannada", "Katakana", "Khmer", "Lao", "Latin", "Malayalam", "Myanmar", "Oriya", "Sinhala"),
    *("Tamil", "Telugu", "Thaana", "Thai", "Tibetan"),
)
"""Scripts that people write today (UAX 31 table 5)."""

_TOGETHER: Final = (
    frozenset({"Latin", "Han", "Hiragana", "Katakana"}),
    frozenset({"Latin", "Han", "Bopomofo"}),
    frozenset({"Latin", "Han", "Hangul"}),
)
"""Scripts that are written together: of Japanese, Chinese and Korean."""

_LIKE_LATIN: Final = {
    "Cyrillic": frozenset("авеһгіјӏкмнопрсѕтухԁԍԛԝьѵѡҽҫӕәзђћъӡ"),
    "Greek": frozenset("αβγεηικνορστυχωϲϳ"),
    "Armenian": frozenset("զհյոսցօւքե"),
}
"""Small letters that look like Latin ones, in folded names."""

_HYPHENS: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u02d7\u06d4"
_APOSTROPHES: Final = "\u2018\u2019\u201b\u2032\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\ua78c"
_AS_LATIN: Final = str.maketrans(
    "ıɩȷǀɑɡᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢƅĸƿʝ" + _HYPHENS + _APOSTROPHES,
    "iijlagabcdefghijklmnoprstuvwyzbkpj" + "-" * len(_HYPHENS) + "'" * len(_APOSTROPHES),
)
"""Latin letters that nobody tells from the letters of ASCII (UTS 39 section 4), small capitals, and
the signs that a name is joined by.

They are one with those: a Turkish name is allowed, but the name that looks like it is the same, and
so is what a telephone makes of `O'Brien`.
"""

_PHONETIC: Final = re.compile("[\u1d00-\u1dbf\ua7f2-\ua7ff\uab30-\uab6f]")
"""Latin letters that no language is written with, many of which look like others."""

_OTHER_SIGNS: Final = frozenset("·・")
"""Signs of no one script that names are written with: in Catalan, Chinese and Japanese."""

_SIGNS: Final = frozenset({"Sm", "Sk", "Sc"})
"""Categories of symbols (UAX 44): of mathematics, accents that stand alone, of currencies. Others,
such as those that tell moods, look like no letter, but for one."""

_LOOKS_OTHER: Final = frozenset("℮ǁǂǃ")

_DOTTED: Final = re.compile("([ij])\u0307+")
"""A dot on what has one already cannot be seen (Soft_Dotted, UTS 39)."""

_MARKS: Final = 2
"""Accents on one letter: Vietnamese has two."""

# Default_Ignorable_Code_Point (UAX 44), and what else is drawn as nothing.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


@lru_cache(maxsize=1024)
def fold_name(name: str) -> str:
    """Return what all names have in common that are one.

    NFKC_Casefold (Unicode 3.13, D146), but that nothing is left out: half a surrogate pair stays.
    Then Latin letters that look like those of ASCII become these: `admın` is `admin`.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name).casefold())
    folded = unicodedata.normalize("NFKC", folded.casefold()).translate(_AS_LATIN)
    return unicodedata.normalize("NFKC", _DOTTED.sub(r"\1", folded))


def misleading(name: str, *, address: bool = False) -> str | None:
    """Say what of a name nobody can see or tell from another, or None for one that is clear.

    Of an e-mail address every part is looked at by itself: `иван@example.org` is one.
    """
    if name != name.strip() or "  " in name:
        return "must not have blanks at its ends, nor two in a row"
    if not name.isprintable() or _UNSEEN.search(name):
        return "must only have characters that can be seen"
    folded = fold_name(name)
    if _has_loose_marks(folded):
        return "must have every accent on a letter, and two at most"
    if any(map(_is_odd, folded)):
        return "must have no other signs than those of ASCII, and no phonetic letters"
    if not address and folded.strip() in RESERVED_NAMES:
        return f"cannot be '{folded}': that is a name of the pod's own"
    for part in re.split(r"[@.]", folded) if address else [folded]:
        problem = _mixed(part)
        if problem is not None:
            return problem
    return None


def _is_odd(character: str) -> bool:
    """Say whether this is punctuation, or a letter or symbol that is taken for something else."""
    if character.isascii() or character in _OTHER_SIGNS:
        return False
    sign = unicodedata.category(character)[0] == "P" or unicodedata.category(character) in _SIGNS
    return (
        (sign and not _of_a_script(character))
        or "\u02b0" <= character <= "\u02ff"
        or character in _LOOKS_OTHER
        or _PHONETIC.match(character) is not None
    )


def _of_a_script(sign: str) -> bool:
    """Say whether a sign is written in one script alone, as the Hebrew geresh is."""
    return bool(_found(r"[\p{Common}\p{Inherited}]", sign))


def _mixed(part: str) -> str | None:
    scripts = frozenset(_scripts(part))
    if not scripts:
        return None
    if "" in scripts:
        return "must only have letters of scripts that are written today"
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return f"must be of one script, not of {' and '.join(sorted(scripts))}"
    like_latin = _LIKE_LATIN.get(next(iter(scripts)))
    if like_latin is not None and like_latin.issuperset(c for c in part if c.isalpha()):
        return f"must not look like Latin letters and be {next(iter(scripts))} ones"
    return None


def _scripts(part: str) -> Iterator[str]:
    """Yield the scripts of a text, "" for one that is not written today; common signs have none."""
    rest = _found(r"[\p{Common}\p{Inherited}]", part)
    for script in _SCRIPTS:
        if not rest:
            return
        left = _found(rf"\p{{{script}}}", rest)
        if left != rest:
            yield script
        rest = left
    if rest:
        yield ""


def _found(pattern: str, text: str) -> str:
    """Return a text without what a pattern finds in it."""
    without: str = _compiled(pattern).sub("", text)
    return without


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern)


def _has_loose_marks(folded: str) -> bool:
    marks, previous = 0, " "
    for character in unicodedata.normalize("NFD", folded):
        if unicodedata.category(character) == "Mn":
            marks += 1
            if marks > _MARKS or previous == " ":
                return True
        else:
            marks, previous = 0, character
    return False
