"""What a setting is: a default, a unit, a help text, and the values it may have."""

import json
import math
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

import attrs

from .errors import ConfigError, Misconfiguration
from .redact import redact_text, shown_value

_KEY = "deployd.setting"
_ACRONYMS = {"ttl": "TTL"}

T = TypeVar("T")


@attrs.frozen
class Setting:
    """What is known of one setting beside its name, type and default.

    `gt` and `ge` are lower bounds (without and with the bound itself), `le` an upper one.
    `check` answers what was expected in place of a value, or None for a good one.
    """

    help: str
    unit: str = ""
    gt: float | None = None
    ge: float | None = None
    le: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[object], str | None] | None = None
    secret: bool = False
    """Whether no value is ever shown: neither in reports, nor in errors, nor in a `repr`."""
    live: bool = False
    """Whether a change takes effect while the pod runs, when the settings are read anew."""

    @property
    def bounds(self) -> str:
        """The limits in words; empty when there are none."""
        if self.ge is not None and self.le is not None:
            return f"from {self.ge:g} to {self.le:g}"
        words = ("above", self.gt), ("of at least", self.ge), ("of at most", self.le)
        return " and ".join(f"{word} {bound:g}" for word, bound in words if bound is not None)

    def refusal(self, value: object) -> str | None:
        """Say what `value`, of the right type, must be instead; None when it is possible."""
        if isinstance(value, int | float) and not self._in_bounds(value):
            return self.refuse(self.expected("a number"), value)
        if self.choices and value not in self.choices:
            return self.refuse(f"one of {', '.join(self.choices)}", value)
        expected = None if self.check is None else self.check(value)
        # What is wrong inside a list or an object, its check has named.
        named = not isinstance(value, str)
        return expected and (f"must be {expected}" if named else self.refuse(expected, value))

    def refuse(self, expected: str, value: object) -> str:
        """Word the refusal of a value; a secret one is not repeated."""
        return f"must be {expected}, not {'what is there' if self.secret else shown(value)}"

    def public(self, value: object) -> object:
        """Return a value as anybody may see it."""
        return shown_value(value, secret=self.secret)

    def expected(self, kind: str) -> str:
        """Say what may stand here: the kind of value, its bounds and its unit."""
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(filter(None, (kind, self.bounds, unit)))

    def _in_bounds(self, value: float) -> bool:
        return (
            -math.inf < value < math.inf
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.le is None or value <= self.le)
        )


def setting(
    default: T,
    *,
    help: str,  # noqa: A002 - the word that argparse and click use
    unit: str = "",
    gt: float | None = None,
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    check: Callable[..., str | None] | None = None,
    secret: bool = False,
    live: bool = False,
) -> T:
    """Declare a field of a section; see `Setting` for the arguments.

    It is typed as its default, so that type checkers read `port: int = setting(2403, …)` as
    they would `port: int = 2403`.
    """
    about = Setting(help, unit, gt, ge, le, choices, check, secret, live)
    start = attrs.Factory(default.copy) if isinstance(default, dict) else default
    field = attrs.field(
        default=start,
        validator=_refuse,
        metadata={_KEY: about},
        repr=lambda value: repr(about.public(value)),
    )
    return cast(T, field)


def setting_of(attribute: "attrs.Attribute[object]") -> Setting | None:
    """Give what was declared with `setting`; None for a section."""
    metadata: Mapping[str, Setting] = attribute.metadata
    return metadata.get(_KEY)


def key_of(attribute: str) -> str:
    """Give the key that files use for an attribute: `message_ttl` is `messageTTL`."""
    first, *rest = attribute.split("_")
    return first + "".join(_ACRONYMS.get(part, part.capitalize()) for part in rest)


def shown(value: object) -> str:
    """Show a scalar as files write it, and of anything else only what it is."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = redact_text(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refuse(instance: object, attribute: "attrs.Attribute[object]", value: object) -> None:
    """Refuse an impossible value where code builds a section itself."""
    about = cast(Setting, setting_of(attribute))
    refusal = about.refusal(value)
    if refusal is not None:
        raise ConfigError(
            Misconfiguration(f"{type(instance).__name__}({attribute.name}=…) {refusal}")
        )
