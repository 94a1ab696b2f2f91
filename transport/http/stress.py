"""`/_admin/test/websocket/stress`: root puts this pod under load, looks at it, and stops it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import error_response, json_response
from .routes import OwnRoute

__all__ = ["StressTests", "stress_routes"]

PATH = "/_admin/test/websocket/stress"


class StressTests(Protocol):
    """Whoever runs the tests. Each answer is a status, and what to say with it."""

    def start(self, wanted: Mapping[str, object]) -> tuple[int, Mapping[str, object]]:
        """Start a test, or say why not."""

    def recent(self) -> Sequence[Mapping[str, object]]:
        """Show the last tests, the newest first."""

    def look(self, test_id: str) -> tuple[int, Mapping[str, object]]:
        """Show how a test goes, or went."""

    async def stop(self, test_id: str) -> tuple[int, Mapping[str, object]]:
        """Stop a test, and show it when it has stopped."""


def stress_routes(refuse: Callable[[Request], Response | None], tests: StressTests) -> list[Route]:
    """Return the routes, for whom `refuse` has no answer: root, and a developer's own."""

    async def all_of_them(request: Request) -> Response:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        if request.method != "POST":
            return json_response({"tests": tests.recent()})
        try:
            wanted = orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError:
            wanted = None
        if not isinstance(wanted, dict):
            sentence = 'Send {"connections": …, "messagesPerSecond": …, "duration": …}.'
            return error_response(400, sentence)
        status, answer = tests.start(wanted)
        headers = {"Location": f"{PATH}/{answer['id']}"} if status == 202 else {}
        return json_response(answer, status, headers)

    async def one(request: Request) -> Response:
        refusal = refuse(request)
        if refusal is not None:
            return refusal
        test_id = request.path_params["test_id"]
        stops = request.method == "DELETE"
        status, answer = await tests.stop(test_id) if stops else tests.look(test_id)
        return json_response(answer, status)

    return [
        OwnRoute(PATH, all_of_them, methods=["GET", "POST"]),
        OwnRoute(f"{PATH}/{{test_id}}", one, methods=["GET", "DELETE"]),
    ]
