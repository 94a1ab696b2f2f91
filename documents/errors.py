"""What can go wrong with documents. The class says whose fault it was.

DocumentError
├── QueryError               the client's query is not one
├── StoreError               what became of a document in the database
│   ├── DuplicateValue       the writer's: another document has this value of a unique property
│   ├── Unstorable           the writer's: the database has no way to hold this document
│   └── StoreUnavailable     the world's: locked, full, or out of reach; nothing was written
│       └── StoreUncertain   the world's: gone in the middle of a commit: all, or nothing
└── CollectionError          an actor's error too: it is what whoever asks a collection may get
    ├── RequestRefused       the asker's: not carried out, with the status that HTTP answers it with
    └── ScriptError          a script; `sentence` is all that a client may learn
        ├── ScriptBroken     its file cannot be loaded
        ├── ScriptFailed     it raised, or left something that is not JSON
        ├── ScriptRefused    what it asked of a collection was refused, and it let that pass
        ├── ScriptTimeout    it ran for too long
        ├── ScriptsBusy      it did not run: all threads are taken
        └── ScriptOver       it used its context after its end
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field as attrs_field
from attrs import frozen

from ..actors import ActorError
from ..actors.runtime import writable
from ..transport import Grant, TooManyWaiting

__all__ = [
    "CollectionError",
    "DocumentError",
    "DuplicateValue",
    "FieldError",
    "QueryError",
    "RequestRefused",
    "ScriptBroken",
    "ScriptError",
    "ScriptFailed",
    "ScriptOver",
    "ScriptRefused",
    "ScriptTimeout",
    "ScriptsBusy",
    "StoreError",
    "StoreUnavailable",
    "StoreUncertain",
    "Unstorable",
    "invalid",
    "refused_for",
    "unusable",
]


class DocumentError(Exception):
    """The root of this package's errors."""


class QueryError(DocumentError):
    """A query that cannot be answered; the message names the part and the remedy."""


class StoreError(DocumentError):
    """The root of what a store raises. Nothing of the write was kept, `StoreUncertain` excepted.

    The message is for who runs the pod, and `public` the sentence that a client may be told; they
    are the same where the client itself can help it.
    """

    def __init__(self, sentence: str, public: str = "") -> None:
        super().__init__(sentence)
        self.public = public or sentence


class DuplicateValue(StoreError):
    """Another document has the same value of a unique property, `field`."""

    def __init__(self, field: str) -> None:
        super().__init__(f"Another document has this '{field}'; choose another.")
        self.field = field


class Unstorable(StoreError):
    """The database has no way to hold this document: U+0000 in a text, in PostgreSQL, for one."""


class StoreUnavailable(StoreError):
    """The database is locked, full, or cannot be reached: try again in `retry_after` seconds.

    `kind` is a word for it, such as `read_only`. It is `lasting` where somebody has to help.
    """

    def __init__(
        self,
        sentence: str,
        public: str = "",
        retry_after: int = 2,
        *,
        kind: str = "busy",
        lasting: bool = False,
    ) -> None:
        super().__init__(
            sentence, public or "The database cannot be used at the moment; try again later."
        )
        self.retry_after = retry_after
        self.kind = kind
        self.lasting = lasting


class StoreUncertain(StoreUnavailable):
    """The connection was lost during the commit: all was written, or nothing; look which."""


class CollectionError(DocumentError, ActorError):
    """What went wrong where a collection's actor was asked."""


@frozen
class FieldError:
    """What is wrong with one property of a document; `message` tells the remedy."""

    field: str = attrs_field(converter=writable)
    message: str = attrs_field(converter=writable)


class RequestRefused(CollectionError):
    """A request that was not carried out: nothing was written. `errors` name properties.

    `status` is HTTP's (RFC 9110 section 15), `headers` go out with the answer. `sentence` is what
    anybody may be told, `detail` what root may be told beside.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
        detail: str = "",
    ) -> None:
        sentence = writable(sentence)  # scripts say these, and clients' values are in them
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.errors = errors
        self.headers = dict(headers or {})
        self.detail = detail


def refused_for(error: TooManyWaiting) -> RequestRefused:
    """Refuse what finds no place to wait in: 429 where the asker's own requests fill it."""
    status = 429 if error.grant is Grant.OVER_SHARE else 503
    return RequestRefused(status, str(error), headers={"Retry-After": str(error.seconds)})


def unusable(error: StoreUnavailable) -> RequestRefused:
    """Refuse what the database would be needed for: 503, and nothing was done."""
    headers = {"Retry-After": str(error.retry_after)}
    return RequestRefused(503, error.public, headers=headers, detail=str(error))


def invalid(errors: tuple[FieldError, ...]) -> RequestRefused:
    """Refuse a document for what is wrong with its properties."""
    told = "; ".join(f"{error.field} {error.message}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return RequestRefused(400, f"This document cannot be kept: {told}{more}.", errors)


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


class ScriptRefused(ScriptError):
    """A collection refused what a script asked of it, and so is refused what the script is for.

    `refusal` is what that collection said: its status and its sentence are the asker's.
    """

    def __init__(self, script: str, refusal: RequestRefused) -> None:
        super().__init__(
            script,
            f"The script {script} was refused what it asked for: {refusal.sentence}",
            refusal.sentence,
        )
        self.refusal = refusal


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
