"""The OpenAPI document of every kind of collection, against the rules of OpenAPI itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from deployd.config import Definition, Permissions, PropertyType, Right, read_definition
from deployd.documents.http import MAX_PASSWORD, MIN_PASSWORD
from deployd.documents.http.openapi import Offer, openapi

EVERYTHING = {
    "properties": {
        "title": {"type": "string", "required": True},
        "count": {"type": "number", "default": 1},
        "done": {"type": "boolean", "required": True, "default": False},
        "due": {"type": "date", "default": "now"},
        "tags": {"type": "array"},
        "place": {"type": "object"},
        "pin": {"type": "string", "required": True, "private": True},
    }
}


def offered(
    definition: Definition,
    events: Collection[str] = (),
    methods: Collection[str] = ("get", "post", "put", "delete"),
) -> Offer:
    """Return a collection as it is offered to somebody who may do this."""
    return Offer(definition, frozenset(events), frozenset(methods))


def described(
    document: Mapping[str, Any], name: str = "things", events: Collection[str] = ()
) -> Any:
    """Return the OpenAPI document of one collection, found to be one."""
    made: Any = openapi([offered(read_definition(name, document), events)], "1.2.3")
    validate(made)
    return made


def validate(made: Any) -> None:
    """Raise when it is no OpenAPI 3.1, or a reference in it leads nowhere."""
    OPENAPI_31_VALIDATOR.validate(made)
    for reference in references(made):
        target: Any = made
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
    for schema in made["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for _, _, operation in operations(made)]
    assert len(names) == len(set(names))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def operations(made: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in made["paths"].items():
        for method in item.keys() & {"get", "post", "put", "delete"}:
            yield path, method, item[method]


def schema(made: Any, name: str) -> Any:
    return made["components"]["schemas"][name]


def accepts(made: Any, name: str, value: object) -> bool:
    validator = jsonschema.Draft202012Validator(
        {**schema(made, name), "components": made["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return validator.is_valid(value)


# -- documents -------------------------------------------------------------------------------

WHOLE = {
    "id": "a",
    "createdAt": "2026-11-25T08:00:00.000Z",
    "updatedAt": "2026-11-25T08:00:00.000Z",
}


def test_what_is_shown_has_what_the_pod_writes_and_the_declared_types_or_null() -> None:
    made = described(EVERYTHING)
    assert accepts(made, "things", WHOLE)
    assert accepts(made, "things", {**WHOLE, "title": None, "more": [1]})
    assert accepts(made, "things", {**WHOLE, "title": "a", "count": 0.5, "done": True})
    unfit: tuple[dict[str, Any], ...] = (
        {"title": 1},
        {"count": "1"},
        {"due": 5},
        {"tags": {}},
        {"id": None},
    )
    for wrong in unfit:
        assert not accepts(made, "things", {**WHOLE, **wrong})
    for name in WHOLE:
        left = {key: value for key, value in WHOLE.items() if key != name}
        assert not accepts(made, "things", left)
        assert accepts(made, "things.found", left) is (name != "id")


def test_what_is_private_is_given_and_never_shown() -> None:
    made = described(EVERYTHING)
    assert "pin" not in schema(made, "things")["properties"]
    assert "pin" not in schema(made, "things.found")["properties"]
    assert schema(made, "things.new")["properties"]["pin"]["writeOnly"] is True
    asked = {about["name"] for about in made["paths"]["/things"]["get"]["parameters"]}
    assert asked == {"title", "count", "done", "due", "$limit", "$skip", "$sort", "$fields"}


def test_what_is_given_needs_what_is_required_and_has_no_default() -> None:
    made = described(EVERYTHING)
    assert schema(made, "things.new")["required"] == ["title", "pin"]
    assert "required" not in schema(made, "things.change")
    good = {"title": "a", "pin": "1"}
    assert not accepts(made, "things.new", {**good, "due": 1e300})
    for more in ({}, {"count": None}, {"due": 5}, {"due": "2026-11-25T08:00:00Z"}, {"id": ""}):
        assert accepts(made, "things.new", {**good, **more})
    for wrong in ({"title": None}, {"done": None}, {"id": "a/b"}, {"id": "count"}, {"$a": 1}):
        assert not accepts(made, "things.new", {**good, **wrong})
    assert not accepts(made, "things.change", {"title": None})
    assert accepts(made, "things.change", {"count": None})


def test_defaults_are_told_and_now_is_no_value() -> None:
    new = schema(described(EVERYTHING), "things.new")["properties"]
    assert new["count"]["default"] == 1
    assert new["done"]["default"] is False
    assert "default" not in new["due"]
    assert "present moment" in new["due"]["description"]
    change = schema(described(EVERYTHING), "things.change")["properties"]
    assert not any("default" in about for about in change.values())


def test_a_strict_collection_takes_no_others_but_what_the_pod_passes_over() -> None:
    made = described({"strict": True, "properties": {"n": {"type": "number"}}})
    assert accepts(made, "things.new", {"n": 1, "id": "a", "createdAt": 5})
    assert not accepts(made, "things.new", {"n": 1, "ownerId": "u"})
    owned = described({"strict": True, "access": {"put": "owner"}})
    assert accepts(owned, "things.new", {"ownerId": "u"})
    assert not accepts(owned, "things.new", {"other": "u"})


def test_users_have_names_and_passwords_of_the_lengths_that_are_taken() -> None:
    made = described({"properties": {"password": {"type": "string", "private": True}}}, "users")
    password = schema(made, "users.new")["properties"]["password"]
    assert (password["minLength"], password["maxLength"]) == (MIN_PASSWORD, MAX_PASSWORD)


# -- who may ---------------------------------------------------------------------------------


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("get", "/things", "get"),
        ("get", "/things/count", "get"),
        ("get", "/things/{id}", "get"),
        ("post", "/things", "post"),
        ("put", "/things/{id}", "put"),
        ("delete", "/things/{id}", "delete"),
    ],
)
def test_each_operation_demands_what_its_right_does(
    right: Right, method: str, path: str, operation: str
) -> None:
    made = described({"access": {method: right.value}})
    found = made["paths"][path][operation]
    either: list[dict[str, Any]] = [{"token": []}, {"masterKey": []}]
    assert found["security"] == ([{}, *either] if right is Right.ANYONE else either)
    assert "401" in found["responses"]
    if right is Right.ROOT:
        assert "403" in found["responses"]


def test_the_schemes_of_the_demands_are_there() -> None:
    schemes = described({})["components"]["securitySchemes"]
    assert schemes["token"]["scheme"] == "bearer"
    assert schemes["masterKey"]["name"] == "X-Master-Key"


# -- what is answered ------------------------------------------------------------------------


def test_answers_have_their_headers() -> None:
    made = described({})
    found = made["paths"]["/things"]["get"]["responses"]["200"]
    assert set(found["headers"]) == {"X-Truncated"}
    refusals = made["components"]["responses"]
    assert refusals["429"]["headers"]["Retry-After"]["required"] is True
    assert set(refusals["503"]["headers"]) == {"Retry-After"}
    assert set(refusals["401"]["headers"]) == {"WWW-Authenticate"}


def test_only_what_sends_a_body_can_have_too_much_of_it() -> None:
    made = described({})
    for path, method, operation in operations(made):
        sends = method in ("post", "put")
        assert ("requestBody" in operation) is sends, (path, method)
        assert ({"408", "413", "415"} <= operation["responses"].keys()) is sends, (path, method)


def test_any_request_can_have_too_long_a_head() -> None:
    made = described({})
    assert "431" in made["components"]["responses"]
    for path, method, operation in operations(made):
        assert "431" in operation["responses"], (path, method)


EVENTS = {
    "beforerequest": {"find", "count", "get", "create", "change", "delete"},
    "get": {"find", "get"},
    "validate": {"create", "change"},
    "post": {"create"},
    "put": {"change"},
    "delete": {"delete"},
    "aftercommit": set(),
}


@pytest.mark.parametrize("event", EVENTS)
def test_where_a_script_decides_any_status_is_answered(event: str) -> None:
    made = described({}, events=[event])
    scripted = {
        operation["operationId"].removesuffix("_by_post").removesuffix("_things")
        for path, _, operation in operations(made)
        if path.startswith("/things") and "default" in operation["responses"]
    }
    assert scripted == EVENTS[event]


def content(operation: Any) -> Any:
    return operation["responses"]["200"]["content"]["application/json"]["schema"]


def test_where_a_script_decides_anything_is_answered() -> None:
    things = described({}, events=["get", "post"])["paths"]
    assert content(things["/things"]["get"]) == {"type": "array", "items": {}}
    assert content(things["/things"]["post"]) == {}
    assert content(things["/things/{id}"]["get"]) == {}
    assert content(things["/things/{id}"]["put"]) == {}  # it is shown as a GET would
    assert content(things["/things/count"]["get"])["required"] == ["count"]


def test_what_keeps_nothing_has_the_methods_that_it_has_scripts_for() -> None:
    made = described({"noStore": True}, events=["post", "get", "validate"])
    for path in ("/things", "/things/{part}"):
        assert made["paths"][path].keys() - {"parameters"} == {"get", "post"}
        assert "default" in made["paths"][path]["get"]["responses"]
    assert not any(name.startswith("things") for name in made["components"]["schemas"])
    assert not any(path.startswith("/things/c") for path in made["paths"])


def test_the_pods_own_paths_are_there_without_any_collection() -> None:
    made: Any = openapi([], "1.2.3")
    validate(made)
    assert (made["openapi"], made["info"]["version"]) == ("3.1.0", "1.2.3")
    assert set(made["paths"]) == {
        "/auth/login",
        "/auth/me",
        "/auth/validate",
        "/_admin/auth/create-user",
        "/collections",
        "/api/rooms",
        "/api/rooms/{room}/events",
    }


_properties = st.builds(
    lambda kind, required, private: {"type": kind.value, "required": required, "private": private},
    st.sampled_from(PropertyType),
    st.booleans(),
    st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,9}", fullmatch=True), _properties),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from(sorted(EVENTS))),
    st.builds(Permissions, *[st.sampled_from(Right)] * 4),
)
def test_every_definition_makes_a_document_by_the_rules(
    properties: dict[str, Any],
    strict: bool,
    no_store: bool,
    events: set[str],
    access: Permissions,
) -> None:
    read = read_definition("things", {"properties": properties, "strict": strict})
    definition = Definition("things", read.properties, strict, no_store, "ownerId", access)
    made: Any = openapi([offered(definition, events)], "1")
    validate(made)
    private = {name for name, about in read.properties.items() if about.private}
    for name in ("things", "things.found"):
        shown = made["components"]["schemas"].get(name, {"properties": {}})["properties"]
        assert private.isdisjoint(shown)
