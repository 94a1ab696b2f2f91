"""Event scripts: their files, what they get and decide, how they run and end."""

from .context import AsyncContext, Context, ScriptContext
from .inside import InsideCalls, InsideMethod
from .interruption import Interrupted, Interruption
from .outcome import Outcome, Response, plain_document
from .running import ScriptRunner
from .scripts import EVENTS, Script, ScriptEvent, Scripts, load_scripts

__all__ = [
    "EVENTS",
    "AsyncContext",
    "Context",
    "InsideCalls",
    "InsideMethod",
    "Interrupted",
    "Interruption",
    "Outcome",
    "Response",
    "Script",
    "ScriptContext",
    "ScriptEvent",
    "ScriptRunner",
    "Scripts",
    "load_scripts",
    "plain_document",
]
