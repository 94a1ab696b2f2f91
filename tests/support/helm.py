"""As much of `helm template` as deploy/helm uses: tests read what a cluster would get.

Of Go's templates (text/template) and Sprig: paths into Values, Release and Chart, pipes of the
functions below, if/else, with, range, and the trimming of white space. Anything else is an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["render"]

_ACTION: Final = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_FUNCTIONS: Final[Mapping[str, Any]] = {
    "toYaml": lambda value: yaml.safe_dump(value, sort_keys=True).rstrip("\n"),
    "toJson": lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")),
    "quote": lambda value: json.dumps(str(value)),
    "sha256sum": lambda value: hashlib.sha256(value.encode()).hexdigest(),
    "indent": lambda width, text: "\n".join(" " * width + line for line in text.splitlines()),
    "not": lambda value: not value,
}


def render(chart: Path, release: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the manifests of a chart, with these values over its own."""
    own = yaml.safe_load((chart / "values.yaml").read_text())
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    scope = {"Values": _over(own, values), "Release": {"Name": release}, "Chart": about}
    found: list[dict[str, Any]] = []
    for template in sorted((chart / "templates").glob("*.yaml")):
        text, _ = _Template(template.read_text(), scope).block(scope, live=True)
        found += [one for one in yaml.safe_load_all(text) if one is not None]
    return found


def _over(own: Any, given: Any) -> Any:
    if not isinstance(own, dict) or not isinstance(given, Mapping):
        return given
    return {key: _over(own.get(key), given.get(key, own.get(key))) for key in {*own, *given}}


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield texts and actions; a dash in an action trims the white space beside it."""
    at, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[at : found.start()]
        before = before.lstrip() if trim else before
        yield "text", before.rstrip() if found[1] else before
        yield "action", found[2]
        at, trim = found.end(), bool(found[3])
    yield "text", text[at:].lstrip() if trim else text[at:]


class _Template:
    """A template as it is read; `scope` is what paths begin in."""

    def __init__(self, text: str, scope: Mapping[str, Any]) -> None:
        self._tokens = list(_tokens(text))
        self._scope = scope
        self._at = 0

    def block(self, dot: Any, *, live: bool) -> tuple[str, str]:
        """Return the text up to the `end` or `else` that closes the block, and that word."""
        said: list[str] = []
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            self._at += 1
            word, _, rest = text.partition(" ") if kind == "action" else ("", "", "")
            if word in ("end", "else"):
                return "".join(said), word
            if kind == "text":
                said += [text] * live
            elif word in ("if", "with", "range"):
                said.append(self._branch(word, rest, dot, live=live))
            elif live:
                value = _pipe(text, self._scope, dot)
                said.append(json.dumps(value) if isinstance(value, bool) else str(value))
        return "".join(said), ""

    def _branch(self, word: str, rest: str, dot: Any, *, live: bool) -> str:
        value = _pipe(rest, self._scope, dot) if live else None
        if word == "range":
            return self._range(value or ())
        said, closed = self.block(value if word == "with" else dot, live=live and bool(value))
        if closed == "else":
            said += self.block(dot, live=live and not value)[0]
        return said

    def _range(self, values: Iterable[Any]) -> str:
        begins, said = self._at, ""
        for each in values:
            self._at = begins
            said += self.block(each, live=True)[0]
        if self._at == begins:
            self.block(None, live=False)
        return said


def _pipe(said: str, scope: Mapping[str, Any], dot: Any) -> Any:
    value: list[Any] = []
    for part in said.split("|"):
        name, *arguments = part.split()
        given = [_operand(each, scope, dot) for each in arguments] + value
        value = [_FUNCTIONS[name](*given) if given else _operand(name, scope, dot)]
    return value[0]


def _operand(said: str, scope: Mapping[str, Any], dot: Any) -> Any:
    if said.isdigit():
        return int(said)
    if said == ".":
        return dot
    assert said.startswith("."), f"tests/support/helm.py cannot do {said}"
    value: Any = scope
    for name in said[1:].split("."):
        value = value[name]  # a misspelt one is an error, which Helm would leave empty
    return value
