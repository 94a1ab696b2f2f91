"""What the commands share: where settings and keys lie, how a pod is asked, where is printed."""

from .address import Address, ask, parse_address
from .asking import Asked, pod_options, structured
from .errors import AccessDenied, BadAddress, Declined, NotAPod, ToolError, Unreachable
from .keys import key_place, known_key
from .programs import program
from .screen import printable, screen
from .settings import (
    DEFAULT_FILE,
    config_option,
    data_option,
    make_default_file,
    read_settings,
    settings_file,
)

__all__ = [
    "DEFAULT_FILE",
    "AccessDenied",
    "Address",
    "Asked",
    "BadAddress",
    "Declined",
    "NotAPod",
    "ToolError",
    "Unreachable",
    "ask",
    "config_option",
    "data_option",
    "key_place",
    "known_key",
    "make_default_file",
    "parse_address",
    "pod_options",
    "printable",
    "program",
    "read_settings",
    "screen",
    "settings_file",
    "structured",
]
