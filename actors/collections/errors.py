"""What can go wrong with collections. The class says whose fault it was.

CollectionError
└── ScriptError          a script; `sentence` is all that a client may learn
    ├── ScriptBroken     its file cannot be loaded
    ├── ScriptFailed     it raised, or left something that is not JSON
    ├── ScriptTimeout    it ran for too long
    ├── ScriptsBusy      it did not run: all threads are taken
    └── ScriptOver       it used its context after its end
"""

from __future__ import annotations

from ..errors import ActorError

__all__ = [
    "CollectionError",
    "ScriptBroken",
    "ScriptError",
    "ScriptFailed",
    "ScriptOver",
    "ScriptTimeout",
    "ScriptsBusy",
]


class CollectionError(ActorError):
    """The root of this package's errors."""


class ScriptError(CollectionError):
    """A script did not do its work. `script` is its name, such as `todos/post.py`.

    The message is for those who run the pod; `sentence` says no more than a client may know.
    """

    def __init__(self, script: str, message: str, sentence: str) -> None:
        super().__init__(message)
        self.script = script
        self.sentence = sentence


class ScriptBroken(ScriptError):
    """The file of a script could not be loaded: the fault of who wrote it. It is never run."""

    def __init__(self, script: str, line: int, reason: str) -> None:
        super().__init__(
            script,
            f"The script {script} cannot be loaded (line {line}): {reason}",
            f"The script {script} cannot be loaded; the pod's log says why.",
        )
        self.line = line
        self.reason = reason


class ScriptFailed(ScriptError):
    """A script raised: the fault of who wrote it. `__cause__` is what it raised, `line` where."""

    def __init__(self, script: str, line: int, reason: str) -> None:
        super().__init__(
            script,
            f"The script {script} failed at line {line}: {reason}",
            f"The script {script} failed; the pod's log says why.",
        )
        self.line = line
        self.reason = reason


class ScriptTimeout(ScriptError):
    """A script ran for longer than it may. `line` is where it was then, None if unknown."""

    def __init__(self, script: str, line: int | None, seconds: float) -> None:
        where = "" if line is None else f"; it was at line {line}"
        super().__init__(
            script,
            f"The script {script} was not done after {seconds:g} s{where}. "
            "Let it do less, or raise collections.scriptTimeout.",
            f"The script {script} took too long.",
        )
        self.line = line
        self.seconds = seconds


class ScriptsBusy(ScriptError):
    """All threads for scripts were taken for too long: try again later."""

    def __init__(self, script: str, places: int) -> None:
        super().__init__(
            script,
            f"The script {script} did not run: all {places} threads for scripts are taken. "
            "The log names those that are over their time.",
            "The pod has too many scripts to run at the moment; try again later.",
        )
        self.places = places


class ScriptOver(ScriptError):
    """A script used its context after it had ended, or after its time."""

    def __init__(self, script: str) -> None:
        super().__init__(
            script,
            f"The script {script} has ended, and so has its context: "
            "emit and ask other collections before `run` returns, and within its time.",
            f"The script {script} has ended.",
        )
