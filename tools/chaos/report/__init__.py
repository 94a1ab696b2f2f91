"""What a chaos run was, as data, and how it is told: to terminals, programs, people."""

from .moments import Band, BandKind, FaultSpan, HoleMark, Timeline
from .recording import recorded
from .result import MOST_VIOLATIONS, Result, ScenarioResult, ScenarioVerdict, SystemRun, merged
from .stored import BadResult, load, parsed, written
from .timeline import timeline

__all__ = [
    "MOST_VIOLATIONS",
    "BadResult",
    "Band",
    "BandKind",
    "FaultSpan",
    "HoleMark",
    "Result",
    "ScenarioResult",
    "ScenarioVerdict",
    "SystemRun",
    "Timeline",
    "load",
    "merged",
    "parsed",
    "recorded",
    "timeline",
    "written",
]
