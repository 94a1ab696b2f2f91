"""A running pod held to its own OpenAPI document by a stranger (schemathesis): no 500, no untruth.

For a longer hunt, run pytest on this file with `SCHEMATHESIS_EXAMPLES=2000`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import requests
import schemathesis
import trio
from argon2 import PasswordHasher
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from deployd.config import Auth
from deployd.documents.users import Passwords
from deployd.supervisors import open_pod
from deployd.supervisors.pod import collections
from support import KEYS, MASTER, collections_config, write_collection

load_all_checks()

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5"))
"""Requests for each operation, as each caller, both valid and invalid."""

COLLECTIONS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "things": (
        {
            "properties": {
                "title": {"type": "string", "required": True},
                "count": {"type": "number", "default": 1},
                "done": {"type": "boolean", "default": False},
                "due": {"type": "date", "default": "now"},
                "tags": {"type": "array"},
                "place": {"type": "object"},
                "pin": {"type": "string", "private": True},
            }
        },
        {},
    ),
    "strict": (
        {
            "strict": True,
            "properties": {
                "n": {"type": "number", "required": True},
                "day": {"type": "date", "required": True},
            },
            "access": {"get": "anyone", "post": "anyone", "put": "root", "delete": "root"},
        },
        {},
    ),
    "notes": (
        {
            "properties": {"text": {"type": "string", "index": True}},
            "access": {"get": "owner", "post": "authenticated", "put": "owner", "delete": "owner"},
        },
        {},
    ),
    "checked": (
        {"properties": {"age": {"type": "number"}, "secret": {"type": "string"}}},
        {
            "validate": (
                "def run(ctx):\n"
                "    if (ctx.data.get('age') or 0) < 0:\n"
                "        ctx.error('age', 'must not be below 0')\n"
            ),
            "get": (
                "def run(ctx):\n"
                "    ctx.hide('secret')\n"
                "    if ctx.data.get('age') == 0:\n"
                "        ctx.cancel('nobody sees the unborn', 403)\n"
            ),
        },
    ),
    "letters": (
        {
            "properties": {"text": {"type": "string"}},
            "access": {"get": "root", "post": "anyone", "put": "anyone", "delete": "root"},
        },
        {},
    ),
    "sums": (
        {"noStore": True},
        {
            "get": "def run(ctx):\n    ctx.set_response(ctx.parts)\n",
            "post": "def run(ctx):\n    ctx.set_response({'keys': sorted(ctx.data)}, 201)\n",
        },
    ),
}
KEPT: dict[str, dict[str, Any]] = {
    "things": {"title": "kept"},
    "strict": {"n": 1, "day": "2026-11-25"},
    "notes": {},
    "letters": {"text": "for root"},
    "checked": {"age": 7, "secret": "told to nobody"},
    "users": {"username": "kept", "password": "of no importance"},
}
"""A document of each collection; its id is `kept`."""


CALLERS: dict[str, dict[str, str]] = {"root": MASTER, "nobody": {}}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a pod in a thread of its own: schemathesis waits for answers without trio."""
    folder = tmp_path_factory.mktemp("schemathesis")
    for name, (definition, scripts) in COLLECTIONS.items():
        write_collection(folder, name, definition, scripts)
    config = collections_config(folder, auth=Auth(login_attempts=10**6))
    up, stop, ports = threading.Event(), trio.Event(), list[int]()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with open_pod(config, keys=KEYS) as running:
            ports.append(running.port)
            up.set()
            await stop.wait()

    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(collections, "Passwords", partial(Passwords, hasher=cheap))
        thread = threading.Thread(target=trio.run, args=(serve,), name="pod")
        thread.start()
        assert up.wait(20), "the pod did not come up"
    url = f"http://127.0.0.1:{ports[0]}"
    for name, document in KEPT.items():
        made = requests.post(f"{url}/{name}", json={"id": "kept", **document}, headers=MASTER)
        assert made.status_code == 200, made.text
    yield url
    trio.from_thread.run_sync(stop.set, trio_token=tokens[0])
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def schemas(pod: str) -> Mapping[str, Any]:
    """What the pod tells each. No NUL in texts: JSON Schema cannot forbid it at any depth."""
    config = SchemathesisConfig.from_dict({"generation": {"allow-x00": False}})
    url = f"{pod}/api/docs/openapi.json"
    return {
        caller: schemathesis.openapi.from_url(url, config=config, headers=headers)
        for caller, headers in CALLERS.items()
    }


