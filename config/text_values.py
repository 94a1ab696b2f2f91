"""Settings given as text: by the environment, or by a placeholder in a file."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import get_origin

import orjson

from .catalogue import ENTRIES, Entry
from .errors import Misconfiguration
from .secrets import JWT_SECRET, MASTER_KEY

# The names that the system has always had; the longer DEPLOYD_ ones go before them.
ALIASES: Mapping[str, str] = {
    "REALTIME_ENABLED": "enabled",
    "API_ENABLED": "server.apiEnabled",
    "LOG_LEVEL": "logging.level",
    "REALTIME_DEBUG": "logging.realtimeDebug",
    "DATABASE_URL": "store.url",
}
_VARIABLES = {**ALIASES, **{entry.variable: path for path, entry in ENTRIES.items()}}
_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)
# What Kubernetes sets in every pod for a service that is called deployd or deployd-something.
_SERVICE_LINK = re.compile(
    r"DEPLOYD_([A-Z0-9]+_)*?"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Misconfiguration]]:
    """Find the settings in the environment: path to the variable that sets it, and problems.

    A DEPLOYD_ variable that is no setting is a problem, unless Kubernetes made it.
    """
    found = {path: name for name, path in _VARIABLES.items() if name in environ}
    known = {*_VARIABLES, MASTER_KEY, JWT_SECRET}
    return found, [
        _unknown(name)
        for name, value in sorted(environ.items())
        if name.startswith("DEPLOYD_") and name not in known and not _is_link(name, value)
    ]


def from_text(entry: Entry, text: str) -> object:
    """Turn a text into the type of a setting.

    A list is given by its items with commas between them, an object as JSON. What does not
    fit is given back as it came, for strict structuring to refuse.
    """
    kind = get_origin(entry.kind) or entry.kind
    if entry.about.choices:
        return {choice.lower(): choice for choice in entry.about.choices}.get(text.lower(), text)
    if kind is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    convert = _CONVERSIONS.get(kind, str)
    try:
        return convert(text)
    except (KeyError, ValueError):
        return text


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.strip().lower()]


def _whole_number(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise ValueError(text)
    return int(text)


_CONVERSIONS: Mapping[object, Callable[[str], object]] = {
    bool: _boolean,
    int: _whole_number,
    float: float,
    Mapping: orjson.loads,
}


def _is_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _LINK_ADDRESS.fullmatch(value) is not None


def _unknown(name: str) -> Misconfiguration:
    near = get_close_matches(name, [*_VARIABLES, MASTER_KEY, JWT_SECRET], 1)
    hint = f"did you mean {near[0]}?" if near else "deployd config lists the settings"
    return Misconfiguration(f"{name} is not a setting; {hint}", origin=f"environment {name}")
