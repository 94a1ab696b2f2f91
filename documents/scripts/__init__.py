"""Event scripts: their files, what they get and decide, how they run and end."""

from .context import AsyncContext, Context, ScriptContext
from .interruption import Interrupted, Interruption
from .outcome import Response, ScriptOutcome, plain_document
from .proxies import InternalCalls, InternalMethod
from .running import ScriptRunner
from .scripts import EVENTS, Script, ScriptEvent, Scripts, load_scripts

__all__ = [
    "EVENTS",
    "AsyncContext",
    "Context",
    "InternalCalls",
    "InternalMethod",
    "Interrupted",
    "Interruption",
    "Response",
    "Script",
    "ScriptContext",
    "ScriptEvent",
    "ScriptOutcome",
    "ScriptRunner",
    "Scripts",
    "load_scripts",
    "plain_document",
]
