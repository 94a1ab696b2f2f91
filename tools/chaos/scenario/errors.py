"""What can be wrong with a scenario that somebody wrote, or asked for."""

from collections.abc import Sequence
from difflib import get_close_matches

from ...common import ToolError

__all__ = ["BadScenario", "ScenarioError", "UnknownScenario", "near"]


def near(word: str, known: Sequence[str]) -> str:
    """Say which of what is known a word most resembles, as the end of a sentence."""
    found = get_close_matches(word, known, 1)
    return f"did you mean {found[0]}?" if found else f"known are {', '.join(known)}"


class ScenarioError(ToolError):
    """A scenario cannot be played; the message says what to change."""


class UnknownScenario(ScenarioError):
    """No scenario has that name."""


class BadScenario(ScenarioError):
    """A file holds something that is none. `problems` are sentences, `str()` gives each a line."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
