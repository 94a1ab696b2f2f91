"""docs/security.md says of each attacker what is promised, what shows it, and what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from deployd.config import Audited
from deployd.config.catalogue import ENTRIES

ROOT: Final = Path(__file__).parents[1]
TEXT: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ATTACKERS: Final = {
    section.partition("\n")[0]: section
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
}


@pytest.mark.parametrize("attacker", sorted(ATTACKERS))
def test_each_part_says_what_is_not_promised(attacker: str) -> None:
    assert "\nNot promised: " in ATTACKERS[attacker]


@pytest.mark.parametrize("attacker", sorted(ATTACKERS.keys() - {"The audit"}))
def test_each_attacker_has_a_table_of_promises(attacker: str) -> None:
    assert "\n| promise | setting | test |\n| --- | --- | --- |\n" in ATTACKERS[attacker]


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", TEXT))
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_setting_that_is_named_is_one() -> None:
    parts = "".join(text for attacker, text in ATTACKERS.items() if attacker != "The audit")
    cells = re.findall(r"^\| [^|]+\| ([^|]*) \| [^|]*\|$", parts, flags=re.MULTILINE)
    known = {entry.path for entry in ENTRIES.values()}
    for cell in cells:
        section = ""  # `auth.required`, `timeout`: the second is of the same one
        for name in re.findall(r"`([\w.*]+)`", cell):
            head, dot, key = name.rpartition(".")
            section = head if dot else section
            assert not section or key == "*" or f"{section}.{key}" in known, name


def test_every_line_of_the_audit_is_described() -> None:
    assert [what for what in Audited if f"`{what}`" not in ATTACKERS["The audit"]] == []


def test_how_to_report_stands_at_the_root() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in policy
    assert "](../SECURITY.md)" in TEXT
