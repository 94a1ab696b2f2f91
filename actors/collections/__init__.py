"""Live collections: documents that tell those who listen when they change."""

from .context import AsyncContext, Context
from .errors import (
    CollectionError,
    ScriptBroken,
    ScriptError,
    ScriptFailed,
    ScriptOver,
    ScriptsBusy,
    ScriptTimeout,
)
from .inside import InsideCalls
from .outcome import Outcome, Response
from .running import ScriptRunner
from .scripts import Script, ScriptEvent, Scripts, load_scripts

__all__ = [
    "AsyncContext",
    "CollectionError",
    "Context",
    "InsideCalls",
    "Outcome",
    "Response",
    "Script",
    "ScriptBroken",
    "ScriptError",
    "ScriptEvent",
    "ScriptFailed",
    "ScriptOver",
    "ScriptRunner",
    "ScriptTimeout",
    "Scripts",
    "ScriptsBusy",
    "load_scripts",
]
