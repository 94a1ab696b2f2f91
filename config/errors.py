"""What can be wrong with what a pod is given to start with.

The whole tree::

    ConfigurationError        the operator's to mend, never the pod's
    ├── ConfigError           settings: files, environment, command line
    └── SecretsError          the file of secrets, or the variables in its place
"""

import attrs


class ConfigurationError(Exception):
    """What the pod was given does not let it start; the message says what to change."""


@attrs.frozen
class Misconfiguration:
    """One thing wrong with the settings, as a sentence.

    `paths` are the settings it is about, as files write them; `origin` is where they were set.
    """

    sentence: str
    paths: tuple[str, ...] = ()
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.sentence}" if self.origin else self.sentence


class ConfigError(ConfigurationError):
    """A setting is unknown, of the wrong type, or impossible.

    Every problem that was found is in `problems`, one sentence each; `str()` gives one a line.
    """

    def __init__(self, *details: Misconfiguration) -> None:
        super().__init__(*details)
        self.details = details

    @property
    def problems(self) -> tuple[str, ...]:
        """The sentences, each with the place it is about."""
        return tuple(str(problem) for problem in self.details)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class SecretsError(ConfigurationError):
    """The secrets cannot be read, made or trusted."""
