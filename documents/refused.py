"""Why a request was not carried out, with the status that HTTP answers it with."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ..actors.runtime import writable
from ..transport import Grant, TooManyWaiting
from .errors import CollectionError

__all__ = ["FieldError", "RequestRefused", "invalid", "refused_for"]


@attrs.frozen
class FieldError:
    """What is wrong with one property of a document; `message` tells the remedy."""

    field: str = attrs.field(converter=writable)
    message: str = attrs.field(converter=writable)


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


def invalid(errors: tuple[FieldError, ...]) -> RequestRefused:
    """Refuse a document for what is wrong with its properties."""
    told = "; ".join(f"{error.field} {error.message}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return RequestRefused(400, f"This document cannot be kept: {told}{more}.", errors)
