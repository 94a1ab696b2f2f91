"""What docs/operating.md names, there is."""

from __future__ import annotations

import re
from pathlib import Path

from deployd.config import explain, load

DOCS = Path(__file__).parents[1] / "docs"
OPERATING = (DOCS / "operating.md").read_text(encoding="utf-8")
METRICS = (DOCS / "metrics.md").read_text(encoding="utf-8")
SETTINGS = {row.path for row in explain(load(None, environ={}))}
SECTIONS = {path.split(".")[0] for path in SETTINGS if "." in path}


def test_every_metric_is_one_that_pods_have() -> None:
    named = set(re.findall(r"\bdeployd_[a-z_]+", OPERATING))
    assert len(named) > 10
    assert {name for name in named if f"`{name}`" not in METRICS} == set()


def test_every_setting_is_one_that_can_be_set() -> None:
    named = {
        name
        for name in re.findall(r"`([a-z]+(?:\.[a-zA-Z]+)+)`", OPERATING)
        if name.split(".")[0] in SECTIONS and not name.endswith(".md")
    }
    assert len(named) > 20
    assert named - SETTINGS == set()


def test_each_line_of_the_specified_troubleshooting_has_its_answer() -> None:
    """The specification names four troubles, and four things to look at for each."""
    trouble = OPERATING.partition("## Troubleshooting")[2].partition("\n## ")[0]
    sections = re.split(r"^### ", trouble, flags=re.MULTILINE)[1:]
    assert len(sections) == 4
    for section in sections:
        assert len(re.findall(r"^- \*\*", section, re.MULTILINE)) >= 4, section.splitlines()[0]


def test_each_drill_is_tried_by_tests_that_exist() -> None:
    drills = OPERATING.partition("## Drills")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^-d].*$", drills, re.MULTILINE)
    assert len(rows) >= 15
    for row in rows:
        tests = re.findall(r"`(tests/[^:`]+)::(\w+)`", row)
        assert tests, row
        for path, name in tests:
            assert f"def {name}(" in (DOCS.parent / path).read_text(encoding="utf-8"), name
