"""JUnit's XML, held by hand against the two schemas that are asked for (Jenkins' and Ant's)."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from attrs import evolve

from deployd.tools.chaos.report import Result
from deployd.tools.chaos.report.junit import junit_xml
from support.chaos_results import FAILED, RESULT, RUN

SUITE = {"name", "timestamp", "hostname", "tests", "failures", "errors", "time", "id", "package"}
"""What Ant's schema requires of a suite; `skipped` it allows."""


def suite_of(result: Result) -> ET.Element:
    root = ET.fromstring(junit_xml(result))
    assert root.tag == "testsuites"
    [suite] = root
    return suite


def test_a_suite_has_what_the_schemas_want_in_their_order() -> None:
    suite = suite_of(RESULT)
    assert set(suite.attrib) == SUITE | {"skipped"}
    tags = [child.tag for child in suite]
    cases = len(RUN.scenarios)
    assert tags == ["properties", *["testcase"] * cases, "system-out", "system-err"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    for each in suite.iter("property"):
        assert set(each.attrib) == {"name", "value"}
        assert all(each.attrib.values())
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"}
        assert len(case) <= 1
        assert all(child.tag in ("skipped", "error", "failure") for child in case)
        for child in case:
            assert "message" in child.attrib
            assert child.tag == "skipped" or child.attrib["type"]


def test_the_counts_of_a_suite_are_those_of_its_cases() -> None:
    suite = suite_of(RESULT)
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[attribute]) == len(list(suite.iter(tag))) == 1


def test_a_failure_says_what_was_broken_and_how_to_have_it_again() -> None:
    [failure] = suite_of(RESULT).iter("failure")
    assert failure.attrib == {
        "type": "undeclared",
        "message": "17 of ann in plain never came to bob on pod 1",
    }
    assert failure.text is not None
    assert "and 41 more" in failure.text
    assert FAILED.command in failure.text
    [error] = suite_of(RESULT).iter("error")
    assert error.attrib["message"] == "redis-server ended with code 1."
    [skipped] = suite_of(RESULT).iter("skipped")
    assert skipped.attrib["message"] == "not applicable: It is for RabbitMQ."


def test_the_figures_are_in_what_the_suite_printed() -> None:
    out = suite_of(RESULT).findtext("system-out") or ""
    assert "3-broker-frozen: undeclared lost 2, false receipts 7, twice 5, out of order 6" in out
    assert "local after 0.3 · 250 ms" in out
    assert "2 deliveries were lost, and nobody was told." in out


def test_what_xml_cannot_hold_is_replaced() -> None:
    bad = "\x00\x1b]]>&<\ud800\ufffe"
    run = evolve(RUN, system=bad, scenarios=(evolve(FAILED, name=bad, command=bad),), machine="")
    suite = suite_of(Result((run,)))
    [case] = suite.iter("testcase")
    assert case.attrib["name"] == "��]]>&<��"
