"""Documents that live: kept in a database, asked for over HTTP, heard in rooms."""

from .errors import (
    CollectionError,
    DocumentError,
    DuplicateValue,
    FieldError,
    QueryError,
    RequestRefused,
    ScriptBroken,
    ScriptError,
    ScriptFailed,
    ScriptOver,
    ScriptRefused,
    ScriptsBusy,
    ScriptTimeout,
    StoreError,
    StoreUnavailable,
    StoreUncertain,
    Unstorable,
)
from .scripts import AsyncContext, Context

__all__ = [
    "AsyncContext",
    "CollectionError",
    "Context",
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
]