@pytest.fixture(scope="module")
def schema(schemas: Mapping[str, Any]) -> Any:
    """What the pod tells root."""
    return schemas["root"]


ALWAYS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
"""What must hold of every answer.

Not among them: `negative_data_rejection` and `positive_data_acceptance` are asked for below where
they can be true. `use_after_free` and `ensure_resource_availability` need the stateful phase, of
`schemathesis run`. `missing_required_header`: none is required. `unsupported_method`,
`allow_header_conformance` and `ignored_auth` are tests of their own here.
"""


def checks(*names: str) -> list[Any]:
    return [function for function in CHECKS.get_all() if function.__name__ in (*ALWAYS, *names)]


def exercise(operation: Any, mode: GenerationMode, judge: Callable[[Any], None]) -> None:
    """Judge some made-up requests of an operation, the same ones each time."""
    kept = {"id": "kept"} if operation.method in ("get", "put") else {}
    fixed = kept if "{id}" in operation.path else None
    for parameters in (None, fixed) if fixed else (None,):

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode, path_parameters=parameters))
        def one(case: Any) -> None:
            judge(case)

        one()


def operations(schema: Any) -> Iterator[Any]:
    for result in schema.get_all_operations():
        yield result.ok()


def is_for_anyone(operation: Any) -> bool:
    security = operation.definition.raw["security"]
    return not security or {} in security


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize(
    ("told", "caller"), [("root", "root"), ("root", "nobody"), ("nobody", "nobody")]
)
def test_what_the_document_allows_is_accepted(
    schemas: Mapping[str, Any], session: requests.Session, told: str, caller: str
) -> None:
    for operation in operations(schemas[told]):

        def judge(case: Any) -> None:
            response = case.call(session=session, headers=CALLERS[caller])
            # What an answer holds depends on who asks, and root is told what root gets.
            held = [one for one in checks() if told == caller or "schema" not in one.__name__]
            case.validate_response(response, checks=held)
            if caller == "nobody" and not is_for_anyone(case.operation):
                assert response.status_code == 401
            elif may_be_refused(case, response):
                assert response.status_code in (200, 201, 400, 401, 403, 404)
            else:
                assert response.status_code in (200, 201, 404), response.text

        exercise(operation, GenerationMode.POSITIVE, judge)


def may_be_refused(case: Any, response: Any) -> bool:
    """Say whether a request may come to nothing for what no schema can say."""
    path = case.operation.path
    # Names, passwords, scripts.
    if path.startswith(("/auth/", "/_admin/", "/users", "/checked", "/api/rooms")):
        return True
    # Whether an id is taken, or is the document's own; names at any depth inside of a value.
    named = response.status_code == 400 and response.json().get("errors", ())
    return bool(named) and all(
        error["field"] == "id" or error["message"].startswith("holds the name") for error in named
    )


def test_what_the_document_forbids_is_refused(schema: Any, session: requests.Session) -> None:
    for operation in operations(schema):
        # Any text may stand in a path, and counting reads the same query as finding.
        if not (operation.body or operation.query) or operation.path.endswith("/count"):
            continue

        def judge(case: Any) -> None:
            response = case.call(session=session, headers=MASTER)
            # A query takes any value for any property; one of another type finds nothing.
            queries = case.operation.path.endswith("/query")  # where operators may stand, too
            refused = ["negative_data_rejection"] if case.operation.body and not queries else []
            case.validate_response(response, checks=checks(*refused))

        exercise(operation, GenerationMode.NEGATIVE, judge)


def test_each_path_has_the_methods_that_the_document_says_and_no_others(
    schema: Any, pod: str, session: requests.Session
) -> None:
    documented: dict[str, set[str]] = {}
    for operation in operations(schema):
        documented.setdefault(operation.path, set()).add(operation.method.upper())
    for path, methods in documented.items():
        url = pod + path.replace("{id}", "kept").replace("{part}", "x")
        for method in {"PATCH", "OPTIONS", "GET", "POST", "PUT", "DELETE"} - methods:
            answer = session.request(method, url)
            assert answer.status_code == 405, (method, path)
            allowed = set(answer.headers["Allow"].split(", "))
            assert allowed - {"HEAD"} == methods, path
            assert answer.json()["error"]
