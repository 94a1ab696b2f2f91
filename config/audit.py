"""Who failed to come in, and what root did: one structured line each, in the log channel `audit`.

The lines say the address, the user where there is one, and what was tried; never a secret.
"""

import enum
from collections import Counter

from .logs import get_logger
from .sampling import LogSampler

__all__ = ["Audit", "Audited"]

_MOST = 200
"""Characters of what others wrote into a line."""

_log = get_logger("audit")


class Audited(enum.StrEnum):
    """What is told, as the event of its line."""

    SIGN_IN_FAILED = "sign-in failed"
    """A name and a password that do not belong together."""
    WRONG_MASTER_KEY = "wrong master key"
    WRONG_METRICS_TOKEN = "wrong metrics token"  # noqa: S105 - not a password
    TOKEN_REFUSED = "token refused"  # noqa: S105
    TOKEN_EXPIRED = "token expired"  # noqa: S105
    TOO_MANY_GUESSES = "too many guesses"
    """Nothing was looked at: this address has shown too many wrong ones."""
    ORIGIN_REFUSED = "origin refused"
    """A page of elsewhere would speak to the pod."""
    HOST_REFUSED = "host refused"
    """The pod was asked for under a name that is nobody's here."""
    ROOT_SIGNED_IN = "root signed in"
    ROOT_ACTED = "root acted"
    """Root, or a developer of this machine in its place, asked for more than to look."""


_ORDINARY = frozenset((Audited.ROOT_SIGNED_IN, Audited.ROOT_ACTED, Audited.TOKEN_EXPIRED))


class Audit:
    """Writes the lines of one pod: each kind at a limited rate, all of them counted in `counts`.

    What is left out is told by the next line of its kind, as `suppressed`.
    """

    def __init__(
        self, counts: Counter[str] | None = None, sampler: LogSampler | None = None
    ) -> None:
        self._counts: Counter[str] = Counter() if counts is None else counts
        self._sampler = sampler or LogSampler()

    def __call__(
        self, what: Audited, *, address: str, user: str | None = None, **details: str
    ) -> None:
        """Tell what came from an address; `user` is who it is, or says to be."""
        self._counts[what.name.lower()] += 1
        suppressed = self._sampler.admit(what)
        if suppressed is None:
            return
        said = {"user": user, **details}
        write = _log.info if what in _ORDINARY else _log.warning
        write(
            what.value,
            address=address,
            **{key: value[:_MOST] for key, value in said.items() if value is not None},
            suppressed=suppressed,
        )
