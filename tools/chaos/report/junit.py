"""A result as JUnit's XML, which CI systems read: a suite for each system. Pure.

There are two schemas that are asked for, Jenkins' and Ant's; what is written is right by both.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from .figures import FIGURES, VERDICTS, counted, headline, value
from .result import Result, ScenarioResult, ScenarioVerdict, SystemRun

__all__ = ["junit_xml"]

NO_XML: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not (section 2.2)."""
LEFT_OUT: Final = (ScenarioVerdict.NOT_APPLICABLE, ScenarioVerdict.NOT_INJECTABLE)


def junit_xml(result: Result) -> bytes:
    """Return the document."""
    root = ET.Element("testsuites")
    for number, run in enumerate(result.runs):
        _add_suite(root, number, run)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add_suite(root: ET.Element, number: int, run: SystemRun) -> None:
    verdicts = run.verdicts
    suite = ET.SubElement(
        root,
        "testsuite",
        name=_text(run.name),
        package="deployd.chaos",
        id=str(number),
        hostname="localhost",
        # The schemas have no time zone: it is UTC.
        timestamp=f"{run.began:%Y-%m-%dT%H:%M:%S}",
        time=f"{run.seconds:.3f}",
        tests=str(len(run.scenarios)),
        failures=str(verdicts[ScenarioVerdict.FAILED]),
        errors=str(verdicts[ScenarioVerdict.BROKEN]),
        skipped=str(sum(verdicts[verdict] for verdict in LEFT_OUT)),
    )
    about = {
        "seed": str(run.seed),
        "command": run.command,
        "machine": run.machine,
        "broker": run.broker,
        "topology": run.topology,
    }
    properties = ET.SubElement(suite, "properties")
    for name, text in about.items():
        # Ant's schema wants at least a letter in a value.
        ET.SubElement(properties, "property", name=name, value=_text(text) or "none")
    for scenario in run.scenarios:
        _add_case(suite, run, scenario)
    lines = [headline(run), counted(run), *map(_line, run.scenarios)]
    ET.SubElement(suite, "system-out").text = _text("\n".join(lines))
    ET.SubElement(suite, "system-err")


def _add_case(suite: ET.Element, run: SystemRun, scenario: ScenarioResult) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=_text(scenario.name),
        classname=_text(f"chaos.{run.system}.{run.broker}.{run.topology}".replace(" ", "_")),
        time=f"{scenario.seconds:.3f}",
    )
    if scenario.verdict in LEFT_OUT:
        words = f"{VERDICTS[scenario.verdict]}: {scenario.reason}"
        ET.SubElement(case, "skipped", message=_text(words))
    elif scenario.verdict is ScenarioVerdict.BROKEN:
        wrong = _text(scenario.reason or VERDICTS[scenario.verdict])
        ET.SubElement(case, "error", message=wrong, type="bench").text = wrong
    elif scenario.verdict is ScenarioVerdict.FAILED:
        lines = [str(violation) for violation in scenario.violations]
        lines += [f"and {scenario.further} more"] if scenario.further else []
        lines += [f"again: {scenario.command}"] if scenario.command else []
        first = scenario.violations[0] if scenario.violations else None
        failure = ET.SubElement(
            case,
            "failure",
            message=_text(scenario.reason or "failed") if first is None else _text(first.sentence),
            type="rule" if first is None else _text(first.rule),
        )
        failure.text = _text("\n".join(lines))


def _line(scenario: ScenarioResult) -> str:
    figures = ", ".join(
        f"{fact.short} {value(scenario.measures, fact)} {fact.unit}".rstrip() for fact in FIGURES
    )
    return f"{scenario.name}: {figures if scenario.ran else VERDICTS[scenario.verdict]}"


def _text(text: str) -> str:
    return NO_XML.sub("�", text)
