"""Classes that settings name: whatever their modules do, it is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployd.config import ClassNotFound, load_class


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: <exception"),
        ("import nothing_of_this_name", "no module 'nothing_of_this_name'"),
        ("def broken(:", "SyntaxError"),
        ("raise BaseExceptionGroup('g', [ValueError(1)])", "ExceptionGroup"),
    ],
)
def test_a_module_that_fails_is_one_sentence(
    source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"failing_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ClassNotFound, match="rooms") as caught:
        load_class("rooms.'chat-*'", f"{name}:Chat", object, "object")
    assert told in str(caught.value)
