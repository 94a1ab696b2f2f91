"""Prometheus' own rule engine on series that a test makes of what a pod said: no time passes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any, Final

import yaml

from .ailing import Scrape
from .servers import not_installed

__all__ = ["firing"]

STEP: Final = 15
"""Seconds between scrapes."""
FIVE_MINUTES: Final = 20
PHASE: Final = 80
"""Scrapes in each phase: twenty minutes."""

_GROWS: Final = ("_total", "_bucket", "_count", "_sum")


def firing(
    rules: Sequence[Mapping[str, Any]],
    phases: Sequence[Scrape],
    expected: Sequence[Iterable[str]],
    folder: Path,
) -> str:
    """Play phases of twenty minutes, and compare which alerts fire at the end of each.

    What something has counted since the phase before, it counts in each five minutes. Returns what
    Prometheus finds wrong: nothing where all is as expected.
    """
    program = which("promtool")
    if program is None:
        not_installed("promtool", "apt-get install prometheus")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    tests = [
        {
            "interval": f"{STEP}s",
            "input_series": [
                {"series": series, "values": " ".join(_values(series, phases))}
                for series in dict.fromkeys(name for phase in phases for name in phase)
            ],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{(number + 1) * PHASE * STEP - STEP}s",
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts
                    ],
                }
                for number, alerts in enumerate(expected)
            ],
        }
    ]
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP}s", "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [str(program), "test", "rules", "test.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _values(series: str, phases: Sequence[Scrape]) -> Iterable[str]:
    grows = series.partition("{")[0].endswith(_GROWS)
    before = reached = phases[0].get(series, 0.0)
    for phase in phases:
        value = phase.get(series)
        if value is None:
            yield f"_x{PHASE - 1}"
        elif grows:
            step = max(0.0, value - before) / FIVE_MINUTES
            yield f"{reached!r}+{step!r}x{PHASE - 1}"
            before, reached = value, reached + step * PHASE
        else:
            yield f"{value!r}x{PHASE - 1}"
