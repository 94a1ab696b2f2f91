"""What authors write: hooks and handlers, judged with their class, and the data they are given."""

from .answering import EventHandler, on
from .json_schema import Schema, Schemas, may_be_left_out
from .payloads import Build, WrongPayload
from .refusal import Refuse

__all__ = [
    "Build",
    "EventHandler",
    "Refuse",
    "Schema",
    "Schemas",
    "WrongPayload",
    "may_be_left_out",
    "on",
]
