"""Collections that keep no documents: what is asked of one is what its script makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from ...transport import JSON
from ..errors import RequestRefused
from ..scripts import ScriptEvent, ScriptOutcome
from ..store import Document
from .environment import Collection, CollectionEnvironment
from .scripting import Call, run_event

__all__ = ["run_unstored", "unstored_methods"]

_EVENTS: Final[Mapping[str, ScriptEvent]] = {
    "GET": "get",
    "POST": "post",
    "PUT": "put",
    "DELETE": "delete",
}


def unstored_methods(collection: Collection) -> tuple[str, ...]:
    """Return the methods for which there is a script."""
    return tuple(method for method, event in _EVENTS.items() if collection.has(event))


async def run_unstored(
    collection: Collection, environment: CollectionEnvironment, call: Call, body: Mapping[str, JSON]
) -> ScriptOutcome:
    """Run the script of a method, for HTTP and for other scripts alike.

    Its data are the body, with `url` and `parts` of the path, whatever the body calls so. Raises
    `RequestRefused`: 405 where there is no such script.
    """
    if call.method not in unstored_methods(collection):
        sentence = f"'{collection.name}' keeps no documents and has no script for {call.method}."
        allowed = ", ".join(unstored_methods(collection))
        raise RequestRefused(405, sentence, headers={"Allow": allowed})
    data = {**body, "url": "/" + "/".join(call.parts), "parts": list(call.parts)}
    return await run_event(
        collection, environment, _EVENTS[call.method], call, cast("Document", data)
    )
