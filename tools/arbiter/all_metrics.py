"""One answer to Prometheus for all pods: each series with the name of its pod. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["merged"]

_COMMENT: Final = re.compile(r"# (?:HELP|TYPE) (\S+) .*")
_SAMPLE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (.*)")
_OF_A_FAMILY: Final = re.compile(r"_(?:total|bucket|count|sum|created)$")


def merged(texts: Mapping[str, str]) -> str:
    """Merge what pods say, by their names, in Prometheus' text format.

    A family is told once, with the samples of all; the label `pod_name` keeps them apart.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for pod, text in texts.items():
        family = ""
        for line in text.split("\n"):  # labels may hold what else ends a line
            comment = _COMMENT.fullmatch(line)
            if comment is not None:
                family = comment[1]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
                continue
            sample = _SAMPLE.fullmatch(line)
            if sample is not None:
                samples.setdefault(_family(sample[1], family), []).append(_labelled(sample, pod))
    families = dict.fromkeys([*heads, *samples])
    lines = (line for name in families for line in heads.get(name, []) + samples.get(name, []))
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, last: str) -> str:
    """Return whose sample it is: of the family that was told last, or of none."""
    return last if last in (name, _OF_A_FAMILY.sub("", name)) else name


def _labelled(sample: re.Match[str], pod: str) -> str:
    labels = f"{sample[2]}," if sample[2] else ""
    return f'{sample[1]}{{{labels}pod_name="{pod}"}} {sample[3]}'
