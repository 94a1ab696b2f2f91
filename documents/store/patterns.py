r"""Patterns of `$regex`: a part of RE2's syntax that means the same in every store.

RE2 searches in Python and SQLite, PostgreSQL with an engine of its own. So a pattern is read here
and written anew, in what means the same to both: `\d \w \s` become ASCII classes, letters whose
case is ignored become classes of their forms (an engine's own folding follows its locale), and
whatever differs is refused. `.` is any character, `^` and `$` are the ends of the text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NoReturn

import re2  # type: ignore[import-untyped] # has no stubs

from ...config.fields import shown
from ..errors import QueryError

__all__ = ["MAX_PATTERN", "found", "portable"]

MAX_PATTERN: Final = 500
"""Characters of a pattern."""

_MAX_BYTES: Final = 1024 * 1024
"""Memory of one compiled pattern: enough for RE2's fast way with most of those that are let in."""

_MAX_PROGRAM: Final = 1000
"""Steps of a compiled pattern. Its slow way takes each for each byte: 5 s for a MB, measured."""

_MAX_COUNT: Final = 255
"""How often `{m,n}` may repeat: PostgreSQL's limit."""

_MAX_FOLDED_RANGE: Final = 1024
"""Characters of a range whose case is ignored; each is looked at."""

_CLASSES: Final = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\t\n\f\r "}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}

_FOLDED: Final = frozenset("KkSs-")

_TOKEN: Final = re.compile(
    r"\\(?P<escape>.)"
    r"|(?P<repeat>[*+?]\??|\{[0-9]{1,4}(?:,[0-9]{0,4})?\}\??)"
    r"|(?P<atomless>\((?:\?:)?(?!\?)|[\^$|])"
    r"|(?P<atom>[).])"
    r"|(?P<members>\[)"
    r"|(?P<literal>[^\\*+?{(\[])",
    re.DOTALL,
)
_MEMBER: Final = re.compile(r"\\(?P<escape>.)|(?P<literal>[^\\\[\]])", re.DOTALL)


@lru_cache(maxsize=128)
def portable(pattern: str, ignore_case: bool = False) -> str:
    """Return a pattern in the form that all engines read alike; raises `QueryError`."""
    if len(pattern) > MAX_PATTERN:
        raise QueryError(f"A pattern of $regex has at most {MAX_PATTERN} characters; shorten it.")
    written = _Translation(pattern, ignore_case).whole()
    try:
        size = _compiled(written).programsize
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise QueryError(f"The pattern {shown(pattern)} is not one of RE2: {text}.") from None
    if size > _MAX_PROGRAM:
        raise QueryError(f"The pattern {shown(pattern)} is too large; let it repeat less.")
    return written


def found(pattern: str, text: str) -> bool:
    """Say whether a portable pattern is found somewhere in a text, in linear time."""
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MAX_BYTES
    return re2.compile(pattern, options)


class _Translation:
    """Reads one pattern from left to right, and writes it anew."""

    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self._pattern = pattern
        self._ignore_case = ignore_case
        self._at = 0

    def whole(self) -> str:
        """Return the whole pattern, written anew."""
        written = []
        repeatable = False
        while self._at < len(self._pattern):
            token = self._next(_TOKEN)
            if token.lastgroup == "repeat":
                self._check_repeat(token["repeat"], repeatable)
            written.append(self._written(token))
            repeatable = token.lastgroup not in ("repeat", "atomless")
        return "".join(written)

    def _next(self, syntax: re.Pattern[str]) -> re.Match[str]:
        token = syntax.match(self._pattern, self._at)
        if token is None:
            self._refuse(self._pattern[self._at : self._at + 2] or "[")
        self._at = token.end()
        return token

    def _refuse(self, part: str) -> NoReturn:
        raise QueryError(
            f"The pattern {shown(self._pattern)} holds {shown(part)}, which not every database "
            "reads alike; leave it out, or put a backslash before a sign that means itself."
        )

    def _check_repeat(self, repeat: str, repeatable: bool) -> None:
        if not repeatable:
            raise QueryError(
                f"The pattern {shown(self._pattern)} has nothing that {repeat} could repeat; "
                "put a backslash before a sign that means itself."
            )
        if any(int(count) > _MAX_COUNT for count in re.findall("[0-9]+", repeat)):
            raise QueryError(f"A pattern repeats at most {_MAX_COUNT} times; {repeat} is more.")

    def _written(self, token: re.Match[str]) -> str:
        if token.lastgroup == "members":
            return self._members()
        if token.lastgroup == "literal":
            return self._literal(token[0])
        if token.lastgroup != "escape":
            return token[0]
        letter = token["escape"]
        members = _CLASSES.get(letter.lower())
        if members is None:
            return self._literal(self._character(token))
        return f"[{'^' if letter.isupper() else ''}{members}]"

    def _literal(self, character: str) -> str:
        forms = self._forms(character)
        if len(forms) > 1:
            return _class(forms)
        return f"\\{character}" if character in r"\.^$|?*+()[]{}" else character

    def _character(self, token: re.Match[str]) -> str:
        escape = token["escape"]
        if escape is None:
            return token["literal"]
        if escape.isalnum() and escape not in _CONTROLS:
            self._refuse(token[0])
        return _CONTROLS.get(escape, escape)

    def _members(self) -> str:
        negation = "^" if self._pattern.startswith("^", self._at) else ""
        self._at += len(negation)
        members: list[str] = []
        while not members or not self._pattern.startswith("]", self._at):
            members.append(self._member(first=not members))
        self._at += 1
        return _class(negation + "".join(members))

    def _member(self, *, first: bool) -> str:
        token = self._next(_MEMBER)
        if token["escape"] in _CLASSES:
            return _CLASSES[token["escape"]]
        if token[0] == "-" and not first and not self._pattern.startswith("]", self._at):
            self._refuse("-")
        low = self._character(token)
        rest = self._pattern[self._at : self._at + 2]
        if not rest.startswith("-") or rest == "-]":
            return "".join(map(_escaped, self._forms(low)))
        self._at += 1
        return self._range(low, self._character(self._next(_MEMBER)))

    def _range(self, low: str, high: str) -> str:
        written = f"{_escaped(low)}-{_escaped(high)}"
        if not self._ignore_case:
            return written
        if ord(high) - ord(low) >= _MAX_FOLDED_RANGE:
            raise QueryError(
                f"The pattern {shown(self._pattern)} ignores case in a range of more than "
                f"{_MAX_FOLDED_RANGE} characters; divide the range, or leave $options out."
            )
        inside = {chr(code) for code in range(ord(low), ord(high) + 1)}
        forms = {form for character in inside for form in self._forms(character)}
        return written + "".join(sorted(forms - inside))

    def _forms(self, character: str) -> str:
        """Return a character, and where case is ignored its small and its capital form."""
        if not self._ignore_case:
            return character
        forms = {character, character.lower(), character.upper()}
        return "".join(sorted(form for form in forms if len(form) == 1))


def _class(members: str) -> str:
    """Write a class; RE2 must not join one of K or S with what stands beside it.

    It takes `[Ss]` for an `s` whose case is ignored, and in `[Ss]|K` that is found in "ſ" too.
    """
    return f"([{members}])" if _FOLDED.issuperset(members) else f"[{members}]"


def _escaped(character: str) -> str:
    """Write a character that is a member of a class."""
    return f"\\{character}" if character in r"\]^-[" else character
