"""What the definition of a collection may hold, and how precisely it is refused."""

from __future__ import annotations

import pytest

from deployd.config import (
    ConfigError,
    Definition,
    Permissions,
    Property,
    PropertyType,
    Right,
    check_collection_name,
    read_definition,
)


def refused(document: object, name: str = "todos") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_definition(name, document, "file resources/todos/config.json")
    return [str(problem) for problem in caught.value.details]


def test_an_empty_definition_lets_everyone_do_everything() -> None:
    assert read_definition("todos", {}) == Definition("todos")


def test_a_whole_definition_is_read() -> None:
    document = {
        "properties": {
            "title": {"type": "string", "required": True, "unique": True},
            "done": {"type": "boolean", "default": False, "index": True},
            "due": {"type": "date", "default": "now"},
            "secret": {"type": "string", "private": True},
            "kind": {"type": "string", "open": True},
        },
        "strict": True,
        "owner": "author",
        "access": {"post": "authenticated", "put": "owner", "delete": "root"},
    }
    definition = read_definition("todos", document)
    assert definition == Definition(
        "todos",
        {
            "title": Property(PropertyType.STRING, required=True, unique=True),
            "done": Property(PropertyType.BOOLEAN, default=False, index=True),
            "due": Property(PropertyType.DATE, default="now"),
            "secret": Property(PropertyType.STRING, private=True),
            "kind": Property(PropertyType.STRING, open=True),
        },
        strict=True,
        owner="author",
        access=Permissions(post=Right.AUTHENTICATED, put=Right.OWNER, delete=Right.ROOT),
    )
    assert definition.private == {"secret"}
    assert definition.open == {"id", "createdAt", "updatedAt", "kind"}


def test_nothing_is_private_and_open() -> None:
    both = {"properties": {"pin": {"type": "string", "private": True, "open": True}}}
    assert any("properties.pin cannot be both" in each for each in refused(both))


def test_a_folder_of_the_go_server_is_taken_as_it_is() -> None:
    document = {
        "type": "Collection",
        "properties": {
            "id": {"type": "string", "required": True},
            "title": {"type": "string", "order": 1, "system": True},
            "createdAt": {"type": "date", "default": "now"},
        },
        "options": {"useColumns": True},
        "eventConfig": {"get": {"runtime": "go"}},
        "allowAdditionalProperties": False,
    }
    definition = read_definition("files", document)
    assert definition == Definition("files", {"title": Property(PropertyType.STRING)}, strict=True)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "the document must be an object"),
        ({"propertys": {}}, "propertys is not known; did you mean properties?"),
        ({"zzz": 1}, "zzz is not known; known are properties"),
        ({"properties": []}, "properties must be an object, not a list"),
        ({"properties": {"a": "string"}}, "properties.a must be an object such as"),
        ({"properties": {"a b": {"type": "string"}}}, "properties.a b must be named with"),
        ({"properties": {"a": {}}}, "properties.a.type must be one of string, number"),
        ({"properties": {"a": {"type": "text"}}}, 'date, array, object, not "text"'),
        ({"properties": {"a": {"type": "string", "requierd": True}}}, "did you mean required?"),
        (
            {"properties": {"a": {"type": "string", "unique": 1}}},
            "properties.a.unique must be true",
        ),
        ({"properties": {"a": {"type": "number", "default": "1"}}}, "a.default must be a number"),
        ({"properties": {"a": {"type": "number", "default": True}}}, "must be a number, not true"),
        ({"properties": {"a": {"type": "date", "default": "soon"}}}, "must be a date (RFC 3339)"),
        ({"properties": {"a": {"type": "array", "unique": True}}}, "cannot be unique or indexed"),
        ({"strict": "yes"}, 'strict must be true or false, not "yes"'),
        ({"owner": "createdAt"}, "owner must be the name of a property"),
        (
            {"access": {"get": "all"}},
            "access.get must be one of anyone, authenticated, owner, root",
        ),
        ({"access": {"read": "anyone"}}, "access.read is not known"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path_and_the_remedy(
    document: object, sentence: str
) -> None:
    [problem] = refused(document)
    assert sentence in problem
    assert "resources/todos/config.json" in problem


def test_all_problems_are_told_at_once() -> None:
    document = {"strict": 1, "noStore": 2, "properties": {"a": {"type": 3}}}
    assert len(refused(document)) == 3


@pytest.mark.parametrize("name", ["todos", "A", "user-logs", "x_1", "a" * 48])
def test_good_names_of_collections(name: str) -> None:
    assert check_collection_name(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "1a", "_admin", "a.b", "a b", "ä", "a/b", "a" * 49, "auth", "Collections", "health"],
)
def test_a_collection_cannot_have_the_name_of_a_path_or_one_that_is_hard_to_write(
    name: str,
) -> None:
    assert check_collection_name(name) is not None
    assert refused({}, name)
