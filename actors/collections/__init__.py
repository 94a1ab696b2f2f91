"""Live collections: documents that tell those who listen when they change."""

from .accounts import UserAccounts
from .api import Api
from .calls import CollectionCalls
from .collection import CollectionActor
from .context import AsyncContext, Context
from .directory import Directory
from .discovery import Discovery
from .documents import changed, checked, chosen_id, created, shown
from .environment import Collection, CollectionEnvironment
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
from .listening import (
    ALL_COLLECTIONS,
    PREFIX,
    AllCollectionsRoom,
    CollectionRoom,
    UndefinedChangesRoom,
    listening_problem,
)
from .outcome import Outcome, Response
from .passwords import Passwords
from .reading import Reader
from .refused import FieldError, RequestRefused
from .rights import (
    POD,
    Caller,
    Method,
    demand,
    demand_owner,
    may_ask,
    may_listen,
    may_see,
    readable,
)
from .running import ScriptRunner
from .scripts import Script, ScriptEvent, Scripts, load_scripts
from .view import View, Viewer

__all__ = [
    "ALL_COLLECTIONS",
    "POD",
    "PREFIX",
    "AllCollectionsRoom",
    "Api",
    "AsyncContext",
    "Caller",
    "Collection",
    "CollectionActor",
    "CollectionCalls",
    "CollectionEnvironment",
    "CollectionError",
    "CollectionRoom",
    "Context",
    "Directory",
    "Discovery",
    "FieldError",
    "InsideCalls",
    "Method",
    "Outcome",
    "Passwords",
    "Reader",
    "RequestRefused",
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
    "UndefinedChangesRoom",
    "UserAccounts",
    "View",
    "Viewer",
    "changed",
    "checked",
    "chosen_id",
    "created",
    "demand",
    "demand_owner",
    "listening_problem",
    "load_scripts",
    "may_ask",
    "may_listen",
    "may_see",
    "readable",
    "shown",
]
